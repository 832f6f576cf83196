package smtpsniff

import "bytes"

// replies is the server's side of a session.
type replies struct {
	line   liner
	heard  uint8 // lines, up to 255
	start  start
	gap    bool   // replies may be missing: what the next one answers is uncertain
	open   uint32 // commands that were waiting when they were lost
	paused bool   // the last of them was DATA, and nothing was sent behind it
	lost   uint64 // bytes, since the last reply
	unsure bool   // which command is answered, since something was lost; a 354 tells, and an empty queue
	want   bool   // a client that is not heard was told to send a message
	// The reply in hand, when it has several lines.
	code     uint16
	enhanced Enhanced
	several  bool
	cut      bool // its end was not seen, but the client will show whether it is over
	offers   Extensions
	text     [maxReply]byte
	textLen  uint16
	answered Verb // by the last reply
	tls      records
}

// records steps over TLS records (RFC 8446, section 5.1: type 8, version 16, length 16).
// Some servers end TLS, or never begin it, and say goodbye in plain text.
type records struct {
	head [5]byte
	n    uint8  // bytes of head
	left uint32 // bytes of the record that are still to come
	lost bool   // where records begin is not known
	seen bool   // there was one
}

// skip returns what is no TLS record but can be a reply.
func (t *records) skip(b []byte) []byte {
	for len(b) > 0 && !t.lost { // each round takes a byte of b, or all that is left of a record
		if t.left > 0 {
			k := min(len(b), int(t.left))
			t.left -= uint32(k)
			b = b[k:]
			continue
		}
		if t.n == 0 && digit(b[0]) {
			return b
		}
		t.head[t.n] = b[0]
		t.n++
		b = b[1:]
		if t.n == 1 && (t.head[0] < 0x14 || t.head[0] > 0x18) {
			t.lost = true
		}
		if int(t.n) == len(t.head) {
			t.seen = true
			t.n, t.left = 0, uint32(t.head[3])<<8|uint32(t.head[4])
		}
	}
	if t.seen || isBinary(b) {
		t.seen = t.seen || len(b) > 0
		return nil
	}
	return b // after a gap, and nothing yet was TLS
}

// isBinary reports whether b has bytes that are in no reply.
func isBinary(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			return true
		}
	}
	return false
}

// server takes in bytes of the server.
func (l *Listener) server(s *Session, b []byte) {
	r := &s.server
	if r.heard == 0 {
		first, tls, sure := r.start.tell(&b, s.Flags&Midstream != 0)
		if !sure {
			return
		}
		r.heard = 1
		if tls && !s.client.heard {
			s.Proto, s.Encryption, s.client.mode = TLS, Implicit, encrypted
			l.emit(Encrypted, NoPhase, nil)
		}
		l.server(s, first)
	}
	for len(b) > 0 { // each round takes a line
		if s.client.mode >= hello && r.line.buf == nil {
			b = r.tls.skip(b)
			if r.tls.seen {
				l.isTLS(s)
			}
			if len(b) == 0 {
				return
			}
		}
		line, rest, long, _, ok := r.line.next(l, b)
		if !ok {
			return
		}
		b = rest
		if long {
			l.flag(s, LongLine)
		}
		l.replyLine(s, line)
	}
}

// replyLine is one line of a reply: three digits, a hyphen when more lines follow, text
// (RFC 5321, section 4.2).
func (l *Listener) replyLine(s *Session, line []byte) {
	r := &s.server
	if len(line) < 3 || !digit(line[0]) || !digit(line[1]) || !digit(line[2]) ||
		len(line) > 3 && line[3] != ' ' && line[3] != '-' && line[3] != '\t' {
		if len(line) == 0 || r.line.lost {
			return
		}
		if s.Proto == Unknown {
			s.Proto = OtherApp
		}
		l.flag(s, BadReply)
		return
	}
	r.line.lost = false
	if s.Proto != TLS {
		s.Proto = SMTP
	}
	if r.heard < 255 {
		r.heard++
	}
	code := uint16(line[0]-'0')*100 + uint16(line[1]-'0')*10 + uint16(line[2]-'0')
	more := len(line) > 3 && line[3] == '-'
	text := line[min(4, len(line)):]
	r.several, r.cut = r.several || r.cut && r.code == code, false
	if !r.several || r.code != code {
		r.code, r.textLen, r.offers, s.lastLen = code, 0, 0, 0
		r.enhanced, _ = parseEnhanced(text, code)
	}
	if code == 250 {
		r.offers |= offered(text)
	}
	// A refusal is kept whole, of anything else the first line says enough.
	if r.textLen == 0 || code >= 400 {
		if r.textLen > 0 {
			_, text = parseEnhanced(text, code) // each line repeats it
			r.add([]byte{' '})
		}
		r.add(text)
	}
	if r.several = more; !more {
		l.reply(s)
	}
}

// offered reads a line of an answer to EHLO. Some servers write AUTH=LOGIN, so a word is known by how it begins.
func offered(text []byte) Extensions {
	for _, x := range [...]struct {
		word string
		ext  Extensions
	}{{"AUTH", OffersAuth}, {"STARTTLS", OffersSTARTTLS}, {"PIPELINING", OffersPipelining}} {
		if len(text) >= len(x.word) && equalFold(text[:len(x.word)], x.word) {
			return x.ext
		}
	}
	return 0
}

// cutReply is a reply whose line was not seen to its end: it says no less for that. A word that may be cut is left
// out. Whether the answer to EHLO ends in what is missing, the client tells: it waits for that
// (RFC 2920, section 3.1).
func (l *Listener) cutReply(s *Session) {
	r := &s.server
	if b := r.line.buf; len(b) >= 4 && s.client.mode < hello {
		switch i := bytes.LastIndexByte(b, ' '); {
		case b[3] == ' ':
			l.replyLine(s, b[:i])
		case b[3] == '-':
			l.replyLine(s, b[:max(i, 4)])
		}
	}
	r.cut = r.several && s.client.queue.front() == EHLO
}

// endCut ends a reply whose end was not seen: the client goes on.
func (l *Listener) endCut(s *Session) {
	if r := &s.server; r.cut {
		r.cut, r.gap, r.lost = false, false, 0
		l.reply(s)
	}
}

func (r *replies) add(b []byte) { r.textLen += uint16(copy(r.text[r.textLen:], b)) }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// parseEnhanced reads class.subject.detail at the start of a text (RFC 2034, section 4)
// and returns what follows it.
func parseEnhanced(b []byte, code uint16) (e Enhanced, rest []byte) {
	var n [3]uint16
	rest = b
	for i := range n {
		digits := 0
		for digits < len(rest) && digits < 3 && digit(rest[digits]) {
			n[i] = n[i]*10 + uint16(rest[digits]-'0')
			digits++
		}
		rest = rest[digits:]
		switch {
		case digits == 0:
			return Enhanced{}, b
		case i < 2 && (len(rest) == 0 || rest[0] != '.'):
			return Enhanced{}, b
		case i < 2:
			rest = rest[1:]
		case len(rest) > 0 && !blank(rest[0]):
			return Enhanced{}, b
		}
	}
	if n[0] != code/100 {
		return Enhanced{}, b
	}
	return Enhanced{n[0], n[1], n[2]}, trimLeft(rest)
}

// fits reports whether a server can answer a command with this code. Refusals fit all.
func fits(v Verb, code uint16) bool {
	if code >= 400 {
		return true
	}
	switch v {
	case connect:
		return code == 220
	case DATA:
		return code == 354
	case QUIT:
		return code == 221
	case STARTTLS:
		return code == 220
	case AUTH:
		return code == 235 || code == 334
	}
	return code/100 == 2 && code != 220 && code != 221 && code != 235
}

// reply is a whole reply.
func (l *Listener) reply(s *Session) {
	r, p := &s.server, &s.client
	inc(&s.Replies)
	s.count(r.code)
	if !p.heard {
		l.overheard(s)
		return
	}
	if p.mode >= hello && p.queue.front() == NoVerb && r.code != 421 { // that is goodbye
		l.plainAgain(s)
	}
	if r.code == 220 && s.Flags&GapClient != 0 && p.line.lost && p.queue.front() != connect { // to a STARTTLS that was lost
		p.unsettled, p.line.lost = false, false
		l.answered(s, STARTTLS)
		return
	}
	l.classifyHeld(s)
	if p.asLine && s.Replies == 2 && r.code >= 500 && r.code <= 503 { // the server does not know PROXY
		l.flag(s, UnknownCommand)
		l.answered(s, someLine)
		return
	}
	p.strays = 0
	gap, lost := r.gap, r.lost >= shortReply
	if gap {
		l.lostReplies(s)
	}
	r.gap, r.lost = false, 0
	if p.queue.front() == connect && !fits(connect, r.code) {
		p.queue.pop() // the greeting was not seen
	}
	verb := p.queue.front()
	if !p.lenientEnd && p.other == nil && !fits(verb, r.code) && p.queue.answers(r.code) {
		// Something was not answered. A code that has one meaning tells what it belongs to.
		for !fits(p.queue.front(), r.code) { // at most once for each command that was pushed
			p.queue.pop()
		}
		verb = p.queue.front()
	}
	if p.contradicts(verb, r.code) {
		l.otherChunk(s)
		verb = p.queue.front()
	} else if p.other != nil {
		inc(&p.otherSince)
	}
	if p.ambiguous && r.code == 354 && verb != DATA && p.mode == commands {
		// It asks for a message, whatever the client was heard to say.
		p.queue.clear()
		p.startMessage()
		l.remember(s, DATA)
		return
	}
	switch {
	case p.rejected && (p.mode == chunk || p.mode == waitChunk) && verb == NoVerb:
		l.noChunk(s)
		verb = p.queue.front()
	case p.lenientEnd && p.missed && p.mode != message && (verb == NoVerb || !fits(verb, r.code)):
		l.flag(s, Ambiguous) // it answers what the client said there, or a command that was lost
		p.dropLenientEnd(l)
	case p.lenientEnd && p.mode != message && (verb == NoVerb || !fits(verb, r.code)):
		// More replies than commands: the message ended before its end.
		l.endLeniently(s)
		verb = p.queue.front()
	case verb == NoVerb && r.code == 354: // to a DATA that was lost
		if s.Flags&(GapClient|Midstream) == 0 {
			l.flag(s, Ambiguous) // or that was taken for answered
		}
		if p.guessed { // what was taken for a message were commands
			p.again, p.guessed = 1, false
		}
		p.startMessage()
		l.remember(s, DATA)
		return
	case verb == NoVerb && p.mode == message:
		if verb = l.inferEndOfData(s, gap && lost); verb == NoVerb {
			return
		}
	case verb == DATA && r.code/100 == 2 && (s.Flags&GapServer == 0 || p.mode == waitData && len(p.held) == 0 && !p.lossy):
		// It answers a command before DATA that was lost, or that was taken for answered:
		// to the message it can be no reply, there is none.
		l.answered(s, NoVerb)
		return
	case verb == DATA && r.code/100 == 2 && p.mode == waitData && p.lossy && !p.heldMessage() && !p.heldCommand():
		l.inferNothing(s)
		verb = NoVerb
	case verb == DATA && r.code/100 == 2, verb == DATA && gap && p.mode == waitData && p.heldMessage():
		l.inferDataReply(s)
		verb = p.queue.front()
	case p.lenientEnd && verb != NoVerb && verb != endOfData && p.mode != message:
		p.dropLenientEnd(l) // the usual reading explains it
	}
	if verb == NoVerb && p.line.lost {
		p.line.lost = false // whatever it answers, the client's next line is a command
		if r.code == 334 {  // or a credential
			p.queue.push(AUTH)
			p.mode, p.lines = authing, 0
		}
		l.answered(s, NoVerb)
		return
	}
	if verb == NoVerb {
		if r.code < 400 || r.code >= 500 { // 421 and 451 announce that the server hangs up
			l.flag(s, ExtraReply)
		}
		l.answered(s, NoVerb)
		return
	}
	if verb == AUTH && r.code == 334 {
		l.remember(s, NoVerb) // a challenge: more credentials follow
		return
	}
	p.queue.pop()
	p.line.lost = false
	l.answered(s, verb)
	if p.queue.all == 0 || r.code == 354 {
		r.unsure = false
	}
}

// shortReply is about what the shortest reply takes: "250 ok" and a line end.
const shortReply = 8

// lostReplies drops the commands whose replies were lost. A client that waits has one
// command open, the last. One that pipelines went on because of what was lost (it must
// wait for the replies to EHLO and DATA, RFC 2920, section 3.1), and then it is
// the first that the reply fits.
func (l *Listener) lostReplies(s *Session) {
	r, p := &s.server, &s.client
	q := &p.queue
	if r.paused && p.mode == waitData && (len(p.held) > 0 || p.lossy) {
		l.inferGoAhead(s)
		return
	}
	r.unsure = r.unsure || q.all > 1
	if q.all > 1 && r.lost < uint64(q.all-1)*shortReply {
		s.Flags |= Pipelined // too little was lost for a client that waits
	}
	if s.Flags&Pipelined != 0 && q.all > r.open {
		for ; r.open > 0; r.open-- { // at most once for each command that was pushed
			q.pop()
		}
	}
	// At most once for each command that was pushed.
	for q.all > 1 && (s.Flags&Pipelined == 0 || !fits(q.front(), r.code)) {
		q.pop()
	}
	if v := q.front(); q.all == 1 && p.unheard && r.lost >= shortReply && (v == endOfData || v == bdatLast) {
		l.flag(s, Ambiguous) // the reply to it was lost, or this is it, and not one to what the client said since
		q.pop()
		l.unheld(s)
	}
}

// inferGoAhead is a client that went on behind DATA while replies were lost: all its commands were
// answered there. It went on with the message or, refused, with commands: those get replies that
// no message gets.
func (l *Listener) inferGoAhead(s *Session) {
	r, p := &s.server, &s.client
	switch {
	case p.lossy || p.overflown:
		l.inferNothing(s)
	case r.code == 500, r.code == 502:
		p.queue.clear()
		l.releaseCommands(s)
	default:
		for p.queue.n > 0 && p.queue.front() != DATA { // at most once for each command that was pushed
			p.queue.pop()
		}
	}
}

// inferNothing gives up on what follows DATA: what the server said to it is lost, and what it was, or a
// part of it.
func (l *Listener) inferNothing(s *Session) {
	p := &s.client
	l.flag(s, Ambiguous)
	p.queue.clear()
	l.giveBack(&p.held)
	p.mode, p.spill, p.overflown = commands, true, false
	p.line.lose(l)
}

// inferEndOfData is a reply while the client is in a message, as far as we saw: the server
// knows better. It returns the command that the reply answers. lost tells that a reply was lost.
func (l *Listener) inferEndOfData(s *Session, lost bool) Verb {
	p, code := &s.client, s.server.code
	if p.lenientEnd && p.lossy { // it ended there, or at an end that was lost
		l.flag(s, Ambiguous)
		p.dropLenientEnd(l)
	}
	switch {
	case p.lenientEnd:
		l.push(s, endOfData)
		held := p.queue
		l.endLeniently(s)
		after := p.queue
		p.queue = held
		for _, r := range after.runs[:after.n] {
			if !p.queue.pushAll(r.verb, r.count) {
				l.flag(s, TooManyPending)
			}
		}
		l.unheld(s)
	case code >= 400 && !p.lossy:
		// Refused before its end; the client may well go on sending.
		p.refused = true
		l.answered(s, endOfData)
		return NoVerb
	case p.lossy && lost: // the end and its reply, and what this one answers
		l.flag(s, Ambiguous)
		fallthrough
	case p.refused || !fits(endOfData, code):
		l.leaveMessage(s)
		l.answered(s, NoVerb)
		return NoVerb
	default:
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
	return endOfData
}

// inferDataReply is a positive reply to DATA, which has none but 354, or any reply after one was lost
// and a message was sent: what was lost is the reply to DATA. What the client sent
// since tells which one it was.
func (l *Listener) inferDataReply(s *Session) {
	p := &s.client
	p.queue.pop()
	if p.mode == message && p.lossy {
		l.flag(s, Ambiguous) // the reply to its end, or to what follows
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
	if p.mode != waitData {
		return
	}
	if !p.heldMessage() && p.heldCommand() {
		l.releaseCommands(s) // it was refused
		return
	}
	l.releaseMessage(s)
	p.guessed = true
	if p.mode == message {
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
}

// leaveMessage has the client be in its commands, as far as is known: a line that begins like one
// may be one of the message.
func (l *Listener) leaveMessage(s *Session) {
	p := &s.client
	p.mode, p.spill = commands, true
	p.line.lose(l)
}

// heldMessage reports whether what was sent since DATA has the end of a message in it.
func (p *parser) heldMessage() bool {
	var scan body = startCRLF
	_, e := scan.scan(p.held)
	return e != noEnd
}

// answered is what a reply means for the command that it answers.
func (l *Listener) answered(s *Session, v Verb) {
	r, p := &s.server, &s.client
	code := r.code
	text := l.remember(s, v)
	positive, phase := code < 400, v.phase()
	if v == NoVerb {
		phase = NoPhase
	}
	switch v {
	case connect:
		if s.Commands > 0 { // it may repeat what the client said before it
			text = l.shown(s, text, v)
		}
		s.banner = l.fix(s, text, maxReply)
		if p.early && s.Flags&GapServer == 0 {
			l.flag(s, EarlyTalker)
		}
	case EHLO, LHLO:
		if !positive {
			break
		}
		if s.Offers = r.offers; r.offers&OffersAuth != 0 {
			s.Auth = max(s.Auth, AuthOffered)
		}
	case MAIL:
		p.good = 0
	case RCPT:
		if positive {
			inc(&p.good)
		} else {
			inc(&s.RcptsRejected)
		}
	case DATA:
		switch {
		case code/100 == 3 && p.mode == waitData: // clients go by the first digit
			l.releaseMessage(s)
		case positive && p.mode == waitData: // no reply to DATA, and it was all that waited
			l.releaseCommands(s)
		case !positive:
			l.flag(s, DataRefused)
			switch {
			case p.mode == waitData:
				l.releaseCommands(s)
			case p.mode == message && p.lossy: // what refused it may have been its end
				l.leaveMessage(s)
			case p.mode == message:
				p.refused = true
			}
		}
	case BDAT, endOfData, bdatLast:
		if v != endOfData {
			v = l.chunkAnswered(s, v)
		}
		if v != BDAT && positive && fits(v, code) {
			if r.unsure && v == bdatLast {
				l.flag(s, Ambiguous)
			}
			l.accept(s)
		}
	case AUTH:
		if p.mode == authing {
			p.mode = commands
		}
		switch {
		case code/100 == 2:
			s.Auth = AuthOK
		case s.Auth != AuthOK:
			s.Auth = AuthFailed
		}
	case STARTTLS:
		switch {
		case code == 220:
			l.encrypt(s)
		default:
			l.flag(s, STARTTLSRefused)
			switch {
			case p.mode == waitTLS:
				l.releaseCommands(s)
			case p.mode >= hello:
				l.plainAgain(s)
			}
		}
	}
	var shown []byte
	if !positive {
		shown = l.shown(s, text, v)
		l.refused(s, v, phase, shown)
	}
	e := l.emit(Replied, phase, text)
	e.Code, e.Enhanced = code, r.enhanced
	if n := len(l.texts); len(shown) > 0 {
		l.texts = append(l.texts, shown...)
		e.Redacted = l.texts[n:]
	}
}

// chunkAnswered is a reply to BDAT, which decides what is held back since. It returns the command
// that counts as answered.
func (l *Listener) chunkAnswered(s *Session, v Verb) Verb {
	p, code := &s.client, s.server.code
	unknown := code >= 500 && code <= 502 || code == 504 // the server does not know BDAT
	if p.queue.all > 0 {                                 // it is another BDAT's chunk that is open
		return v
	}
	if p.mode == chunk { // nothing is held any more
		if p.rejected = true; unknown {
			l.noChunk(s)
		}
	}
	if p.mode != waitChunk {
		return v
	}
	complete := uint64(len(p.held)) >= p.left
	switch {
	case !p.strict && code < 400 && s.Flags&GapServer == 0, p.strict && code < 400 && complete:
		l.releaseChunk(s)
	case p.strict && s.server.unsure: // it may be the reply to another command
		p.rejected = true
		l.releaseChunk(s)
	case !p.strict:
		if code < 400 { // the reply to it may be lost
			l.flag(s, Ambiguous)
			v = BDAT
		}
		l.releaseCommands(s)
	case unknown:
		l.noChunk(s)
	case !complete || uint64(len(p.held)) == p.left:
		p.rejected = true
	default:
		l.eitherChunk(s)
	}
	return v
}

// refused counts a refusal and keeps the first ones.
func (l *Listener) refused(s *Session, v Verb, phase Phase, text []byte) {
	r := &s.server
	old := phase == Helo && r.code >= 500 && r.code <= 504 // a server that knows no EHLO
	switch v {
	case HELO, EHLO, LHLO, connect, MAIL, DATA, BDAT, endOfData, bdatLast:
		if old {
			break
		}
		if r.code >= 500 {
			inc(&s.Rejected)
		} else {
			inc(&s.Deferred)
		}
	}
	if old && v == EHLO || v == someLine || v == AUTH {
		return // nothing that concerns the mail
	}
	if int(s.nrefusal) < maxRefusal {
		s.refusals[s.nrefusal] = Refusal{Phase: phase, Code: r.code, Enhanced: r.enhanced, text: l.fix(s, text, maxReply)}
		s.nrefusal++
	}
}

// remember notes the reply as the last one and returns its text, unless it is one that has nothing
// else to say than what line the server did not understand. What of the text is shown is another
// matter; see shown.
func (l *Listener) remember(s *Session, v Verb) []byte {
	r := &s.server
	s.LastCode, s.LastEnhanced, s.lastLen, r.answered = r.code, r.enhanced, 0, v
	switch {
	case v == AUTH, v == someLine, r.code == 235, v == NoVerb && r.code >= 300 && r.code != 354 && r.code != 421 && r.code < 550 && !(r.code == 451 && s.allHeard()),
		r.code >= 500 && r.code <= 502 && v != connect && v != MAIL && v != RCPT:
		return nil
	}
	s.lastLen = r.textLen
	return r.text[:s.lastLen]
}

// allHeard reports whether all that the client said so far were commands, none of them AUTH: then no reply
// can quote a password, not even one to nothing.
func (s *Session) allHeard() bool {
	return s.client.heard && s.Flags&(Midstream|GapClient|GapServer|TooManyPending|UnknownCommand|LongLine) == 0 && s.Auth < AuthTried && !s.client.ambiguous
}

// overheard is a reply to a client that is not heard.
func (l *Listener) overheard(s *Session) {
	r := &s.server
	v := s.client.queue.front()
	switch {
	case v == connect:
		s.client.queue.pop()
	case r.code == 354:
		r.want, v = true, DATA
	case r.want:
		r.want, v = false, endOfData
	case r.offers != 0:
		v = EHLO
	}
	l.answered(s, v)
}

// count adds a reply code; when there are too many different ones, the rest is left out.
func (s *Session) count(code uint16) {
	for i := range s.codes {
		c := &s.codes[i]
		if c.Code == code || c.Count == 0 {
			c.Code = code
			if c.Count < 65535 {
				c.Count++
			}
			return
		}
	}
}
