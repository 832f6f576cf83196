package smtpsniff

import "bytes"

// Bytes that a client sends ahead of a reply have two readings. The listener holds them, up to
// 8 KiB, and reads them when the reply shows how the server has read them:
//
//	behind     a positive reply                       a refusal
//	DATA       a message (354)                        commands: a client must not send a message
//	                                                  without a 354 (RFC 5321, section 3.3)
//	BDAT       a chunk, and commands behind it        the same, with the chunk discarded; commands
//	                                                  if the server has no CHUNKING (RFC 3030, 2)
//	STARTTLS   TLS (220)                              commands (RFC 3207, section 4)
//	dot and    text of the message: the server        the same; one more reply than that explains
//	bare LF    knows CRLF alone (RFC 5321, 2.3.8)     shows that the server has ended the message
//
// A bot could otherwise hide commands in bytes that the sensor takes for a message, or pass off
// text as commands. Only 8 KiB of held bytes decide before the reply: no dialogue that is sent
// ahead is as long.

// snapshot has the counts of a session before bytes that may be read again.
type snapshot struct {
	mails, rcpts, commands uint32
	nsenders               uint8
	text                   uint16
	helo                   span
	heloVerb               Verb
}

// snapshot takes the counts.
func (s *Session) snapshot() snapshot {
	return snapshot{mails: s.Mails, rcpts: s.Rcpts, commands: s.Commands, nsenders: s.nsenders,
		text: uint16(len(s.text)), helo: s.helo, heloVerb: s.HeloVerb}
}

// rewind restores the counts of a snapshot. From there on the client is in its commands. Flags and
// events of the first reading stay: the caller may have read them already.
func (l *Listener) rewind(s *Session, m *snapshot) {
	p := &s.client
	s.Mails, s.Rcpts, s.Commands = m.mails, m.rcpts, m.commands
	s.nsenders, s.helo, s.HeloVerb = m.nsenders, m.helo, m.heloVerb
	// The texts of replies that came since then stay: they do not depend on the reading.
	s.text = s.text[:max(m.text, s.fixedLen)]
	p.pending.clear()
	l.giveBack(&p.line.buf)
	p.line.long = false
	p.mode = inCommands
}

// hold appends bytes of the client to those held, up to the first missing bytes.
func (p *clientParser) hold(l *Listener, b []byte) {
	if p.held.truncated && len(p.held.bytes) > 0 {
		return
	}
	n := min(len(b), maxHeld-len(p.held.bytes))
	p.held.bytes = l.blocks.append(p.held.bytes, b[:n])
	if n < len(b) {
		p.held.truncated = true
	}
}

// holdChunk holds the bytes behind a BDAT without a reply, and returns those for which there is no
// room. A server with CHUNKING replies when it has the whole chunk (RFC 3030, section 2), so that
// the chunk of a usual message is held in full; a server without it refuses BDAT at once.
func (l *Listener) holdChunk(s *Session, b []byte) []byte {
	p := &s.client
	n := min(len(b), maxHeld-len(p.held.bytes))
	p.hold(l, b[:n])
	switch {
	case len(p.held.bytes) == maxHeld: // as in waitData
		p.held.complete = true
		l.rereadAsChunk(s)
		p.held.complete = false
	case p.chunk.rejected && uint64(len(p.held.bytes)) > p.chunk.left:
		l.rereadAsEither(s)
	}
	return b[n:]
}

// holdAfterSTARTTLS holds the bytes behind a STARTTLS without a reply, until they show whether they
// are TLS. A client waits for the reply, and STARTTLS is the last command of a group (RFC 3207,
// section 4). Commands behind it are an attack on servers that execute them inside TLS, as if the
// client had sent them encrypted (CVE-2011-0411).
func (l *Listener) holdAfterSTARTTLS(s *Session, b []byte) {
	p := &s.client
	p.hold(l, b)
	switch tls, sure := startsTLS(p.held.bytes, false); {
	case !sure:
	case tls: // the server's consent was not captured yet; STARTTLS stays pending
		p.enterHello(s, 0)
		l.readHello(s, nil, false)
	case s.server.codeless && p.pending.total == 1: // the reply that the client waited for
		s.server.codeless = false
		l.flag(s, STARTTLSRefused)
		p.pending.pop()
		l.rereadAsCommands(s)
	default:
		l.flag(s, AfterSTARTTLS)
	}
}

// reread parses the held bytes again.
func (l *Listener) reread(s *Session) {
	p := &s.client
	held, missing := p.held.bytes, p.held.truncated
	p.held.bytes, p.held.lenientEnd, p.held.truncated = nil, false, false
	if len(held) > 0 {
		l.parseClient(s, held)
	}
	if missing {
		l.clientGap(s, 1) // at least
	}
	if held != nil {
		l.blocks.put(held)
	}
}

// heldIsCommand reports whether the first held line is a command.
func (p *clientParser) heldIsCommand() bool {
	line, _, _ := bytes.Cut(p.held.bytes, []byte{'\n'})
	v, _ := parseVerb(bytes.TrimSuffix(line, []byte{'\r'}))
	return v != NoVerb
}

// heldHasEnd reports whether the held bytes have the end of a message in them. They begin behind
// the line end of DATA: a message without text is a line with a dot (RFC 5321, section 4.1.1.4).
func (p *clientParser) heldHasEnd() bool {
	var scan endScanner = startCRLF
	_, e := scan.scan(p.held.bytes)
	return e != noEnd
}

// holdUncertain handles a line behind a gap, or at the beginning of a session that was captured
// from its middle: it may be a command, the rest of one, or a line of a message. Commands are held
// until a reply shows that the client is in its commands; see classifyHeld. It reports whether it
// took the line.
func (l *Listener) holdUncertain(s *Session, line []byte) bool {
	p := &s.client
	if p.seen.oneSided && s.Flags&Midstream == 0 {
		// No reply will confirm it. The first line that looks like a command counts as one.
		v, _ := parseVerb(line)
		p.line.lost = v == NoVerb
		l.flag(s, Ambiguous)
		return p.line.lost
	}
	if v, _ := parseVerb(line); v == NoVerb {
		p.seen.strays++
		l.addSensitive(s, line)
		return true
	}
	p.held.uncertain = true
	p.hold(l, line)
	p.hold(l, []byte("\r\n"))
	return true
}

// classifyHeld decides about held lines that may be commands. They are commands if no other line
// came with them; a message has several lines.
func (l *Listener) classifyHeld(s *Session) {
	p := &s.client
	if !p.held.uncertain {
		return
	}
	p.held.uncertain = false
	if p.seen.strays > 0 || p.held.truncated {
		p.held.truncated = false
		l.giveBack(&p.held.bytes)
		return
	}
	p.line.lost = false
	l.reread(s)
}

// releaseUnawaited reads the held bytes as commands if no pending command can get the reply for
// which they are held. Otherwise they would be held to the end of the session, and 8 KiB of
// commands would count as a message.
func (l *Listener) releaseUnawaited(s *Session) {
	awaited := [...]Verb{waitData: DATA, waitTLS: STARTTLS, waitChunk: BDAT, encrypted: NoVerb}
	want, last := awaited[s.client.mode], s.client.pending.last()
	if want != NoVerb && last != want && (want != BDAT || last != bdatLast) {
		l.rereadAsCommands(s)
	}
}

// rereadAsMessage reads the bytes since DATA as a message.
func (l *Listener) rereadAsMessage(s *Session) {
	s.client.startMessage()
	l.reread(s)
}

// rereadAsCommands reads the held bytes as commands.
func (l *Listener) rereadAsCommands(s *Session) {
	s.client.tx.spill = s.client.tx.spill || s.client.mode == waitData
	s.client.mode = inCommands
	l.reread(s)
}

// rereadAsChunk reads the bytes since BDAT as its chunk, and those behind it as commands.
func (l *Listener) rereadAsChunk(s *Session) {
	p := &s.client
	if uint64(len(p.held.bytes)) > p.chunk.left && !p.chunk.rejected {
		l.pipelined(s) // the reply to BDAT came behind the commands that follow the chunk
	}
	p.mode, p.seen.sentMessage = inChunk, true
	l.reread(s)
}

// rereadAsEither is rereadAsChunk where the server has refused BDAT. A server with CHUNKING must
// discard the chunk of a BDAT that it refuses; a server without it reads the chunk as commands (RFC
// 3030, section 2). The replies show which; until then both readings are kept.
func (l *Listener) rereadAsEither(s *Session) {
	p := &s.client
	if p.alt.bytes == nil {
		other, m := l.blocks.append(nil, p.held.bytes), s.snapshot()
		l.rereadAsChunk(s)
		p.alt.bytes, p.alt.replies, p.alt.resume = other, 0, m
		return
	}
	l.rereadAsChunk(s)
}

// contradictsChunk reports whether a reply to this command shows that the server read a refused
// chunk as commands: it replies more often than the commands behind the chunk explain, with a code
// of another command, or positively to a line that is no command.
func (p *clientParser) contradictsChunk(v Verb, code uint16) bool {
	return p.alt.bytes != nil && (v == NoVerb || !fits(v, code) || v == notCommand && code < 400)
}

// switchToAlternative goes back to the beginning of a refused chunk, and reads it as commands.
func (l *Listener) switchToAlternative(s *Session) {
	p := &s.client
	l.flag(s, BadBDAT)
	l.rewind(s, &p.alt.resume)
	p.dropLenientEnd(l)
	l.giveBack(&p.held.bytes)
	p.held.bytes, p.alt.bytes = p.alt.bytes, nil
	p.held.truncated, p.held.uncertain = false, false
	p.chunk.rejected, p.chunk.left = false, 0
	l.reread(s)
	// The replies since the chunk are read already. In this reading they answer its first commands.
	for ; p.alt.replies > 0 && p.pending.n > 0; p.alt.replies-- { // at most once for each reply
		p.pending.pop()
	}
	l.releaseUnawaited(s)
}

// chunkWasCommands reads a chunk as commands: the server, which refused BDAT, answers what is in
// it.
func (l *Listener) chunkWasCommands(s *Session) {
	p := &s.client
	l.flag(s, BadBDAT)
	p.chunk.rejected = false
	if p.mode == waitChunk {
		l.rereadAsCommands(s)
		return
	}
	p.mode, p.chunk.left = inCommands, 0
	p.line.lose(l)
}

// dropLenientEnd drops the other reading of a message's end.
func (p *clientParser) dropLenientEnd(l *Listener) {
	if p.held.lenientEnd {
		p.held.lenientEnd, p.held.truncated = false, false
		l.giveBack(&p.held.bytes)
	}
}
