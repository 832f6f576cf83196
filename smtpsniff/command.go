package smtpsniff

// command interprets a line of the client outside messages.
func (l *Listener) command(s *Session, line []byte, long, bare bool) {
	p := &s.client
	if p.line.lost && l.holdUncertain(s, line) {
		return
	}
	verb, rest := parseVerb(line)
	if p.mode == inAuth && !l.endsAuth(s, verb, rest) {
		if p.auth.ended = len(line) == 1 && line[0] == '*'; !long {
			l.account(s, trim(line))
		}
		l.addSensitive(s, line)
		return
	}
	if long {
		l.flag(s, LongLine)
	}
	if p.tx.spill && l.spillLine(s, verb, rest) {
		return
	}
	if verb == NoVerb {
		if s.Commands == 0 && !p.proxy.found && s.Flags&Midstream == 0 && isProxyLine(line) {
			l.proxied(s)
			p.proxy.isLine = true
			return
		}
		l.unknownLine(s, line)
		return
	}
	if p.proxy.found && s.Commands == 0 && s.server.lines == 0 {
		p.seen.spokeFirst = true
	}
	if p.tls.requested && s.Encryption == Plain && p.seen.oneSided {
		l.flag(s, Ambiguous) // if the server has started TLS, it does not read this command
	}
	if bare {
		l.flag(s, BareLF)
	}
	if p.tls.revoked && !s.server.tls.seen {
		s.Encryption, s.Proto = Plain, SMTP
	}
	s.speaksSMTP()
	inc(&s.Commands)
	switch verb {
	case HELO, EHLO, LHLO:
		l.heloCommand(s, verb, rest)
	case MAIL:
		l.mailCommand(s, rest)
	case RCPT:
		l.rcptCommand(s, rest)
	case DATA:
		l.dataCommand(s, bare)
	case BDAT:
		l.bdatCommand(s, rest)
	case BURL:
		l.burlCommand(s, rest)
	case AUTH:
		s.Auth = max(s.Auth, AuthTried)
		l.push(s, AUTH)
		p.mode, p.auth.lines, p.auth.unclear, p.auth.ended = inAuth, 0, false, false
		l.addSensitive(s, rest)
		if s.Account = 0; !long {
			l.authArgument(s, rest)
		}
	case STARTTLS:
		l.startTLSCommand(s)
	case RSET:
		p.tx.rcpts, p.tx.hasSender = 0, false
		l.addSensitive(s, trim(rest))
		l.push(s, verb)
	default:
		l.addSensitive(s, trim(rest)) // a mailbox, or any text
		l.push(s, verb)
	}
}

// speaksSMTP records that the session is SMTP, unless it is TLS.
func (s *Session) speaksSMTP() {
	if s.Proto == Unknown || s.Proto == OtherApp {
		s.Proto = SMTP
	}
}

// heloCommand is HELO, EHLO or LHLO.
func (l *Listener) heloCommand(s *Session, verb Verb, rest []byte) {
	s.HeloVerb = verb
	l.push(s, verb)
	s.client.tx.rcpts, s.client.tx.hasSender = 0, false
	name := trim(rest)
	if s.Flags&Midstream != 0 && s.banner.len == 0 { // it may be a line of a message
		l.addSensitive(s, name)
		return
	}
	if person, host := splitHelo(name); person != nil {
		if l.addSensitive(s, person); !l.ShowSenders {
			name = host
		}
	}
	s.helo = l.keepText(s, name, maxName)
	l.emit(HeloCommand, Helo, name[:min(len(name), maxName)])
}

// mailCommand is MAIL: it begins a transaction.
func (l *Listener) mailCommand(s *Session, rest []byte) {
	p := &s.client
	if s.HeloVerb == NoVerb && s.Flags&(Midstream|GapClient) == 0 {
		l.flag(s, NoHelo)
	}
	path := parsePath(rest, "FROM:<")
	s.LenientPath = s.LenientPath || path.found && !path.strict
	inc(&s.Mails)
	if path.found && int(s.nsenders) < maxSenders {
		s.senders[s.nsenders] = l.keepText(s, path.address, maxName)
		s.nsenders++
	}
	if !l.ShowSenders {
		l.addLocalPart(s, path.address)
	}
	l.push(s, MAIL)
	l.addParameters(s, path.params)
	p.tx.rcpts, p.tx.hasSender = 0, true
	if p.seen.oneSided && hasControl(path.address) {
		l.flag(s, Ambiguous) // some servers refuse it
	}
	if path.found {
		l.emit(MailCommand, Mail, path.address)
	}
}

// rcptCommand is RCPT.
func (l *Listener) rcptCommand(s *Session, rest []byte) {
	path := parsePath(rest, "TO:<")
	s.LenientPath = s.LenientPath || !path.strict
	inc(&s.Rcpts)
	inc(&s.client.tx.rcpts)
	l.push(s, RCPT)
	if path.found {
		l.emit(RcptCommand, Rcpt, path.address)
		l.addLocalPart(s, path.address)
	}
	l.addParameters(s, path.params)
}

// dataCommand is DATA. bare reports whether its line ended with LF alone.
func (l *Listener) dataCommand(s *Session, bare bool) {
	p := &s.client
	waits := l.push(s, DATA)
	if p.seen.oneSided && !p.tx.hasSender && s.Flags&(Midstream|GapClient) == 0 {
		l.flag(s, Ambiguous) // servers refuse it, and then commands follow
		return
	}
	if !waits && !p.seen.oneSided {
		return // no reply can be recognised as that to DATA; a 354 begins the message all the same
	}
	p.mode, p.body, p.held.truncated, p.tx.lossy = waitData, startCRLF, false, false
	p.tx.unclear = false
	if bare {
		p.body = startLF
	}
	p.dropLenientEnd(l)
}

// startTLSCommand is STARTTLS.
func (l *Listener) startTLSCommand(s *Session) {
	p := &s.client
	waits := l.push(s, STARTTLS)
	if p.held.lenientEnd && p.heldIsCommand() {
		l.flag(s, Ambiguous) // the bytes behind STARTTLS are held instead
	}
	p.dropLenientEnd(l)
	p.mode, p.tls.requested = waitTLS, true
	if p.seen.oneSided || !waits {
		p.mode, p.opened = inCommands, false // the next bytes show whether the server agreed
	}
}

// unknownLine counts a line that is no command. Nothing of it is kept.
func (l *Listener) unknownLine(s *Session, line []byte) {
	p := &s.client
	l.addSensitive(s, line)
	l.flag(s, UnknownCommand)
	if s.Proto == Unknown && s.server.lines == 0 && s.Commands == 0 {
		s.Proto = OtherApp
	}
	inc(&s.Commands)
	inc(&p.seen.unknownLines)
	l.push(s, notCommand)
}

// endsAuth reports whether a line behind AUTH is a command and no credential: credentials are
// base64, without a blank or a colon (RFC 4954, section 4).
func (l *Listener) endsAuth(s *Session, verb Verb, rest []byte) bool {
	p := &s.client
	p.auth.lines++
	ends := false
	switch verb {
	case MAIL, RCPT, EHLO, HELO, LHLO:
		ends = len(rest) > 1
	case QUIT, RSET, STARTTLS:
		ends = p.seen.oneSided || p.auth.unclear // no reply shows the end of the exchange
	}
	if ends {
		p.mode = inCommands
		if p.auth.unclear && p.pending.front() == AUTH {
			p.pending.pop()
		}
		return true
	}
	if p.auth.lines >= maxAuth {
		p.mode = inCommands
	}
	return false
}

// cutCommand counts a command whose line was not captured to its end, as in a capture of short
// frames. Its arguments are not known.
func (l *Listener) cutCommand(s *Session) {
	p := &s.client
	verb, rest := parseVerb(p.line.buf)
	if len(rest) == 0 { // the verb itself may be longer
		return
	}
	if p.line.lost {
		if !p.seen.oneSided || s.Flags&Midstream != 0 {
			return
		}
		l.flag(s, Ambiguous) // as in holdUncertain
	}
	switch verb {
	case NoVerb, DATA, BDAT, STARTTLS: // the missing bytes decide how to read those behind them
		return
	case HELO, EHLO, LHLO:
		s.HeloVerb = verb
		p.tx.rcpts, p.tx.hasSender = 0, false
	case MAIL:
		inc(&s.Mails)
		p.tx.rcpts, p.tx.hasSender = 0, true
	case RCPT:
		inc(&s.Rcpts)
		inc(&p.tx.rcpts)
	case RSET:
		p.tx.rcpts, p.tx.hasSender = 0, false
	case AUTH:
		s.Auth, s.Account = max(s.Auth, AuthTried), 0
		p.mode, p.auth.lines, p.auth.next = inAuth, 0, noName
	}
	s.speaksSMTP()
	inc(&s.Commands)
	l.push(s, verb)
	p.seen.gapSinceCommand = true
}

// push appends a command to those that wait for a reply. It reports whether there was room.
func (l *Listener) push(s *Session, v Verb) bool { return l.pushN(s, v, 1) }

// pushN is push of a command that gets n replies.
func (l *Listener) pushN(s *Session, v Verb, n uint32) bool {
	p := &s.client
	waiting := p.pending.total
	if p.pending.front() == connect {
		waiting-- // the client speaks before the greeting
	}
	// Where replies were lost, only commands in one segment show that the client did not wait.
	shown := !p.seen.oneSided && (!s.server.gap || p.seen.commandInFeed)
	if waiting > 0 && v != endOfData && shown && p.pending.last() != notCommand {
		l.pipelined(s)
	}
	p.seen.commandInFeed, p.seen.gapSinceCommand = true, false
	if !p.pending.pushN(v, n) {
		l.flag(s, TooManyPending)
		return false
	}
	return true
}

// pipelined records that a client did not wait for a reply. That is usual with servers that offer
// PIPELINING, so that it is not counted as weird.
func (l *Listener) pipelined(s *Session) {
	s.Flags |= Pipelined
	if s.Offers&OffersPipelining == 0 && s.Flags&(Midstream|GapClient|GapServer) == 0 {
		s.Flags |= Impatient
	}
}

// hasControl reports whether b has a control character.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}
