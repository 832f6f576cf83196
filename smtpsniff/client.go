package smtpsniff

import (
	"bytes"

	"spamsensor/smtpsniff/tlshello"
)

// mode is what the client's bytes are.
type mode uint8

const (
	commands mode = iota
	waitData      // DATA was sent and not answered: message or commands?
	message
	chunk     // BDAT
	waitChunk // BDAT was sent and not answered: is what follows a chunk or commands?
	authing   // credentials until the server ends it
	waitTLS   // STARTTLS was sent and not answered
	hello     // the TLS handshake begins, as it seems
	encrypted // nothing that follows can be read, unless the server answers in the clear
)

// parser is the client's side of a session.
type parser struct {
	mode     mode
	line     liner
	queue    queue
	heard    bool
	together bool // a command was read from the bytes in hand before
	oneSided bool // nothing of the server is seen: nobody will confirm anything
	early    bool // spoke before anything of the server was heard
	begun    bool // what comes next cannot be a TLS handshake
	start    start
	proxy    proxyHeader
	proxied  bool // there was such a header
	asLine   bool // and it was a line, to which there may be a reply
	asked    bool // for TLS, with STARTTLS
	named    bool // the server name was looked for in the TLS handshake
	sure     bool // the server speaks TLS, too, or is not heard
	revoked  bool // what looked like TLS was answered in the clear

	body       body
	left       uint64 // bytes of the chunk that are still to come
	otherSince uint32 // replies that the usual reading explained since other began; see there
	strict     bool   // the chunk's size is written as the standard has it
	rejected   bool   // BDAT was refused, or answered before its chunk was there: did the server wait for that?
	lines      uint8  // after AUTH
	credential credential
	rcpts      uint32 // in this transaction
	good       uint32 // of them, those that the server took
	mail       bool   // this transaction has a sender
	lossy      bool   // bytes of this message are missing
	missed     bool   // bytes were lost since the message began
	unheard    bool   // bytes were lost since the last command
	taken      bool   // one reply to the end of data was positive
	again      uint32 // messages that were counted, and whose replies may still come
	guessed    bool   // what follows DATA was taken for a message because the reply was lost
	strays     uint32 // lines that were no command, since the last reply
	refused    bool   // the message was refused before its end
	wrote      bool   // it sent a message
	spill      bool   // DATA was refused, and lines of its message may come all the same
	odd        uint32 // lines that were no command
	ambiguous  bool   // the server may have got other bytes than we

	// held is what the client sent ahead of a reply that decides what it is: all since DATA
	// (waitData), BDAT (waitChunk) or STARTTLS (waitTLS), all since the beginning of what looks
	// like TLS (hello), or all since a line with a dot that may have ended the message (loose).
	held       []byte
	helloAt    uint16 // where TLS begins in it; what is before stood behind STARTTLS
	lenientEnd bool
	ahead      bool // what is read was held back, and is all that could be
	unsettled  bool // it is commands, perhaps
	overflown  bool // held is not all
	resume     mark // where to go back to

	// other is what the client sent since a BDAT that was refused, as long as both readings of it
	// explain the replies: the server may have stepped over the chunk, as is assumed, or read it as
	// commands.
	other     []byte
	otherMark mark // where to go back to
}

// mark is what a session counted before the bytes that may have to be read again.
type mark struct {
	mails, rcpts, commands uint32
	nsenders               uint8
	text                   uint16
	helo                   span
	heloVerb               Verb
}

func (s *Session) mark() mark {
	return mark{s.Mails, s.Rcpts, s.Commands, s.nsenders, uint16(len(s.text)), s.helo, s.HeloVerb}
}

// client takes in bytes of the client.
func (l *Listener) client(s *Session, b []byte) {
	p := &s.client
	if p.lenientEnd {
		p.hold(l, b)
	}
	if p.other != nil {
		if len(p.other)+len(b) > maxHeld {
			l.giveBack(&p.other)
		} else {
			p.other = l.memory.append(p.other, b)
		}
	}
	for len(b) > 0 { // each round takes a byte of b at least, or leaves waitData or waitChunk
		if !p.begun && p.mode == commands {
			if !p.proxy.over && s.Flags&Midstream == 0 {
				before, found := p.proxy.skip(&b)
				if found {
					l.proxied(s)
				}
				if len(before) > 0 {
					p.begun = true
					l.client(s, before)
				}
				continue
			}
			first, tls, sure := p.start.tell(&b, s.Flags&Midstream != 0)
			if !sure {
				return
			}
			p.begun = true
			if tls {
				l.tlsBegins(s)
			}
			l.client(s, first)
			continue
		}
		switch p.mode {
		case commands, authing:
			var line []byte
			var long, bare, ok bool
			line, b, long, bare, ok = p.line.next(l, b)
			if !ok {
				return
			}
			l.command(s, line, long, bare)
		case waitData:
			if p.oneSided {
				p.startMessage()
				continue
			}
			p.hold(l, b)
			if len(p.held) == maxHeld {
				// More than a bold client's whole dialogue: it must be the message.
				l.releaseMessage(s)
			}
			return
		case message:
			n, e := p.body.scan(b)
			b = b[n:]
			switch e {
			case strictEnd:
				l.endMessage(s)
			case lenientEnd:
				if !p.lenientEnd {
					p.lenientEnd, p.overflown, p.resume = true, false, s.mark()
					p.hold(l, b)
				}
			}
		case chunk:
			n := min(uint64(len(b)), p.left)
			p.left -= n
			b = b[n:]
			if p.left == 0 {
				p.mode = commands
			}
		case waitChunk:
			n := min(len(b), maxHeld-len(p.held))
			p.hold(l, b[:n])
			b = b[n:]
			switch {
			case len(p.held) == maxHeld: // as in waitData
				p.ahead = true
				l.releaseChunk(s)
				p.ahead = false
			case p.rejected && uint64(len(p.held)) > p.left:
				l.eitherChunk(s)
			}
		case waitTLS:
			p.hold(l, b)
			switch tls, sure := startsTLS(p.held, false); {
			case !sure:
			case tls: // the server's consent was not seen yet; the queue has the STARTTLS
				p.toHello(s, 0)
				l.hello(s, nil, false)
			default:
				l.flag(s, AfterSTARTTLS)
			}
			return
		case hello:
			l.hello(s, b, false)
			return
		case encrypted:
			return
		}
	}
}

// tlsBegins notes that a client speaks TLS where commands were expected.
func (l *Listener) tlsBegins(s *Session) {
	kind := Implicit
	if s.client.asked {
		kind = StartTLS
	} else if s.Proto == Unknown {
		s.Proto = TLS
	}
	s.client.toHello(s, 0)
	s.Encryption = kind
	if s.client.oneSided {
		l.isTLS(s)
	}
}

// toHello has what the client holds back from this place on, and what it says next, be TLS.
func (p *parser) toHello(s *Session, at int) {
	s.Encryption = StartTLS
	p.mode, p.named, p.sure, p.helloAt = hello, false, false, uint16(at)
	s.server.tls = records{}
}

// isTLS notes that it is TLS indeed: the server speaks it, too, or nobody can say otherwise.
func (l *Listener) isTLS(s *Session) {
	p := &s.client
	if !p.sure {
		p.sure = true
		l.emit(Encrypted, NoPhase, nil)
	}
	if p.mode == hello && p.named {
		p.mode, p.overflown = encrypted, false
		l.giveBack(&p.held)
	}
}

// plainAgain is a reply in the clear to what looked like TLS: the server reads commands. What the
// client said since is read again. If the server spoke TLS before, it has ended that: then the
// client goes on in the clear with its next command, or not at all.
func (l *Listener) plainAgain(s *Session) {
	p := &s.client
	was := p.mode
	p.mode, p.revoked = commands, true
	switch {
	case s.server.tls.seen, was == encrypted:
		p.overflown = false
		l.giveBack(&p.held)
		p.line.lose(l)
	case len(p.held) == 0: // TLS may still begin
		l.giveBack(&p.held)
		p.begun = false
	default:
		l.reread(s)
	}
}

// startsTLS reports whether b begins like TLS: a handshake record, or SSL 2's hello. In the
// middle of a connection any record will do. While b is too short to tell it is not sure.
func startsTLS(b []byte, midstream bool) (yes, sure bool) {
	switch {
	case len(b) == 0:
		return false, false
	case b[0] == 0x16, midstream && b[0] >= 0x14 && b[0] <= 0x17:
		return len(b) > 1 && b[1] == 3, len(b) > 1
	case b[0] == 0x80:
		return len(b) > 2 && b[2] == 1, len(b) > 2
	}
	return false, true
}

// start holds the first bytes of a side until they tell whether it speaks TLS.
type start struct {
	bytes [3]byte
	n     uint8
}

// tell is startsTLS of the bytes so far. While it is not sure it takes what is in b; when it is,
// first is what it took before.
func (t *start) tell(b *[]byte, midstream bool) (first []byte, tls, sure bool) {
	if t.n == 0 {
		if tls, sure = startsTLS(*b, midstream); sure {
			return nil, tls, true
		}
	}
	k := copy(t.bytes[t.n:], *b)
	t.n += uint8(k)
	*b = (*b)[k:]
	first = t.bytes[:t.n]
	if tls, sure = startsTLS(first, midstream); sure {
		t.n = 0
	}
	return first, tls, sure
}

// encrypt is the end of what can be read: TLS follows STARTTLS. Plain text that stood behind
// STARTTLS is an attack, or nonsense; no server takes it for TLS.
func (l *Listener) encrypt(s *Session) {
	p := &s.client
	p.queue.clear()
	if p.mode >= hello {
		return // it began already
	}
	p.dropLenientEnd(l)
	p.overflown = false
	p.toHello(s, len(p.held))
}

// hold keeps what the client sent ahead, up to the first bytes that are missing.
func (p *parser) hold(l *Listener, b []byte) {
	if p.overflown && len(p.held) > 0 {
		return
	}
	n := min(len(b), maxHeld-len(p.held))
	p.held = l.memory.append(p.held, b[:n])
	if n < len(b) {
		p.overflown = true
	}
}

// startMessage begins to read a message.
func (p *parser) startMessage() {
	p.mode, p.body, p.line.lost = message, startCRLF, false
	p.lossy, p.missed, p.refused, p.wrote = false, false, false, true
}

// releaseMessage takes what was held back since DATA for a message.
func (l *Listener) releaseMessage(s *Session) {
	s.client.startMessage()
	l.reread(s)
}

// releaseCommands takes what was held back since DATA for commands.
func (l *Listener) releaseCommands(s *Session) {
	s.client.spill = s.client.spill || s.client.mode == waitData
	s.client.mode = commands
	l.reread(s)
}

// releaseChunk takes what was held back since BDAT for its chunk, and what is behind that for
// commands.
func (l *Listener) releaseChunk(s *Session) {
	p := &s.client
	if uint64(len(p.held)) > p.left {
		l.pipelined(s)
	}
	p.mode, p.wrote = chunk, true
	l.reread(s)
}

// eitherChunk is releaseChunk where the server has refused BDAT: some servers step over the chunk
// then and some take it for commands. The replies show which.
func (l *Listener) eitherChunk(s *Session) {
	p := &s.client
	if p.other == nil {
		other, m := l.memory.append(nil, p.held), s.mark()
		l.releaseChunk(s)
		p.other, p.otherSince, p.otherMark = other, 0, m
		return
	}
	l.releaseChunk(s)
}

// contradicts reports whether a reply to this command shows that the server read a refused chunk as
// commands.
func (p *parser) contradicts(v Verb, code uint16) bool {
	return p.other != nil && (v == NoVerb || !fits(v, code) || v == someLine && code < 400)
}

// otherChunk goes back to where a refused chunk began, and reads it as commands.
func (l *Listener) otherChunk(s *Session) {
	p := &s.client
	l.flag(s, BadBDAT)
	l.backTo(s, &p.otherMark)
	p.dropLenientEnd(l)
	l.giveBack(&p.held)
	p.held, p.other, p.overflown, p.unsettled, p.rejected, p.left = p.other, nil, false, false, false, 0
	l.reread(s)
	for ; p.otherSince > 0 && p.queue.n > 0; p.otherSince-- { // at most once for each reply
		p.queue.pop()
	}
	l.unheld(s)
}

// noChunk takes a chunk for commands: the server, which refused BDAT, answers what is in it.
func (l *Listener) noChunk(s *Session) {
	p := &s.client
	l.flag(s, BadBDAT)
	p.rejected = false
	if p.mode == waitChunk {
		l.releaseCommands(s)
		return
	}
	p.mode, p.left = commands, 0
	p.line.lose(l)
}

// reread feeds what was held back again.
func (l *Listener) reread(s *Session) {
	p := &s.client
	held, missing := p.held, p.overflown
	p.held, p.lenientEnd, p.overflown = nil, false, false
	if len(held) > 0 {
		l.client(s, held)
	}
	if missing {
		l.clientGap(s, 1) // at least
	}
	if held != nil {
		l.memory.put(held)
	}
}

// endMessage is the line with the dot.
func (l *Listener) endMessage(s *Session) {
	p := &s.client
	p.mode, p.taken = commands, false
	n := uint32(1)
	if s.HeloVerb == LHLO {
		if n = p.good; s.Flags&GapServer != 0 { // LMTP answers for each recipient that was taken
			n = p.rcpts
		}
	}
	if !p.refused {
		l.pushAll(s, endOfData, max(1, n))
	}
	p.rcpts, p.good, p.mail = 0, 0, false
	if p.oneSided {
		l.accept(s)
		if p.lenientEnd && p.heldCommand() {
			l.flag(s, Ambiguous)
		}
		p.dropLenientEnd(l)
		p.queue.clear()
	}
}

// heldCommand reports whether what follows a loose end of a message is a command.
func (p *parser) heldCommand() bool {
	line := p.held
	for i, c := range line {
		if c == '\n' {
			line = line[:i]
			break
		}
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	v, _ := parseVerb(line)
	return v != NoVerb
}

// endLeniently goes back to the line with a dot that only some servers take for the end of
// a message: this one did. What followed it is read again, as commands.
func (l *Listener) endLeniently(s *Session) {
	p := &s.client
	if p.heldCommand() {
		l.flag(s, Smuggling)
	} else {
		l.flag(s, BareLF)
	}
	l.backTo(s, &p.resume)
	l.reread(s)
}

// backTo forgets what the client said since then. Its commands begin there.
func (l *Listener) backTo(s *Session, m *mark) {
	p := &s.client
	s.Mails, s.Rcpts, s.Commands, s.nsenders, s.helo, s.HeloVerb = m.mails, m.rcpts, m.commands, m.nsenders, m.helo, m.heloVerb
	s.text = s.text[:max(m.text, s.fixed)]
	p.queue.clear()
	l.giveBack(&p.line.buf)
	p.line.long = false
	p.mode = commands
}

// unheld takes what is held back for commands if no reply can be the one that it is held for.
func (l *Listener) unheld(s *Session) {
	want := [...]Verb{waitData: DATA, waitTLS: STARTTLS, waitChunk: BDAT, encrypted: NoVerb}[s.client.mode]
	if last := s.client.queue.last(); want != NoVerb && last != want && (want != BDAT || last != bdatLast) {
		l.releaseCommands(s)
	}
}

// dropLenientEnd drops the other reading of a message's end.
func (p *parser) dropLenientEnd(l *Listener) {
	if p.lenientEnd {
		p.lenientEnd, p.overflown = false, false
		l.giveBack(&p.held)
	}
}

// push has a command wait for its reply. It reports whether there was room.
func (l *Listener) push(s *Session, v Verb) bool { return l.pushAll(s, v, 1) }

// pushAll is push of a command that gets n replies.
func (l *Listener) pushAll(s *Session, v Verb, n uint32) bool {
	p := &s.client
	waiting := p.queue.all
	if p.queue.front() == connect {
		waiting-- // a client that speaks early
	}
	// After lost replies, only commands in one segment show that nobody waited for them.
	if waiting > 0 && v != endOfData && !p.oneSided && (!s.server.gap || p.together) && p.queue.last() != someLine {
		l.pipelined(s)
	}
	p.together, p.unheard = true, false
	if !p.queue.pushAll(v, n) {
		l.flag(s, TooManyPending)
		return false
	}
	return true
}

// pipelined notes that a client did not wait for a reply. That is usual with servers that offer it:
// no weird.
func (l *Listener) pipelined(s *Session) {
	s.Flags |= Pipelined
	if s.Offers&OffersPipelining == 0 && s.Flags&(Midstream|GapClient|GapServer) == 0 {
		s.Flags |= Impatient
	}
}

// command is a line of the client outside messages.
func (l *Listener) command(s *Session, line []byte, long, bare bool) {
	p := &s.client
	if p.line.lost && l.unsure(s, line) {
		return
	}
	verb, rest := parseVerb(line)
	if p.mode == authing && !l.endsAuth(s, verb, rest) {
		if !long {
			l.account(s, trim(line))
		}
		l.secret(s, line)
		return
	}
	if long {
		l.flag(s, LongLine)
	}
	if p.spill && l.spilled(s, verb, rest) {
		return
	}
	if verb == NoVerb {
		if s.Commands == 0 && !p.proxied && s.Flags&Midstream == 0 && isProxyLine(line) {
			l.proxied(s)
			p.asLine = true
			return
		}
		l.unknown(s, line)
		return
	}
	if p.proxied && s.Commands == 0 && s.server.heard == 0 {
		p.early = true
	}
	if p.asked && s.Encryption == Plain && p.oneSided {
		l.flag(s, Ambiguous) // did the server want TLS? It would not listen to this
	}
	if bare {
		l.flag(s, BareLF)
	}
	if p.revoked && !s.server.tls.seen {
		s.Encryption, s.Proto = Plain, SMTP
	}
	if s.Proto == Unknown || s.Proto == OtherApp {
		s.Proto = SMTP
	}
	inc(&s.Commands)
	switch verb {
	case HELO, EHLO, LHLO:
		s.HeloVerb = verb
		l.push(s, verb)
		if name := trim(rest); s.Flags&Midstream != 0 && s.banner.len == 0 { // it may be a line of a message
			l.secret(s, name)
		} else {
			if person, host := splitName(name); person != nil {
				if l.secret(s, person); !l.ShowSenders {
					name = host
				}
			}
			s.helo = l.keep(s, name, maxName)
			l.emit(HeloSaid, Helo, name[:min(len(name), maxName)])
		}
		p.rcpts, p.mail = 0, false
	case MAIL:
		if s.HeloVerb == NoVerb && s.Flags&(Midstream|GapClient) == 0 {
			l.flag(s, NoHelo)
		}
		address, found := parsePath(rest, "FROM")
		s.LenientPath = s.LenientPath || found && !strictPath(rest, "FROM:<")
		inc(&s.Mails)
		if found && int(s.nsenders) < maxSenders {
			s.senders[s.nsenders] = l.keep(s, address, maxName)
			s.nsenders++
		}
		if !l.ShowSenders {
			l.name(s, address)
		}
		l.push(s, MAIL)
		l.parameters(s, rest)
		p.rcpts, p.mail = 0, true
		if p.oneSided && hasControl(address) {
			l.flag(s, Ambiguous) // some servers refuse it
		}
		if found {
			l.emit(MailSaid, Mail, address)
		}
	case RCPT:
		s.LenientPath = s.LenientPath || !strictPath(rest, "TO:<")
		inc(&s.Rcpts)
		inc(&p.rcpts)
		l.push(s, RCPT)
		if address, found := parsePath(rest, "TO"); found {
			l.emit(RcptSaid, Rcpt, address)
			l.name(s, address)
		}
		l.parameters(s, rest)
	case DATA:
		waits := l.push(s, DATA)
		if p.oneSided && !p.mail && s.Flags&(Midstream|GapClient) == 0 {
			l.flag(s, Ambiguous) // servers refuse it, and then what follows are commands
			return
		}
		if !waits && !p.oneSided {
			return // no reply can be the one to it; a 354 begins the message all the same
		}
		p.mode, p.body, p.overflown, p.lossy = waitData, startCRLF, false, false
		if bare {
			p.body = startLF
		}
		p.dropLenientEnd(l)
	case BDAT:
		l.bdat(s, rest)
	case AUTH:
		s.Auth = max(s.Auth, AuthTried)
		l.push(s, AUTH)
		p.mode, p.lines = authing, 0
		l.secret(s, rest)
		if s.Account = 0; !long {
			l.auth(s, rest)
		}
	case STARTTLS:
		waits := l.push(s, STARTTLS)
		if p.lenientEnd && p.heldCommand() {
			l.flag(s, Ambiguous) // what is held back from here on is for the reply to STARTTLS
		}
		p.dropLenientEnd(l)
		p.mode, p.asked = waitTLS, true
		if p.oneSided || !waits {
			p.mode, p.begun = commands, false // what comes next shows whether the server agreed
		}
	case RSET:
		p.rcpts, p.mail = 0, false
		l.secret(s, trim(rest))
		l.push(s, verb)
	default:
		l.secret(s, trim(rest)) // a mailbox, or anything
		l.push(s, verb)
	}
}

// spilled takes a line behind a refused DATA that is one of the message, be it that it begins like
// a command: "Helo WORD" where the client has greeted, MAIL without FROM. A sender, RSET or QUIT
// begin something else.
func (l *Listener) spilled(s *Session, verb Verb, rest []byte) bool {
	p := &s.client
	switch verb {
	case HELO, EHLO, LHLO:
		if s.HeloVerb == NoVerb && s.Flags&(Midstream|GapClient) == 0 {
			p.spill = false
			return false
		}
		inc(&s.Commands)
		l.secret(s, rest)
		l.push(s, verb)
		return true
	case MAIL:
		if keyword, _, _ := bytes.Cut(rest, []byte(":")); !equalFold(trim(keyword), "FROM") {
			l.unknown(s, rest)
			return true
		}
		p.spill = false
	case RSET, QUIT, STARTTLS, DATA, BDAT:
		p.spill = false
	}
	return false
}

// unsure takes a line after bytes were lost, or at the beginning of a session that we
// joined late: it may be a command, the rest of one, or a line of a message. Commands are held back
// until a reply shows that the client is in its commands; see settle. It reports
// whether it took the line.
func (l *Listener) unsure(s *Session, line []byte) bool {
	p := &s.client
	if p.oneSided && s.Flags&Midstream == 0 {
		// Nobody will confirm it. The first line that is a command must do.
		v, _ := parseVerb(line)
		p.line.lost = v == NoVerb
		l.flag(s, Ambiguous)
		return p.line.lost
	}
	if v, _ := parseVerb(line); v == NoVerb {
		p.strays++
		l.secret(s, line)
		return true
	}
	p.unsettled = true
	p.hold(l, line)
	p.hold(l, []byte("\r\n"))
	return true
}

// classifyHeld decides about the commands that were held back. They were commands if nothing
// else came with them; lines of a message come in numbers.
func (l *Listener) classifyHeld(s *Session) {
	p := &s.client
	if !p.unsettled {
		return
	}
	p.unsettled = false
	if p.strays > 0 || p.overflown {
		p.overflown = false
		l.giveBack(&p.held)
		return
	}
	p.line.lost = false
	l.reread(s)
}

// hasControl reports whether there is a control character.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

// unknown is a line that is no command. It is counted and not remembered.
func (l *Listener) unknown(s *Session, line []byte) {
	p := &s.client
	l.secret(s, line)
	l.flag(s, UnknownCommand)
	if s.Proto == Unknown && s.server.heard == 0 && s.Commands == 0 {
		s.Proto = OtherApp
	}
	inc(&s.Commands)
	inc(&p.odd)
	l.push(s, someLine)
}

// endsAuth reports whether a line after AUTH is a command and no credential: those have
// no blank or colon in them (RFC 4954, section 4: base64).
func (l *Listener) endsAuth(s *Session, verb Verb, rest []byte) bool {
	p := &s.client
	p.lines++
	switch verb {
	case MAIL, RCPT, EHLO, HELO, LHLO:
		if len(rest) > 1 {
			p.mode = commands
			return true
		}
	case QUIT, RSET, STARTTLS:
		if p.oneSided { // nobody tells when it ends
			p.mode = commands
			return true
		}
	}
	if p.lines >= maxAuth {
		p.mode = commands
	}
	return false
}

// bdat is BDAT size [LAST] (RFC 3030, section 2). The chunk is sent whatever the server thinks of
// it, and a server that does not know BDAT takes it for commands: its reply tells, as that to DATA
// does, and what is held back until then is a chunk unless it says otherwise. A size that is none
// leaves the client in its commands. Exim (4.96) takes a sign before the size and anything behind
// it, others take neither.
func (l *Listener) bdat(s *Session, rest []byte) {
	p := &s.client
	rest = trimLeft(rest)
	signed := len(rest) > 0 && rest[0] == '+'
	if signed {
		rest = rest[1:]
	}
	size, digits := uint64(0), 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		if digits < 19 {
			size = size*10 + uint64(rest[digits]-'0')
		}
		digits++
	}
	tail := trim(rest[digits:])
	last := equalFold(tail, "LAST")
	none := digits == 0 || digits > 18
	strict := !signed && (len(tail) == 0 || last)
	if none || !strict {
		l.flag(s, BadBDAT)
	}
	if none || !strict && p.oneSided {
		l.push(s, BDAT)
		return
	}
	verb := BDAT
	if last {
		verb = bdatLast
	}
	waits := l.push(s, verb)
	p.left, p.strict, p.rejected = size, strict, false
	switch {
	case size == 0:
	case strict && (p.oneSided || p.ahead || s.server.gap || !waits || p.lenientEnd):
		p.mode, p.wrote = chunk, true
	case waits:
		p.mode, p.overflown = waitChunk, false
		p.dropLenientEnd(l)
	}
	if last && p.oneSided {
		l.accept(s)
	}
}

// clientGap is bytes of the client that were not seen.
func (l *Listener) clientGap(s *Session, n int) {
	p := &s.client
	l.giveBack(&p.other)
	if p.mode == waitChunk && p.strict {
		l.releaseChunk(s) // its size tells where it ends
	}
	p.missed, p.unheard = true, true
	if p.mode != message && !(p.mode == chunk && uint64(n) <= p.left) {
		s.server.unsure = true // there may have been commands among them
	}
	p.proxy.over = true
	if p.start.n > 0 {
		p.begun, p.start.n = true, 0
	}
	if p.lenientEnd || p.mode == waitData && len(p.held) > 0 {
		p.overflown = true
	}
	switch p.mode {
	case message:
		p.body, p.lossy = inLine, true
	case chunk:
		if uint64(n) < p.left {
			p.left -= uint64(n)
			return
		}
		exact := uint64(n) == p.left
		p.left, p.mode = 0, commands
		if !exact {
			p.line.lose(l)
		}
	case waitData:
		p.lossy = true
	case waitTLS, waitChunk:
		p.overflown = true
	case hello:
		p.named = true
		if p.sure || len(p.held) == 0 {
			p.mode = encrypted
			l.giveBack(&p.held)
		} else {
			p.overflown = true
		}
	case commands, authing:
		if p.unsettled {
			p.strays++ // what came with the commands that were held back may have been no command
		}
		if p.mode == commands {
			l.cutCommand(s)
		}
		p.line.lose(l)
	}
}

// cutCommand is a command whose line was not seen to its end, as in a capture of short frames. It is
// counted; what it says is not known.
func (l *Listener) cutCommand(s *Session) {
	p := &s.client
	verb, rest := parseVerb(p.line.buf)
	if len(rest) == 0 { // the verb itself may be longer
		return
	}
	if p.line.lost {
		if !p.oneSided || s.Flags&Midstream != 0 {
			return
		}
		l.flag(s, Ambiguous) // as in unsure
	}
	switch verb {
	case NoVerb, DATA, BDAT, STARTTLS: // what follows them depends on what is missing
		return
	case HELO, EHLO, LHLO:
		s.HeloVerb = verb
		p.rcpts, p.mail = 0, false
	case MAIL:
		inc(&s.Mails)
		p.rcpts, p.mail = 0, true
	case RCPT:
		inc(&s.Rcpts)
		inc(&p.rcpts)
	case RSET:
		p.rcpts, p.mail = 0, false
	case AUTH:
		s.Auth, s.Account = max(s.Auth, AuthTried), 0
		p.mode, p.lines, p.credential = authing, 0, noName
	}
	if s.Proto == Unknown || s.Proto == OtherApp {
		s.Proto = SMTP
	}
	inc(&s.Commands)
	l.push(s, verb)
	p.unheard = true
}

// clientEnd is the end of the client's half.
func (l *Listener) clientEnd(s *Session) {
	p := &s.client
	if p.oneSided {
		l.classifyHeld(s)
	}
	switch {
	case p.mode == commands && p.line.buf != nil:
		// A last command without its line end: servers do not act on it, but a client
		// that hangs up behind QUIT says so.
		if v, _ := parseVerb(p.line.buf); v == QUIT {
			inc(&s.Commands)
		}
		l.giveBack(&p.line.buf)
	case p.mode == message && p.lenientEnd && p.oneSided:
		// Only a loose end was seen, and nobody tells whether it was one.
		l.flag(s, Ambiguous)
		l.accept(s)
		l.endLeniently(s)
	}
	if p.mode == hello && p.held != nil {
		l.hello(s, nil, true) // it will not become longer
	}
}

// hello collects what a client says in what looks like TLS: its first message has a name in it, and
// all of it is commands if the server says so before it speaks TLS itself. over tells that there
// will be no more.
func (l *Listener) hello(s *Session, b []byte, over bool) {
	p := &s.client
	p.hold(l, b)
	over = over || p.overflown
	if !p.named {
		first := p.held[p.helloAt:]
		tls, sure := startsTLS(first, s.Flags&Midstream != 0)
		switch {
		case !sure && !over:
			return
		case tls:
			name, more := tlshello.ServerName(first)
			if more && !over {
				return
			}
			s.sni = l.fix(s, name, maxName)
		case s.Encryption == StartTLS:
			l.flag(s, PlainAfterSTARTTLS)
		}
		p.named = true
	}
	if p.sure {
		l.isTLS(s)
	}
}

// accept counts a message that was taken.
func (l *Listener) accept(s *Session) {
	if s.client.taken { // LMTP: another recipient's copy
		return
	}
	s.client.taken = s.HeloVerb == LHLO
	if s.client.again > 0 {
		s.client.again--
		return
	}
	inc(&s.Messages)
	l.emit(Accepted, EndOfData, nil)
}
