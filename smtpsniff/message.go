package smtpsniff

import "bytes"

// startMessage begins to read a message.
func (p *clientParser) startMessage() {
	p.mode, p.body, p.line.lost = inMessage, startCRLF, false
	p.tx.lossy, p.tx.gapInMessage, p.tx.refused, p.seen.message = false, false, false, true
}

// endMessage is the line with the dot.
func (l *Listener) endMessage(s *Session) {
	p := &s.client
	p.mode, p.tx.counted = inCommands, false
	n := uint32(1)
	if s.HeloVerb == LHLO {
		if n = p.tx.accepted; s.Flags&GapServer != 0 { // LMTP answers for each recipient that was taken
			n = p.tx.rcpts
		}
	}
	if !p.tx.refused {
		l.pushN(s, endOfData, max(1, n))
	}
	p.tx.rcpts, p.tx.accepted, p.tx.hasSender = 0, 0, false
	if p.seen.oneSided {
		l.countMessage(s)
		if p.held.lenientEnd && p.heldIsCommand() {
			l.flag(s, Ambiguous)
		}
		p.dropLenientEnd(l)
		p.pending.clear()
	}
}

// endLeniently goes back to the line with a dot that only some servers take for the end of
// a message: this one did. What followed it is read again, as commands.
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

// leaveMessage has the client be in its commands, as far as is known: a line that begins like one
// may be one of the message.
func (l *Listener) leaveMessage(s *Session) {
	p := &s.client
	p.mode, p.tx.spill = inCommands, true
	p.line.lose(l)
}

// spillLine takes a line behind a refused DATA that is one of the message, be it that it begins like
// a command: "Helo WORD" where the client has greeted, MAIL without FROM. A sender, RSET or QUIT
// begin something else.
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

// bdat is BDAT size [LAST] (RFC 3030, section 2). The chunk is sent whatever the server thinks of
// it, and a server that does not know BDAT takes it for commands: its reply tells, as that to DATA
// does, and what is held back until then is a chunk unless it says otherwise. A size that is none
// leaves the client in its commands. Exim (4.96) takes a sign before the size and anything behind
// it, others take neither.
func (l *Listener) bdatCommand(s *Session, rest []byte) {
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
	if none || !strict && p.seen.oneSided {
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
	case strict && (p.seen.oneSided || p.held.complete || s.server.gap || !waits || p.held.lenientEnd):
		p.mode, p.seen.message = inChunk, true
	case waits:
		p.mode, p.held.truncated = waitChunk, false
		p.dropLenientEnd(l)
	}
	if last && p.seen.oneSided {
		l.countMessage(s)
	}
}

// countMessage counts a message that was taken.
func (l *Listener) countMessage(s *Session) {
	if s.client.tx.counted { // LMTP: another recipient's copy
		return
	}
	s.client.tx.counted = s.HeloVerb == LHLO
	if s.client.seen.counted > 0 {
		s.client.seen.counted--
		return
	}
	inc(&s.Messages)
	l.emit(MessageAccepted, EndOfData, nil)
}
