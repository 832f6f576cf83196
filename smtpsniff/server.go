package smtpsniff

import "bytes"

// serverParser is the server's side of a session.
type serverParser struct {
	line         lineReader
	lines        uint8 // lines, up to 255
	first        firstBytes
	gap          bool   // replies may be missing: what the next one answers is uncertain
	pendingAtGap uint32 // commands that were waiting when they were lost
	dataAtGap    bool   // the last of them was DATA, and nothing was sent behind it
	lostBytes    uint64 // bytes, since the last reply
	uncertain    bool   // which command is answered, since something was lost; a 354 tells, and an empty queue
	wantsMessage bool   // a client that is not heard was told to send a message
	// The reply in hand, when it has several lines.
	code      uint16
	enhanced  Enhanced
	continues bool
	cutShort  bool // its end was not seen, but the client will show whether it is over
	offers    Extensions
	text      [maxReply]byte
	textLen   uint16
	answered  Verb // by the last reply
	tls       recordSkipper
}

// parseServer takes in bytes of the server.
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
		if s.client.mode >= inHello && r.line.buf == nil {
			b = r.tls.skip(b)
			if r.tls.seen {
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
	if r.lines < 255 {
		r.lines++
	}
	code := uint16(line[0]-'0')*100 + uint16(line[1]-'0')*10 + uint16(line[2]-'0')
	more := len(line) > 3 && line[3] == '-'
	text := line[min(4, len(line)):]
	r.continues, r.cutShort = r.continues || r.cutShort && r.code == code, false
	if !r.continues || r.code != code {
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
	if r.continues = more; !more {
		l.reply(s)
	}
}

func (r *serverParser) add(b []byte) { r.textLen += uint16(copy(r.text[r.textLen:], b)) }

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

// cutReply is a reply whose line was not seen to its end: it says no less for that. A word that may be cut is left
// out. Whether the answer to EHLO ends in what is missing, the client tells: it waits for that
// (RFC 2920, section 3.1).
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

// endCutReply ends a reply whose end was not seen: the client goes on.
func (l *Listener) endCutReply(s *Session) {
	if r := &s.server; r.cutShort {
		r.cutShort, r.gap, r.lostBytes = false, false, 0
		l.reply(s)
	}
}

// serverGap is bytes of the server that were not seen.
func (l *Listener) serverGap(s *Session, n int) {
	r, p := &s.server, &s.client
	l.cutReply(s)
	l.giveBack(&p.alt.bytes)
	r.dataAtGap = r.gap && r.dataAtGap || p.mode == waitData && len(p.held.bytes) == 0 && !p.tx.lossy
	r.gap, r.continues, r.tls.lost = true, false, true
	if p.mode == waitChunk && p.chunk.strict {
		l.rereadAsChunk(s) // what decides may be lost
	}
	r.pendingAtGap = p.pending.total
	if p.held.uncertain { // commands, perhaps
		r.pendingAtGap += uint32(bytes.Count(p.held.bytes, []byte{'\n'}))
	}
	r.lostBytes += uint64(n)
	r.line.lose(l)
	r.first.n = 0
}

// serverSeen notes that there is a server to be heard. It may still have to answer messages that were
// counted because nobody would confirm them.
func (l *Listener) serverSeen(s *Session) {
	p := &s.client
	if !p.seen.oneSided {
		return
	}
	p.seen.oneSided, p.seen.counted = false, s.Messages
	if p.seen.counted > 0 {
		l.flag(s, Ambiguous)
	}
}
