package smtpsniff

// A sensor may lose packets of the server that the client gets. The client's bytes behind the gap
// show what was in it: a client that waits for replies has got one for each of its commands but the
// last, and a client that sends a message has got a 354. Where two explanations are left, the
// session is Ambiguous.

// shortReply is about the length of the shortest reply: "250 ok" and a line end.
const shortReply = 8

// skipLostReplies removes the commands whose replies were lost. A client that waits for replies has
// one pending command, the last. A client that pipelines has continued because of the lost replies
// (it must wait for the replies to EHLO and DATA, RFC 2920, section 3.1); then the reply answers
// the first command that it fits.
func (l *Listener) skipLostReplies(s *Session) {
	r, p := &s.server, &s.client
	q := &p.pending
	if r.dataAtGap && p.mode == waitData && (len(p.held.bytes) > 0 || p.tx.lossy) {
		l.inferGoAhead(s)
		return
	}
	// With one pending command there is no choice. With several, the reply may answer any of them.
	r.uncertain = r.uncertain || q.total > 1
	if q.total > 1 && r.lostBytes < uint64(q.total-1)*shortReply {
		s.Flags |= Pipelined // too few bytes were lost for a client that waits
	}
	if s.Flags&Pipelined != 0 && q.total > r.pendingAtGap {
		// At most once for each command that was pushed, as the loop below.
		for ; r.pendingAtGap > 0; r.pendingAtGap-- {
			q.pop()
		}
	}
	for q.total > 1 && (s.Flags&Pipelined == 0 || !fits(q.front(), r.code)) {
		q.pop()
	}
	v := q.front()
	if q.total == 1 && p.seen.gapSinceCommand && r.lostBytes >= shortReply &&
		(v == endOfData || v == bdatLast) {
		l.flag(s, Ambiguous) // its reply was lost, or this is it; or it answers a lost command
		q.pop()
		l.releaseUnawaited(s)
	}
}

// inferGoAhead handles a client that continued behind DATA while replies were lost: all its
// commands were answered there. The client sent a message or, after a refusal, commands: those get
// replies that no message gets.
func (l *Listener) inferGoAhead(s *Session) {
	r, p := &s.server, &s.client
	switch {
	case p.tx.lossy || p.held.truncated:
		l.abandonData(s)
	case r.code == 500, r.code == 502:
		p.pending.clear()
		l.rereadAsCommands(s)
	default:
		// At most once for each command that was pushed.
		for p.pending.n > 0 && p.pending.front() != DATA {
			p.pending.pop()
		}
	}
}

// abandonData gives up on the bytes behind DATA: the reply to DATA was lost, and all of these bytes
// or a part of them.
func (l *Listener) abandonData(s *Session) {
	p := &s.client
	l.flag(s, Ambiguous)
	p.pending.clear()
	l.giveBack(&p.held.bytes)
	p.mode, p.tx.spill, p.held.truncated = inCommands, true, false
	p.line.lose(l)
}

// inferEndOfData handles a reply while the client is in a message, as far as was captured: the
// server has seen an end. It returns the command that the reply answers. lost reports that a reply
// was lost.
func (l *Listener) inferEndOfData(s *Session, lost bool) Verb {
	p, code := &s.client, s.server.code
	if p.held.lenientEnd && p.tx.lossy { // the message ended there, or at an end that was lost
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
		// The server refused the message before its end; the client may continue it.
		p.tx.refused = true
		l.answer(s, endOfData)
		return NoVerb
	case p.tx.lossy && lost: // the end and its reply were lost, and the command of this reply
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

// inferDataReply handles a positive reply to DATA other than 354, or any reply after one was lost
// and a message was sent: the reply to DATA was lost. The client's bytes since then show which one
// it was.
func (l *Listener) inferDataReply(s *Session) {
	p := &s.client
	p.pending.pop()
	if p.mode == inMessage && p.tx.lossy {
		l.flag(s, Ambiguous) // the reply to its end, or to a command behind it
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
	if p.mode != waitData {
		return
	}
	if !p.heldHasEnd() && p.heldIsCommand() {
		l.rereadAsCommands(s) // DATA was refused
		return
	}
	l.rereadAsMessage(s)
	p.seen.guessedMessage = true
	if p.mode == inMessage {
		l.leaveMessage(s)
		l.push(s, endOfData)
	}
}
