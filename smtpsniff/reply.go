package smtpsniff

// reply is a whole reply.
func (l *Listener) reply(s *Session) {
	r, p := &s.server, &s.client
	inc(&s.Replies)
	s.countCode(r.code)
	if !p.seen.client {
		l.replyToUnseen(s)
		return
	}
	if p.mode >= inHello && p.pending.front() == NoVerb && r.code != 421 { // that is goodbye
		l.revokeTLS(s)
	}
	if r.code == 220 && s.Flags&GapClient != 0 && p.line.lost && p.pending.front() != connect { // to a STARTTLS that was lost
		p.held.uncertain, p.line.lost = false, false
		l.answer(s, STARTTLS)
		return
	}
	l.classifyHeld(s)
	if p.proxy.isLine && s.Replies == 2 && r.code >= 500 && r.code <= 503 { // the server does not know PROXY
		l.flag(s, UnknownCommand)
		l.answer(s, notCommand)
		return
	}
	p.seen.strays = 0
	gap, lost := r.gap, r.lostBytes >= shortReply
	if gap {
		l.skipLostReplies(s)
	}
	r.gap, r.lostBytes = false, 0
	if p.pending.front() == connect && !fits(connect, r.code) {
		p.pending.pop() // the greeting was not seen
	}
	verb := p.pending.front()
	if !p.held.lenientEnd && p.alt.bytes == nil && !fits(verb, r.code) && p.pending.answers(r.code) {
		// Something was not answered. A code that has one meaning tells what it belongs to.
		for !fits(p.pending.front(), r.code) { // at most once for each command that was pushed
			p.pending.pop()
		}
		verb = p.pending.front()
	}
	if p.contradictsChunk(verb, r.code) {
		l.switchToAlternative(s)
		verb = p.pending.front()
	} else if p.alt.bytes != nil {
		inc(&p.alt.replies)
	}
	if p.seen.ambiguous && r.code == 354 && verb != DATA && p.mode == inCommands {
		// It asks for a message, whatever the client was heard to say.
		p.pending.clear()
		p.startMessage()
		l.setLastReply(s, DATA)
		return
	}
	switch {
	case p.chunk.rejected && (p.mode == inChunk || p.mode == waitChunk) && verb == NoVerb:
		l.chunkWasCommands(s)
		verb = p.pending.front()
	case p.held.lenientEnd && p.tx.gapInMessage && p.mode != inMessage && (verb == NoVerb || !fits(verb, r.code)):
		l.flag(s, Ambiguous) // it answers what the client said there, or a command that was lost
		p.dropLenientEnd(l)
	case p.held.lenientEnd && p.mode != inMessage && (verb == NoVerb || !fits(verb, r.code)):
		// More replies than commands: the message ended before its end.
		l.endLeniently(s)
		verb = p.pending.front()
	case verb == NoVerb && r.code == 354: // to a DATA that was lost
		if s.Flags&(GapClient|Midstream) == 0 {
			l.flag(s, Ambiguous) // or that was taken for answered
		}
		if p.seen.guessedMessage { // what was taken for a message were commands
			p.seen.counted, p.seen.guessedMessage = 1, false
		}
		p.startMessage()
		l.setLastReply(s, DATA)
		return
	case verb == NoVerb && p.mode == inMessage:
		if verb = l.inferEndOfData(s, gap && lost); verb == NoVerb {
			return
		}
	case verb == DATA && r.code/100 == 2 && (s.Flags&GapServer == 0 || p.mode == waitData && len(p.held.bytes) == 0 && !p.tx.lossy):
		// It answers a command before DATA that was lost, or that was taken for answered:
		// to the message it can be no reply, there is none.
		l.answer(s, NoVerb)
		return
	case verb == DATA && r.code/100 == 2 && p.mode == waitData && p.tx.lossy && !p.heldHasEnd() && !p.heldIsCommand():
		l.abandonData(s)
		verb = NoVerb
	case verb == DATA && r.code/100 == 2, verb == DATA && gap && p.mode == waitData && p.heldHasEnd():
		l.inferDataReply(s)
		verb = p.pending.front()
	case p.held.lenientEnd && verb != NoVerb && verb != endOfData && p.mode != inMessage:
		p.dropLenientEnd(l) // the usual reading explains it
	}
	if verb == NoVerb && p.line.lost {
		p.line.lost = false // whatever it answers, the client's next line is a command
		if r.code == 334 {  // or a credential
			p.pending.push(AUTH)
			p.mode, p.auth.lines = inAuth, 0
		}
		l.answer(s, NoVerb)
		return
	}
	if verb == NoVerb {
		if r.code < 400 || r.code >= 500 { // 421 and 451 announce that the server hangs up
			l.flag(s, ExtraReply)
		}
		l.answer(s, NoVerb)
		return
	}
	if verb == AUTH && r.code == 334 {
		l.setLastReply(s, NoVerb) // a challenge: more credentials follow
		return
	}
	p.pending.pop()
	p.line.lost = false
	l.answer(s, verb)
	if p.pending.total == 0 || r.code == 354 {
		r.uncertain = false
	}
}

// answer is what a reply means for the command that it answers.
func (l *Listener) answer(s *Session, v Verb) {
	r, p := &s.server, &s.client
	code := r.code
	text := l.setLastReply(s, v)
	positive, phase := code < 400, v.phase()
	if v == NoVerb {
		phase = NoPhase
	}
	switch v {
	case connect:
		if s.Commands > 0 { // it may repeat what the client said before it
			text = l.redact(s, text, v)
		}
		s.banner = l.keepFixed(s, text, maxReply)
		if p.seen.spokeFirst && s.Flags&GapServer == 0 {
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
		p.tx.accepted = 0
	case RCPT:
		if positive {
			inc(&p.tx.accepted)
		} else {
			inc(&s.RcptsRejected)
		}
	case DATA:
		switch {
		case code/100 == 3 && p.mode == waitData: // clients go by the first digit
			l.rereadAsMessage(s)
		case positive && p.mode == waitData: // no reply to DATA, and it was all that waited
			l.rereadAsCommands(s)
		case !positive:
			l.flag(s, DataRefused)
			switch {
			case p.mode == waitData:
				l.rereadAsCommands(s)
			case p.mode == inMessage && p.tx.lossy: // what refused it may have been its end
				l.leaveMessage(s)
			case p.mode == inMessage:
				p.tx.refused = true
			}
		}
	case BDAT, endOfData, bdatLast:
		if v != endOfData {
			v = l.chunkAnswered(s, v)
		}
		if v != BDAT && positive && fits(v, code) {
			if r.uncertain && v == bdatLast {
				l.flag(s, Ambiguous)
			}
			l.countMessage(s)
		}
	case AUTH:
		if p.mode == inAuth {
			p.mode = inCommands
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
			l.acceptSTARTTLS(s)
		default:
			l.flag(s, STARTTLSRefused)
			switch {
			case p.mode == waitTLS:
				l.rereadAsCommands(s)
			case p.mode >= inHello:
				l.revokeTLS(s)
			}
		}
	}
	var shown []byte
	if !positive {
		shown = l.redact(s, text, v)
		l.countRefusal(s, v, phase, shown)
	}
	e := l.emit(Reply, phase, text)
	e.Code, e.Enhanced = code, r.enhanced
	if n := len(l.eventText); len(shown) > 0 {
		l.eventText = append(l.eventText, shown...)
		e.Redacted = l.eventText[n:]
	}
}

// chunkAnswered is a reply to BDAT, which decides what is held back since. It returns the command
// that counts as answered.
func (l *Listener) chunkAnswered(s *Session, v Verb) Verb {
	p, code := &s.client, s.server.code
	unknown := code >= 500 && code <= 502 || code == 504 // the server does not know BDAT
	if p.pending.total > 0 {                             // it is another BDAT's chunk that is open
		return v
	}
	if p.mode == inChunk { // nothing is held any more
		if p.chunk.rejected = true; unknown {
			l.chunkWasCommands(s)
		}
	}
	if p.mode != waitChunk {
		return v
	}
	complete := uint64(len(p.held.bytes)) >= p.chunk.left
	switch {
	case !p.chunk.strict && code < 400 && s.Flags&GapServer == 0, p.chunk.strict && code < 400 && complete:
		l.rereadAsChunk(s)
	case p.chunk.strict && s.server.uncertain: // it may be the reply to another command
		p.chunk.rejected = true
		l.rereadAsChunk(s)
	case !p.chunk.strict:
		if code < 400 { // the reply to it may be lost
			l.flag(s, Ambiguous)
			v = BDAT
		}
		l.rereadAsCommands(s)
	case unknown:
		l.chunkWasCommands(s)
	case !complete || uint64(len(p.held.bytes)) == p.chunk.left:
		p.chunk.rejected = true
	default:
		l.rereadAsEither(s)
	}
	return v
}

// countRefusal counts a refusal and keeps the first ones.
func (l *Listener) countRefusal(s *Session, v Verb, phase Phase, text []byte) {
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
	if old && v == EHLO || v == notCommand || v == AUTH {
		return // nothing that concerns the mail
	}
	if int(s.nrefusal) < maxRefusal {
		s.refusals[s.nrefusal] = Refusal{Phase: phase, Code: r.code, Enhanced: r.enhanced, text: l.keepFixed(s, text, maxReply)}
		s.nrefusal++
	}
}

// setLastReply notes the reply as the last one and returns its text, unless it is one that has nothing
// else to say than what line the server did not understand. What of the text is shown is another
// matter; see shown.
func (l *Listener) setLastReply(s *Session, v Verb) []byte {
	r := &s.server
	s.LastCode, s.LastEnhanced, s.lastLen, r.answered = r.code, r.enhanced, 0, v
	switch {
	case v == AUTH, v == notCommand, r.code == 235, v == NoVerb && r.code >= 300 && r.code != 354 && r.code != 421 && r.code < 550 && !(r.code == 451 && s.onlyCommands()),
		r.code >= 500 && r.code <= 502 && v != connect && v != MAIL && v != RCPT:
		return nil
	}
	s.lastLen = r.textLen
	return r.text[:s.lastLen]
}

// onlyCommands reports whether all that the client said so far were commands, none of them AUTH: then no reply
// can quote a password, not even one to nothing.
func (s *Session) onlyCommands() bool {
	return s.client.seen.client && s.Flags&(Midstream|GapClient|GapServer|TooManyPending|UnknownCommand|LongLine) == 0 && s.Auth < AuthTried && !s.client.seen.ambiguous
}

// replyToUnseen is a reply to a client that is not heard.
func (l *Listener) replyToUnseen(s *Session) {
	r := &s.server
	v := s.client.pending.front()
	switch {
	case v == connect:
		s.client.pending.pop()
	case r.code == 354:
		r.wantsMessage, v = true, DATA
	case r.wantsMessage:
		r.wantsMessage, v = false, endOfData
	case r.offers != 0:
		v = EHLO
	}
	l.answer(s, v)
}

// countCode adds a reply code; when there are too many different ones, the rest is left out.
func (s *Session) countCode(code uint16) {
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
