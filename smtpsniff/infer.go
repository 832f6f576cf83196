package smtpsniff

// shortReply is about what the shortest reply takes: "250 ok" and a line end.
const shortReply = 8

// skipLostReplies drops the commands whose replies were lost. A client that waits has one
// command open, the last. One that pipelines went on because of what was lost (it must
// wait for the replies to EHLO and DATA, RFC 2920, section 3.1), and then it is
// the first that the reply fits.
func (l *Listener) skipLostReplies(s *Session) {
	r, p := &s.server, &s.client
	q := &p.pending
	if r.dataAtGap && p.mode == waitData && (len(p.held.bytes) > 0 || p.tx.lossy) {
		l.inferGoAhead(s)
		return
	}
	r.uncertain = r.uncertain || q.total > 1
	if q.total > 1 && r.lostBytes < uint64(q.total-1)*shortReply {
		s.Flags |= Pipelined // too little was lost for a client that waits
	}
	if s.Flags&Pipelined != 0 && q.total > r.pendingAtGap {
		for ; r.pendingAtGap > 0; r.pendingAtGap-- { // at most once for each command that was pushed
			q.pop()
		}
	}
	// At most once for each command that was pushed.
	for q.total > 1 && (s.Flags&Pipelined == 0 || !fits(q.front(), r.code)) {
		q.pop()
	}
	if v := q.front(); q.total == 1 && p.seen.gapSinceCommand && r.lostBytes >= shortReply && (v == endOfData || v == bdatLast) {
		l.flag(s, Ambiguous) // the reply to it was lost, or this is it, and not one to what the client said since
		q.pop()
		l.releaseUnawaited(s)
	}
}

// inferGoAhead is a client that went on behind DATA while replies were lost: all its commands were
// answered there. It went on with the message or, refused, with commands: those get replies that
// no message gets.
func (l *Listener) inferGoAhead(s *Session) {
	r, p := &s.server, &s.client
	switch {
	case p.tx.lossy || p.held.truncated:
		l.abandonData(s)
	case r.code == 500, r.code == 502:
		p.pending.clear()
		l.rereadAsCommands(s)
	default:
		for p.pending.n > 0 && p.pending.front() != DATA { // at most once for each command that was pushed
			p.pending.pop()
		}
	}
}

// abandonData gives up on what follows DATA: what the server said to it is lost, and what it was, or a
// part of it.
func (l *Listener) abandonData(s *Session) {
	p := &s.client
	l.flag(s, Ambiguous)
	p.pending.clear()
	l.giveBack(&p.held.bytes)
	p.mode, p.tx.spill, p.held.truncated = inCommands, true, false
	p.line.lose(l)
}

// inferEndOfData is a reply while the client is in a message, as far as we saw: the server
// knows better. It returns the command that the reply answers. lost tells that a reply was lost.
func (l *Listener) inferEndOfData(s *Session, lost bool) Verb {
	p, code := &s.client, s.server.code
	if p.held.lenientEnd && p.tx.lossy { // it ended there, or at an end that was lost
		l.flag(s, Ambiguous)
		p.dropLenientEnd(l)
	}
	switch {
	case p.held.lenientEnd:
		l.push(s, endOfData)
		held := p.pending
		l.endLeniently(s)
		after := p.pending
		p.pending = held
		for _, r := range after.runs[:after.n] {
			if !p.pending.pushN(r.verb, r.count) {
				l.flag(s, TooManyPending)
			}
		}
		l.releaseUnawaited(s)
	case code >= 400 && !p.tx.lossy:
		// Refused before its end; the client may well go on sending.
		p.tx.refused = true
		l.answer(s, endOfData)
		return NoVerb
	case p.tx.lossy && lost: // the end and its reply, and what this one answers
		l.flag(s, Ambiguous)
		fallthrough
	case p.tx.refused || !fits(endOfData, code):
		l.leaveMessage(s)
		l.answer(s, NoVerb)
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
	p.pending.pop()
	if p.mode == inMessage && p.tx.lossy {
		l.flag(s, Ambiguous) // the reply to its end, or to what follows
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
	if p.mode != waitData {
		return
	}
	if !p.heldHasEnd() && p.heldIsCommand() {
		l.rereadAsCommands(s) // it was refused
		return
	}
	l.rereadAsMessage(s)
	p.seen.guessedMessage = true
	if p.mode == inMessage {
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
}
