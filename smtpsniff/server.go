package smtpsniff

import "bytes"

// serverParser is the state of the server's half.
type serverParser struct {
	line         lineReader
	lines        uint8 // number of lines; it saturates
	first        firstBytes
	gap          bool   // replies may be missing: the next one may answer a later command
	pendingAtGap uint32 // commands that waited for a reply at the gap
	dataAtGap    bool   // the last of them was DATA, without bytes behind it
	lostBytes    uint64 // since the last reply
	uncertain    bool   // which command a reply answers, since a gap; until a 354 or an empty queue
	wantsMessage bool   // the server has sent a 354 to a client that is not captured
	// The reply in hand, which may have several lines.
	code      uint16
	enhanced  Enhanced
	continues bool // more lines follow
	cutShort  bool // its end was not captured, but the client will show whether it has ended
	codeless  bool // a line without a code came since the last reply; see endCodeless
	offers    Extensions
	text      [maxReply]byte
	textLen   uint16
	answered  Verb // the command that the last reply answers
	tls       recordSkipper
}

// parseServer reads bytes of the server.
func (l *Listener) parseServer(s *Session, b []byte) {
	r := &s.server
	if r.lines == 0 {
		first, tls, sure := r.first.startsTLS(&b, s.Flags&Midstream != 0)
		if !sure {
			return
		}
		r.lines = 1
		if tls && !s.client.seen.client {
			s.Proto, s.Encryption, s.client.mode = TLS, Implicit, encrypted
			l.emit(TLSStarted, NoPhase, nil)
		}
		l.parseServer(s, first)
	}
	for len(b) > 0 { // each round takes a line
		if s.client.mode >= inHello && (r.line.buf == nil || r.tls.lost) {
			b = r.tls.skip(b)
			if r.tls.seen {
				r.line.drop(l)
				l.confirmTLS(s)
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

// replyLine reads a line of a reply: three digits, a hyphen when more lines follow, text (RFC 5321,
// section 4.2). All lines of a reply have the same code (section 4.2.1): a line with another code
// begins a new reply, whether or not the one before has ended. The text may be missing, with the
// blank before it, and a tab counts as a blank.
func (l *Listener) replyLine(s *Session, line []byte) {
	r := &s.server
	code := replyCode(line)
	if code == noCode {
		l.codelessLine(s, line)
		return
	}
	r.line.lost, r.codeless = false, r.codeless && r.continues
	if s.Proto != TLS {
		s.Proto = SMTP
	}
	if r.lines < 255 {
		r.lines++
	}
	more := len(line) > 3 && line[3] == '-'
	text := line[min(4, len(line)):]
	r.continues, r.cutShort = r.continues || r.cutShort && r.code == code, false
	if !r.continues || r.code != code {
		if r.code, r.textLen, s.lastLen = code, 0, 0; !r.continues { // or one line has a wrong code
			r.offers = 0
		}
		r.enhanced, _ = parseEnhanced(text, code)
	}
	if code == 250 {
		r.offers |= offered(text)
	}
	// A refusal is kept whole; of any other reply the first line is enough.
	if r.textLen == 0 || code >= 400 {
		if r.textLen > 0 {
			_, text = parseEnhanced(text, code) // each line repeats it
			r.add([]byte{' '})
		}
		r.add(text)
	}
	if r.continues = more; !more {
		l.reply(s)
	}
}

// noCode is no code of a reply.
const noCode = ^uint16(0)

// replyCode is the code at the beginning of a line of a reply; noCode if the line is none.
func replyCode(line []byte) uint16 {
	if len(line) < 3 {
		return noCode
	}
	a, b, c := line[0]-'0', line[1]-'0', line[2]-'0'
	if a > 9 || b > 9 || c > 9 || len(line) > 3 && line[3] != '-' && !blank(line[3]) {
		return noCode
	}
	return uint16(a)*100 + uint16(b)*10 + uint16(c)
}

// codelessLine handles a line of the server that is no line of a reply.
func (l *Listener) codelessLine(s *Session, line []byte) {
	r := &s.server
	if len(line) == 0 || r.line.lost {
		return
	}
	if s.Proto == Unknown {
		s.Proto = OtherApp
	}
	l.flag(s, BadReply)
	r.codeless = s.client.mode < inHello
}

// add appends to the text of the reply, as far as there is room.
func (r *serverParser) add(b []byte) { r.textLen += uint16(copy(r.text[r.textLen:], b)) }

// offered reads a line of an answer to EHLO. Some servers write AUTH=LOGIN, so that the beginning
// of a word identifies it.
func offered(text []byte) Extensions {
	if len(text) < 4 {
		return 0
	}
	word, ext := "", Extensions(0)
	switch text[0] &^ 0x20 {
	case 'A':
		word, ext = "AUTH", OffersAuth
	case 'S':
		word, ext = "STARTTLS", OffersSTARTTLS
	case 'P':
		word, ext = "PIPELINING", OffersPipelining
	case 'C':
		word, ext = "CHUNKING", OffersChunking
	}
	if word == "" || len(text) < len(word) || !equalFold(text[:len(word)], word) {
		return 0
	}
	return ext
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// parseEnhanced reads class.subject.detail at the start of a text (RFC 2034, section 4), and
// returns the text behind it. Most codes have one digit in each place: about 20 instructions.
func parseEnhanced(b []byte, code uint16) (e Enhanced, rest []byte) {
	if len(b) < 6 || b[1] != '.' || b[3] != '.' || b[5] != ' ' {
		return parseAnyEnhanced(b, code)
	}
	class, subject, detail := uint16(b[0])-'0', uint16(b[2])-'0', uint16(b[4])-'0'
	if class != code/100 || subject > 9 || detail > 9 {
		return Enhanced{}, b
	}
	return Enhanced{class, subject, detail}, trimLeft(b[6:])
}

// parseAnyEnhanced is parseEnhanced for codes of any length.
func parseAnyEnhanced(b []byte, code uint16) (e Enhanced, rest []byte) {
	if len(b) < 5 || !digit(b[0]) { // most texts without a code
		return Enhanced{}, b
	}
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
	// The class is the first digit of the code (RFC 2034, section 4). Other numbers are a version
	// or the beginning of an address.
	if n[0] != code/100 {
		return Enhanced{}, b
	}
	return Enhanced{n[0], n[1], n[2]}, trimLeft(rest)
}

// cutReply reads a reply line whose end was not captured: it is as good as a whole one. A word that
// may be cut is left out. The client shows whether the answer to EHLO ends in the missing bytes: it
// waits for that end (RFC 2920, section 3.1).
func (l *Listener) cutReply(s *Session) {
	r := &s.server
	if b := r.line.buf; len(b) >= 4 && s.client.mode < inHello {
		switch i := bytes.LastIndexByte(b, ' '); {
		case b[3] == ' ':
			l.replyLine(s, b[:i])
		case b[3] == '-':
			l.replyLine(s, b[:max(i, 4)])
		}
	}
	r.cutShort = r.continues && s.client.pending.front() == EHLO
}

// endCutReply ends a reply whose end was not captured: the client continues.
func (l *Listener) endCutReply(s *Session) {
	if r := &s.server; r.cutShort {
		r.cutShort, r.gap, r.lostBytes = false, false, 0
		l.reply(s)
	}
}

// endCodeless handles a line of the server without a code, as "4.7.0 TLS not available": it is the
// reply for which the client has waited, because the client continues. A client that does not wait
// shows nothing. In a reply of several lines the line was the last one.
func (l *Listener) endCodeless(s *Session) {
	r, p := &s.server, &s.client
	if !r.codeless || p.mode == waitTLS {
		return // behind STARTTLS, the client's first bytes decide: see holdAfterSTARTTLS
	}
	r.codeless = false
	switch {
	case p.pending.total != 1 || r.gap:
	case r.continues:
		r.continues = false
		l.reply(s)
	default:
		l.codelessReply(s)
	}
}

// codelessReply applies a reply without a code to the only pending command. What it decides is seen
// in what the client does next.
func (l *Listener) codelessReply(s *Session) {
	p := &s.client
	switch p.pending.front() {
	case AUTH: // credentials follow, or a command
		p.auth.unclear = true
		return
	case DATA: // a message follows, or a command
		p.tx.unclear = true
		return
	case BDAT, bdatLast, endOfData:
		if p.mode != inCommands {
			return // the chunk is sent in any case
		}
		l.flag(s, Ambiguous) // nobody knows whether the server took it
	}
	p.pending.pop()
}

// serverGap handles a gap of n bytes in the server's half. It records which commands waited there:
// the next reply may answer any of them, or one behind them; see skipLostReplies.
func (l *Listener) serverGap(s *Session, n int) {
	r, p := &s.server, &s.client
	l.cutReply(s)
	l.giveBack(&p.alt.bytes)
	emptyData := p.mode == waitData && len(p.held.bytes) == 0 && !p.tx.lossy
	r.dataAtGap = r.gap && r.dataAtGap || emptyData
	r.gap, r.continues, r.tls.lost = true, false, true
	if p.mode == waitChunk && p.chunk.strict {
		l.rereadAsChunk(s) // the reply that decides may be lost
	}
	r.pendingAtGap = p.pending.total
	if p.held.uncertain { // perhaps commands
		r.pendingAtGap += uint32(bytes.Count(p.held.bytes, []byte{'\n'}))
	}
	r.lostBytes += uint64(n)
	r.line.lose(l)
	r.first.n = 0
}

// serverSeen records that bytes of the server are captured. It may still have to answer messages
// that were counted because no reply would confirm them.
func (l *Listener) serverSeen(s *Session) {
	p := &s.client
	if !p.seen.oneSided {
		return
	}
	p.seen.oneSided, p.seen.unconfirmed = false, s.Messages
	if p.seen.unconfirmed > 0 {
		l.flag(s, Ambiguous)
	}
}
