package smtpsniff

import "bytes"

// startMessage begins to read a message.
func (p *clientParser) startMessage() {
	p.mode, p.body, p.line.lost = inMessage, startCRLF, false
	p.tx.lossy, p.tx.gapInMessage, p.tx.refused, p.seen.sentMessage = false, false, false, true
}

// endMessage handles the line with the dot. An SMTP server replies to it once, an LMTP server once
// for each recipient that it accepted, because each copy can fail alone (RFC 2033, section 4.2).
// Where replies to RCPT may be lost, each RCPT counts as accepted.
func (l *Listener) endMessage(s *Session) {
	p := &s.client
	p.mode, p.tx.counted = inCommands, false
	n := uint32(1)
	if s.HeloVerb == LHLO {
		if n = p.tx.accepted; s.Flags&GapServer != 0 {
			n = p.tx.rcpts
		}
	}
	if !p.tx.refused {
		l.pushN(s, endOfData, max(1, n))
	}
	p.tx.rcpts, p.tx.accepted, p.tx.hasSender = 0, 0, false
	if p.seen.oneSided {
		// No reply will come. The message counts as accepted: a server that does not want it
		// usually refuses its client, its sender or its recipients.
		l.countMessage(s)
		if p.held.lenientEnd && p.heldIsCommand() {
			l.flag(s, Ambiguous)
		}
		p.dropLenientEnd(l)
		p.pending.clear()
	}
}

// endLeniently goes back to a lenient end of a message: this server has ended the message there.
// The bytes behind it are read again, as commands. If they are commands, a sender may have put a
// second message into the text of the first, past the filter of a relay that knows CRLF alone:
// that is SMTP smuggling. Otherwise the client is careless about line ends.
func (l *Listener) endLeniently(s *Session) {
	p := &s.client
	if p.heldIsCommand() {
		l.flag(s, Smuggling)
	} else {
		l.flag(s, BareLF)
	}
	l.rewind(s, &p.held.resume)
	l.reread(s)
}

// leaveMessage records that the client is in its commands, as far as is known: a line that looks
// like a command may still be one of the message.
func (l *Listener) leaveMessage(s *Session) {
	p := &s.client
	p.mode, p.tx.spill = inCommands, true
	// The next line may be the rest of one whose beginning was taken for text.
	p.line.lose(l)
}

// spillLine handles a line behind a refused DATA, and reports whether it belongs to the message. A
// client must not send the message then (RFC 5321, section 3.3). A bot that does not read replies
// sends it, and the server replies to each of its lines as to a command. Such a line may look like
// a command, as "Helo WORD" where the client has greeted, or MAIL without FROM. A sender, RSET or
// QUIT begin something else.
func (l *Listener) spillLine(s *Session, verb Verb, rest []byte) bool {
	p := &s.client
	switch verb {
	case HELO, EHLO, LHLO:
		if s.HeloVerb == NoVerb && s.Flags&(Midstream|GapClient) == 0 {
			p.tx.spill = false
			return false
		}
		inc(&s.Commands)
		l.addSensitive(s, rest)
		l.push(s, verb)
		return true
	case MAIL:
		if keyword, _, _ := bytes.Cut(rest, []byte(":")); !equalFold(trim(keyword), "FROM") {
			l.unknownLine(s, rest)
			return true
		}
		p.tx.spill = false
	case RSET, QUIT, STARTTLS, DATA, BDAT:
		p.tx.spill = false
	}
	return false
}

// bdatCommand is BDAT size [LAST] (RFC 3030, section 2). The client sends the chunk whether or not
// the server accepts BDAT, and a server that does not know BDAT reads the chunk as commands. As
// with DATA the reply decides; the bytes held until then are a chunk unless it shows otherwise.
// Without a valid size the client stays in its commands. Exim (4.96) accepts a sign before the size
// and any text behind it, other servers accept neither.
func (l *Listener) bdatCommand(s *Session, rest []byte) {
	p := &s.client
	size, valid, strict, last := parseChunkSize(rest)
	if !valid || !strict {
		l.flag(s, BadBDAT)
	}
	if !valid || !strict && p.seen.oneSided {
		l.push(s, BDAT)
		return
	}
	verb := BDAT
	if last {
		verb = bdatLast
	}
	waits := l.push(s, verb)
	p.chunk.left, p.chunk.strict, p.chunk.rejected = size, strict, false
	switch {
	case size == 0:
	case strict && (p.seen.oneSided || p.held.complete || s.server.gap || !waits ||
		p.held.lenientEnd):
		p.mode, p.seen.sentMessage = inChunk, true
	case waits:
		p.mode, p.held.truncated = waitChunk, false
		p.dropLenientEnd(l)
	}
	if last && p.seen.oneSided {
		l.countMessage(s)
	}
}

// burlCommand is BURL url [LAST] (RFC 4468, section 3): the server fetches a part of the message,
// or the rest of it, from a mailbox. It replies as to a chunk, and no bytes follow.
func (l *Listener) burlCommand(s *Session, rest []byte) {
	rest = trim(rest)
	l.addSensitive(s, rest) // the URL has a credential
	verb := BDAT
	if i := bytes.LastIndexByte(rest, ' '); equalFold(rest[i+1:], "LAST") {
		verb = bdatLast
	}
	l.push(s, verb)
	if verb == bdatLast && s.client.seen.oneSided {
		l.countMessage(s)
	}
}

// parseChunkSize reads the arguments of BDAT. The size is valid with 1 to 18 digits, which fit in
// 63 bits; strict is the standard's form, digits and perhaps LAST (RFC 3030, section 2). The last
// chunk may have no bytes: "BDAT 0 LAST" ends a message whose bytes are in the chunks before it.
func parseChunkSize(rest []byte) (size uint64, valid, strict, last bool) {
	rest = trimLeft(rest)
	signed := len(rest) > 0 && rest[0] == '+'
	if signed {
		rest = rest[1:]
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		if digits < 19 {
			size = size*10 + uint64(rest[digits]-'0')
		}
		digits++
	}
	tail := trim(rest[digits:])
	last = equalFold(tail, "LAST")
	return size, digits > 0 && digits <= 18, !signed && (len(tail) == 0 || last), last
}

// countMessage counts an accepted message: the 2xx reply makes the server responsible for it (RFC
// 5321, section 4.2.5). Messages that were counted before their reply are not counted again.
func (l *Listener) countMessage(s *Session) {
	if s.client.tx.counted { // LMTP: the copy for another recipient
		return
	}
	s.client.tx.counted = s.HeloVerb == LHLO
	if s.client.seen.unconfirmed > 0 {
		s.client.seen.unconfirmed--
		return
	}
	inc(&s.Messages)
	l.emit(MessageAccepted, EndOfData, nil)
}
