package smtpsniff

// A server replies once to each command, in their order (RFC 5321, section 4.3.2; RFC 2920, section
// 3.2). The first pending command is the one that a reply answers, but for these cases:
//
//	354           DATA gets a second reply, at the end of data (RFC 5321, section 4.1.1.4)
//	334           AUTH gets another reply for each credential (RFC 4954, section 4)
//	end of data   LMTP replies once for each accepted recipient (RFC 2033, section 4.2)
//	421           the server hangs up: a reply to any command, or to none (RFC 5321, section 3.8)
//	lost bytes    the reply, or the command, was not captured
//	two readings  the server reads bytes of the client in another way than the listener
//
// The sign of the last two is a reply to no pending command, or with a code that does not fit the
// first one.

// reply interprets a complete reply: which pending command it answers, and what that means.
func (l *Listener) reply(s *Session) {
	r, p := &s.server, &s.client
	inc(&s.Replies)
	s.countCode(r.code)
	if !p.seen.client {
		l.replyToUnseen(s)
		return
	}
	// A reply in the clear shows that what looked like TLS was none. 421 ends the session.
	if p.mode >= inHello && p.pending.front() == NoVerb && r.code != 421 {
		l.revokeTLS(s)
	}
	if r.code == 220 && s.Flags&GapClient != 0 && p.line.lost && p.pending.front() != connect {
		p.held.uncertain, p.line.lost = false, false
		l.answer(s, STARTTLS) // the command was lost: no other gets 220 (RFC 3207, section 4)
		return
	}
	if verb := l.usualReply(s); verb != NoVerb {
		p.seen.strays, r.lostBytes = 0, 0
		l.answerFront(s, verb)
		return
	}
	l.classifyHeld(s)
	// The greeting is the first reply. The second answers the first line of the client.
	if p.proxy.isLine && s.Replies == 2 && r.code >= 500 && r.code <= 503 {
		l.flag(s, UnknownCommand) // the server does not know PROXY
		l.answer(s, notCommand)
		return
	}
	p.seen.strays = 0
	// The gap is used up by this reply: the next one follows it without lost bytes.
	gap, replyLost := r.gap, r.lostBytes >= shortReply
	if gap {
		l.skipLostReplies(s)
	}
	r.gap, r.lostBytes = false, 0
	verb := l.matchPending(s)
	if p.seen.ambiguous && r.code == 354 && verb != DATA && p.mode == inCommands {
		// The server asks for a message, whatever bytes of the client the listener got.
		p.pending.clear()
		p.startMessage()
		l.setLastReply(s, DATA)
		return
	}
	verb, done := l.interpret(s, verb, gap, replyLost)
	switch {
	case done:
	case verb == NoVerb:
		l.replyToNothing(s)
	case verb == AUTH && r.code == 334:
		l.setLastReply(s, NoVerb) // a challenge: more credentials follow
	default:
		l.answerFront(s, verb)
	}
}

// usualReply is the command that a reply answers where nothing is uncertain: the first pending one,
// if the code fits and there are no other bytes or readings to think of. It is NoVerb in all other
// cases. Nearly all replies end here, and skip what reply does about gaps and second readings.
func (l *Listener) usualReply(s *Session) Verb {
	r, p := &s.server, &s.client
	verb := p.pending.front()
	if r.gap || p.held.uncertain || p.held.lenientEnd || p.alt.bytes != nil || p.proxy.isLine ||
		verb == AUTH || verb == DATA && p.tx.unclear || !fits(verb, r.code) {
		return NoVerb
	}
	return verb
}

// answerFront is the usual case of a reply: it answers the first pending command.
func (l *Listener) answerFront(s *Session, verb Verb) {
	r, p := &s.server, &s.client
	p.pending.pop()
	p.line.lost = false
	l.answer(s, verb)
	// With an empty queue, and in a message, the next reply has one meaning.
	if p.pending.total == 0 || r.code == 354 {
		r.uncertain = false
	}
}

// matchPending removes pending commands that got no reply, and returns the command that the reply
// answers as far as the codes show; NoVerb if none is pending.
func (l *Listener) matchPending(s *Session) Verb {
	r, p := &s.server, &s.client
	// A server speaks first, with 220 or a refusal (RFC 5321, section 3.1).
	if p.pending.front() == connect && !fits(connect, r.code) {
		p.pending.pop() // the greeting was lost
	}
	verb := p.pending.front()
	// With two readings, a code that does not fit shows that the other one is right.
	oneReading := !p.held.lenientEnd && p.alt.bytes == nil
	if oneReading && !fits(verb, r.code) && p.pending.answers(r.code) {
		// A command got no reply. A code with a single meaning shows which command it answers.
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
	return verb
}

// replyCase is what a reply means where it does not simply answer the first pending command.
type replyCase uint8

const (
	usualReply         replyCase = iota // it answers the first pending command, or none is pending
	chunkWasRead                        // the server read a refused chunk as commands
	lenientEndUnclear                   // it answers a command behind a lenient end, or a lost one
	lenientEndTaken                     // the server ended the message at a lenient end
	goAheadForLostData                  // it answers a DATA that was lost
	replyInMessage                      // the message's end was lost, or the server refuses early
	replyBeforeData                     // it answers a lost command before DATA
	dataUnknown                         // the reply to DATA was lost, and a part of what followed
	dataReplyLost                       // the reply to DATA was lost, and the client continued
	lenientEndNotTaken                  // the usual reading explains the reply
)

// replyCase is the table of these cases. The first row that applies counts; "pending" is the first
// pending command, "unexplained" a reply to no pending command or with a code that does not fit it.
// 2xx to DATA is no reply of the standard (RFC 5321, section 4.3.2): it answers another command.
//
//	pending  reply        the client's bytes                        case
//	none     any          a chunk that was refused                  chunkWasRead
//	any      unexplained  behind a lenient end, with a gap          lenientEndUnclear
//	any      unexplained  behind a lenient end                      lenientEndTaken
//	none     354          any                                       goAheadForLostData
//	none     any          in a message                              replyInMessage
//	DATA     any          some since DATA, its reply was unclear    dataReplyLost
//	DATA     2xx          no gap of the server; or none since DATA  replyBeforeData
//	DATA     2xx          some since DATA, with a gap in them       dataUnknown
//	DATA     2xx          any other                                 dataReplyLost
//	DATA     any          a whole message, and a gap of the server  dataReplyLost
//	any      fits         behind a lenient end                      lenientEndNotTaken
func (s *Session) replyCase(verb Verb, gap bool) replyCase {
	p, code := &s.client, s.server.code
	behindEnd := p.held.lenientEnd && p.mode != inMessage
	unexplained := verb == NoVerb || !fits(verb, code)
	waiting := p.mode == waitData
	switch {
	case p.chunk.rejected && (p.mode == inChunk || p.mode == waitChunk) && verb == NoVerb:
		return chunkWasRead
	case behindEnd && p.tx.gapInMessage && unexplained:
		return lenientEndUnclear
	case behindEnd && unexplained:
		return lenientEndTaken
	case verb == NoVerb && code == 354:
		return goAheadForLostData
	case verb == NoVerb && p.mode == inMessage:
		return replyInMessage
	case verb == DATA && p.tx.unclear && waiting && len(p.held.bytes) > 0:
		return dataReplyLost
	case verb == DATA && code/100 == 2:
		switch {
		case s.Flags&GapServer == 0, waiting && len(p.held.bytes) == 0 && !p.tx.lossy:
			return replyBeforeData
		case waiting && p.tx.lossy && !p.heldHasEnd() && !p.heldIsCommand():
			return dataUnknown
		}
		return dataReplyLost
	case verb == DATA && gap && waiting && p.heldHasEnd():
		return dataReplyLost
	case behindEnd && verb != endOfData:
		return lenientEndNotTaken
	}
	return usualReply
}

// interpret acts on the case of a reply. It returns the command that the reply answers; done
// reports that the reply needs no further action. gap and replyLost report that bytes of the server
// were lost before it, and that they were enough for a reply.
func (l *Listener) interpret(s *Session, verb Verb, gap, replyLost bool) (answers Verb, done bool) {
	p := &s.client
	switch s.replyCase(verb, gap) {
	case chunkWasRead:
		// A server without CHUNKING replies to the lines of the chunk, too (RFC 3030, section 2).
		l.chunkWasCommands(s)
		return p.pending.front(), false
	case lenientEndUnclear:
		// A command in the gap explains the reply as well as the lenient end does.
		l.flag(s, Ambiguous)
		p.dropLenientEnd(l)
	case lenientEndTaken:
		// The server takes a bare LF for a line end, against RFC 5321, section 2.3.8.
		l.endLeniently(s)
		return p.pending.front(), false
	case goAheadForLostData:
		// No command but DATA gets 354, so that a message comes now, whatever was captured.
		if s.Flags&(GapClient|Midstream) == 0 {
			l.flag(s, Ambiguous) // or an earlier reply was wrongly taken for that to DATA
		}
		if p.seen.guessedMessage { // the bytes taken for a message were commands
			p.seen.unconfirmed, p.seen.guessedMessage = 1, false
		}
		p.startMessage()
		l.setLastReply(s, DATA)
		return DATA, true
	case replyInMessage:
		// Servers refuse a message that is too large, or hang up, before its end.
		verb = l.inferEndOfData(s, gap && replyLost)
		return verb, verb == NoVerb
	case replyBeforeData:
		// It is no reply to a message: no message was sent. DATA stays pending. If all commands
		// and replies are known, it is the server's reply to DATA.
		const unknown = GapClient | GapServer | Midstream
		p.tx.unclear = p.tx.unclear || s.Flags&unknown == 0 && p.pending.total == 1
		l.answer(s, NoVerb)
		return NoVerb, true
	case dataUnknown:
		// The end of the message may be in the gap. The bytes before it show neither reading.
		l.abandonData(s)
		return NoVerb, false
	case dataReplyLost:
		// The client has continued behind DATA, so that it has got a reply.
		l.inferDataReply(s)
		return p.pending.front(), false
	case lenientEndNotTaken:
		// A server that took the lenient end would have replied to it before this command.
		p.dropLenientEnd(l)
	}
	return verb, false
}

// replyToNothing handles a reply to no pending command.
func (l *Listener) replyToNothing(s *Session) {
	r, p := &s.server, &s.client
	switch {
	case p.line.lost:
		p.line.lost = false // whatever it answers, the client's next line is a command
		if r.code == 334 {  // or a credential
			p.pending.push(AUTH)
			p.mode, p.auth.lines = inAuth, 0
		}
	case r.code < 400 || r.code >= 500: // 421 and 451 announce that the server hangs up
		l.flag(s, ExtraReply)
	}
	l.answer(s, NoVerb)
}

// answer applies a reply to the command that it answers, and emits it.
func (l *Listener) answer(s *Session, v Verb) {
	r, p := &s.server, &s.client
	code := r.code
	text := l.setLastReply(s, v)
	positive, phase := code < 400, phases[v]
	switch v {
	case connect:
		if s.Commands > 0 { // it may quote what the client sent before it
			text = l.redact(s, text, v)
		}
		s.banner = l.keepFixed(s, text, maxReply)
		// A client should wait for the greeting (RFC 5321, section 4.3.1); many bots do not.
		if p.seen.spokeFirst && s.Flags&GapServer == 0 {
			l.flag(s, EarlyTalker)
		}
	case EHLO, LHLO:
		if !positive {
			break
		}
		// A client may send EHLO again (RFC 5321, section 4.1.4): the last answer counts.
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
		l.answerData(s)
	case BDAT, endOfData, bdatLast:
		if v != endOfData {
			v = l.answerChunk(s, v)
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
		// No failure: the client has cancelled it with "*", or has authenticated before, so that
		// the server must refuse it (RFC 4954, section 4).
		case s.Auth != AuthOK && !p.auth.ended:
			s.Auth = AuthFailed
		}
	case STARTTLS:
		l.answerSTARTTLS(s)
	}
	var redacted []byte
	if !positive {
		redacted = l.redact(s, text, v)
		l.countRefusal(s, v, phase, redacted)
	}
	e := l.emit(Reply, phase, text)
	e.Code, e.Enhanced = code, r.enhanced
	if n := len(l.eventText); len(redacted) > 0 {
		l.eventText = append(l.eventText, redacted...)
		e.Redacted = l.eventText[n:]
	}
}

// answerData applies the reply to DATA: it decides how to read the bytes behind the command. A
// client sends the message after any 3xx, because it may look at the first digit alone (RFC 5321,
// section 4.2.1), and must not send it after any other reply (section 3.3).
func (l *Listener) answerData(s *Session) {
	p, code := &s.client, s.server.code
	switch {
	case code/100 == 3 && p.mode == waitData:
		l.rereadAsMessage(s)
	case code < 400 && p.mode == waitData: // no reply to DATA, and no other command was pending
		l.rereadAsCommands(s)
	case code >= 400:
		l.flag(s, DataRefused)
		switch {
		case p.mode == waitData:
			l.rereadAsCommands(s)
		case p.mode == inMessage && p.tx.lossy: // the end of the message may have been refused
			l.leaveMessage(s)
		case p.mode == inMessage:
			p.tx.refused = true
		}
	}
}

// answerSTARTTLS applies the reply to STARTTLS: 220 is consent, 454 and 501 are refusals (RFC 3207,
// section 4). After a refusal the client continues in the clear, or hangs up.
func (l *Listener) answerSTARTTLS(s *Session) {
	if s.server.code == 220 {
		l.acceptSTARTTLS(s)
		return
	}
	l.flag(s, STARTTLSRefused)
	switch p := &s.client; {
	case p.mode == waitTLS:
		l.rereadAsCommands(s)
	case p.mode >= inHello:
		l.revokeTLS(s)
	}
}

// answerChunk applies the reply to a BDAT: it decides how to read the bytes behind the command. It
// returns the command that counts as answered.
//
// A server with CHUNKING replies behind the chunk, also if it refuses it, and discards the chunk
// then. A server without it replies at once with 500 or 502, as to any unknown command, or with 501
// or 504 (RFC 5321, section 4.2.2), and reads the chunk as commands. 503, 4xx and other 5xx come
// from both kinds, and so do all codes where the answer to EHLO was not captured: then the replies
// to what follows decide; see rereadAsEither.
func (l *Listener) answerChunk(s *Session, v Verb) Verb {
	p, code := &s.client, s.server.code
	unknown := s.Offers&OffersChunking == 0 && s.Flags&(Midstream|GapServer) == 0 &&
		(code >= 500 && code <= 502 || code == 504) // the server does not know BDAT
	if p.pending.total > 0 { // the open chunk is that of another BDAT
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
	positive, complete := code < 400, uint64(len(p.held.bytes)) >= p.chunk.left
	switch {
	case !p.chunk.strict && positive && s.Flags&GapServer == 0,
		p.chunk.strict && positive && complete:
		l.rereadAsChunk(s)
	case p.chunk.strict && s.server.uncertain: // it may be the reply to another command
		p.chunk.rejected = true
		l.rereadAsChunk(s)
	case !p.chunk.strict:
		if positive { // the reply to it may be lost
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

// countRefusal counts a refusal and keeps the first three: bots try the same again, and get the
// same reply. Refused recipients are counted in answer, because one mail may have many.
func (l *Listener) countRefusal(s *Session, v Verb, phase Phase, text []byte) {
	r := &s.server
	// The server does not know EHLO. The client goes on with HELO (RFC 5321, section 3.2).
	noEHLO := phase == Helo && r.code >= 500 && r.code <= 504
	// A refusal of another command, as VRFY or RSET, refuses no session, sender or message.
	switch v {
	case HELO, EHLO, LHLO, connect, MAIL, DATA, BDAT, endOfData, bdatLast:
		if noEHLO {
			break
		}
		if r.code >= 500 {
			inc(&s.Rejected)
		} else {
			inc(&s.Deferred)
		}
	}
	if noEHLO && v == EHLO || v == notCommand || v == AUTH {
		return // no refusal of mail
	}
	if int(s.nrefusal) < maxRefusal {
		s.refusals[s.nrefusal] = Refusal{Phase: phase, Code: r.code, Enhanced: r.enhanced,
			text: l.keepFixed(s, text, maxReply)}
		s.nrefusal++
	}
}

// setLastReply stores the reply as the last one and returns its text; the text is nil where the
// reply may only quote a line that the server did not understand. Replies 500 to 502 often quote
// it, and it may be a password or a line of a message; with MAIL and RCPT they refuse an address,
// and the text has the reason. See redact for the parts that may be shown.
func (l *Listener) setLastReply(s *Session, v Verb) []byte {
	r, code := &s.server, s.server.code
	s.LastCode, s.LastEnhanced, s.lastLen, r.answered = code, r.enhanced, 0, v
	switch {
	case v == AUTH, v == notCommand, code == 235,
		v == NoVerb && code >= 300 && code != 354 && code != 421 && code < 550 &&
			!(code == 451 && s.onlyCommands()),
		code >= 500 && code <= 502 && v != connect && v != MAIL && v != RCPT:
		return nil
	}
	s.lastLen = r.textLen
	return r.text[:s.lastLen]
}

// onlyCommands reports whether the client has sent nothing but commands so far, none of them AUTH:
// then no reply can quote a password, not even a reply to no command.
func (s *Session) onlyCommands() bool {
	const unclear = Midstream | GapClient | GapServer | TooManyPending | UnknownCommand | LongLine
	seen := &s.client.seen
	return seen.client && s.Flags&unclear == 0 && s.Auth < AuthTried && !seen.ambiguous
}

// replyToUnseen handles a reply to a client of which no byte was captured. Only three replies have
// one command each: the greeting, which is first, 354, and the answer to EHLO, which has the
// extensions. The first reply behind a 354 answers the end of data.
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

// countCode counts a reply code. The standard has over 20 (RFC 5321, section 4.2.3), of which a
// session sees few. When there are more than 12 different codes, further ones are not counted.
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
