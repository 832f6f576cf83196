package smtpsniff

// mode is what the parser takes the client's bytes for.
type mode uint8

const (
	inCommands mode = iota
	waitData        // behind DATA without a reply: a message or commands
	inMessage       // the data of a message
	inChunk         // the chunk of a BDAT
	waitChunk       // behind BDAT without a reply: a chunk or commands
	inAuth          // credentials, until the server ends the exchange
	waitTLS         // behind STARTTLS without a reply
	inHello         // what looks like the beginning of a TLS handshake
	encrypted       // unreadable from here on, unless the server answers in the clear
)

// clientParser is the state of the client's half. Its fields are in the order of their use, so
// that Feed of a usual segment reads few cache lines; see Session.Prefetch.
type clientParser struct {
	mode    mode
	line    lineReader
	pending pendingQueue
	seen    evidence
	opened  bool // the first bytes were judged: they begin no TLS handshake that is still to come
	first   firstBytes
	proxy   proxyHeader
	tls     handshake
	body    endScanner
	auth    authExchange
	chunk   chunkState
	tx      transaction
	held    holdback
	alt     alternative
}

// evidence is what the session has shown of its sides, and what it leaves uncertain.
type evidence struct {
	client          bool   // bytes of the client were seen
	commandInFeed   bool   // this Feed has already read a command
	oneSided        bool   // no byte of the server is seen, so that no reply confirms anything
	spokeFirst      bool   // the client spoke before the server did
	gapSinceCommand bool   // bytes were lost since the last command
	guessedMessage  bool   // bytes behind DATA were taken for a message though the reply was lost
	sentMessage     bool   // the client has sent a message
	sentAhead       bool   // its first bytes came with DATA, in a session of one side
	ambiguous       bool   // the server may have got other bytes; see Listener.MarkAmbiguous
	unconfirmed     uint32 // messages that were counted before their replies, which may still come
	strays          uint32 // lines that are no command, since the last reply
	unknownLines    uint32 // lines that are no command, in the whole session
}

// handshake is how far the client has come with TLS.
type handshake struct {
	requested bool // the client sent STARTTLS
	nameRead  bool // the server name was looked for in the ClientHello
	confirmed bool // the server speaks TLS too, or is not seen
	revoked   bool // the server answered in the clear to what looked like TLS
}

// authExchange is the state of an AUTH exchange.
type authExchange struct {
	lines   uint8 // lines since AUTH
	unclear bool  // the reply had no code
	ended   bool  // the client has cancelled it
	next    authLine
}

// chunkState is the chunk of the latest BDAT.
type chunkState struct {
	left     uint64 // bytes that are still to come
	strict   bool   // its size is written as in the standard
	rejected bool   // BDAT was refused, or answered before its chunk was there
}

// transaction is the state from MAIL to the end of data.
type transaction struct {
	rcpts        uint32 // RCPT commands
	accepted     uint32 // recipients that the server accepted
	hasSender    bool
	lossy        bool // bytes of the message are missing
	gapInMessage bool // bytes were lost since the message began, in it or behind it
	counted      bool // a reply to the end of data has counted the message (LMTP has several)
	refused      bool // the server refused the message before its end
	unclear      bool // the reply to DATA had no code or was 2xx: a message or commands follow
	spill        bool // DATA was refused, and lines of its message may come all the same
}

// holdback is what the client sent ahead of a reply that decides how to read it: all since DATA
// (waitData), BDAT (waitChunk) or STARTTLS (waitTLS), all since the beginning of what looks like
// TLS (inHello), or all since a line with a dot that may have ended the message (lenientEnd).
type holdback struct {
	bytes      []byte
	resume     snapshot // of the session before these bytes
	helloAt    uint16   // where TLS begins in them; bytes before it stood behind STARTTLS
	lenientEnd bool
	complete   bool // the bytes being reread are as many as could be held
	uncertain  bool // they are lines that may be commands; see holdUncertain
	truncated  bool // bytes are missing from them
}

// alternative is what the client sent since a BDAT that was refused, as long as two readings
// explain the replies: the server may have skipped the chunk, which is the reading that the parser
// follows, or may have read it as commands.
type alternative struct {
	bytes   []byte
	resume  snapshot // of the session before these bytes
	replies uint32   // replies since then that the first reading has explained
}

// feedClient reads the next bytes of the client, which continues by the replies so far.
func (l *Listener) feedClient(s *Session, b []byte) {
	l.endCutReply(s)
	l.endCodeless(s)
	s.client.seen.unconfirmed, s.client.seen.guessedMessage = 0, false
	if p := &s.client; p.alt.replies > 0 && p.pending.total == 0 {
		p.alt.replies = 0
		l.giveBack(&p.alt.bytes) // the usual reading explains all replies
	}
	if p := &s.client; p.held.lenientEnd && p.mode == inCommands && p.pending.total == 0 &&
		p.line.buf == nil {
		p.dropLenientEnd(l) // the same: a server that took that end would have sent more replies
	}
	if !s.client.seen.client {
		s.client.seen.client = true
		if s.Flags&Midstream == 0 && s.server.lines == 0 {
			s.client.seen.spokeFirst = true
		}
	}
	s.client.seen.commandInFeed = false
	l.parseClient(s, b)
}

// parseClient reads bytes of the client.
func (l *Listener) parseClient(s *Session, b []byte) {
	p := &s.client
	if p.held.lenientEnd {
		p.hold(l, b)
	}
	if p.alt.bytes != nil {
		if len(p.alt.bytes)+len(b) > maxHeld {
			l.giveBack(&p.alt.bytes)
		} else {
			p.alt.bytes = l.blocks.append(p.alt.bytes, b)
		}
	}
	for len(b) > 0 { // each round takes a byte of b at least, or leaves waitData or waitChunk
		if !p.opened && p.mode == inCommands {
			b = l.openClient(s, b)
			continue
		}
		switch p.mode {
		case inCommands, inAuth:
			var line []byte
			var long, bare, ok bool
			line, b, long, bare, ok = p.line.next(l, b)
			if !ok {
				return
			}
			l.command(s, line, long, bare)
		case waitData:
			if p.seen.oneSided {
				if p.startMessage(); p.seen.commandInFeed {
					p.seen.sentAhead = true
				}
				continue
			}
			p.hold(l, b)
			if len(p.held.bytes) == maxHeld {
				// No dialogue that is sent ahead is as long: these bytes are a message.
				l.rereadAsMessage(s)
			}
			return
		case inMessage:
			n, e := p.body.scan(b)
			b = b[n:]
			switch e {
			case strictEnd:
				l.endMessage(s)
			case lenientEnd:
				if !p.held.lenientEnd {
					p.held.lenientEnd, p.held.truncated, p.held.resume = true, false, s.snapshot()
					p.hold(l, b)
				}
			}
		case inChunk:
			n := min(uint64(len(b)), p.chunk.left)
			p.chunk.left -= n
			b = b[n:]
			if p.chunk.left == 0 {
				p.mode = inCommands
			}
		case waitChunk:
			b = l.holdChunk(s, b)
		case waitTLS:
			l.holdAfterSTARTTLS(s, b)
			return
		case inHello:
			l.readHello(s, b, false)
			return
		case encrypted:
			return
		}
	}
}

// openClient reads the first bytes of the client, which may be a PROXY header or the beginning of
// TLS, and returns the bytes behind them.
func (l *Listener) openClient(s *Session, b []byte) []byte {
	p := &s.client
	midstream := s.Flags&Midstream != 0
	if !p.proxy.over && !midstream {
		before, found := p.proxy.skip(&b)
		if found {
			l.proxied(s)
		}
		if len(before) > 0 {
			p.opened = true
			l.parseClient(s, before)
		}
		return b
	}
	first, tls, sure := p.first.startsTLS(&b, midstream)
	if !sure { // all of b was taken
		return nil
	}
	p.opened = true
	if tls {
		l.beginTLS(s)
	}
	l.parseClient(s, first)
	return b
}

// clientGap handles a gap of n bytes in the client's half.
func (l *Listener) clientGap(s *Session, n int) {
	p := &s.client
	l.giveBack(&p.alt.bytes)
	if p.mode == waitChunk && p.chunk.strict {
		l.rereadAsChunk(s) // its size is known
	}
	p.tx.gapInMessage, p.seen.gapSinceCommand = true, true
	if p.mode != inMessage && !(p.mode == inChunk && uint64(n) <= p.chunk.left) {
		s.server.uncertain = true // there may have been commands among them
	}
	p.proxy.over = true
	if p.first.n > 0 {
		p.opened, p.first.n = true, 0
	}
	if p.held.lenientEnd || p.mode == waitData && len(p.held.bytes) > 0 {
		p.held.truncated = true
	}
	switch p.mode {
	case inMessage:
		p.body, p.tx.lossy = inLine, true
	case inChunk:
		if uint64(n) < p.chunk.left {
			p.chunk.left -= uint64(n)
			return
		}
		exact := uint64(n) == p.chunk.left
		p.chunk.left, p.mode = 0, inCommands
		if !exact {
			p.line.lose(l)
		}
	case waitData:
		p.tx.lossy = true
	case waitTLS, waitChunk:
		p.held.truncated = true
	case inHello:
		p.tls.nameRead = true
		if p.tls.confirmed || len(p.held.bytes) == 0 {
			p.mode = encrypted
			l.giveBack(&p.held.bytes)
		} else {
			p.held.truncated = true
		}
	case inCommands, inAuth:
		if p.held.uncertain {
			p.seen.strays++ // a lost line between the held commands may be no command
		}
		if p.mode == inCommands {
			l.cutCommand(s)
		}
		p.line.lose(l)
	}
}

// clientEnd handles the end of the client's half.
func (l *Listener) clientEnd(s *Session) {
	p := &s.client
	if p.seen.oneSided {
		l.classifyHeld(s)
	}
	switch {
	case p.mode == inCommands && p.line.buf != nil:
		// A last command without its line end: servers do not obey it, but QUIT shows that the
		// client hangs up on purpose.
		if v, _ := parseVerb(p.line.buf); v == QUIT {
			inc(&s.Commands)
		}
		l.giveBack(&p.line.buf)
	case p.mode == inMessage && p.held.lenientEnd && p.seen.oneSided:
		// Only a lenient end was captured, and no reply shows whether the server took it.
		l.flag(s, Ambiguous)
		l.countMessage(s)
		l.endLeniently(s)
	}
	if p.mode == inHello && p.held.bytes != nil {
		l.readHello(s, nil, true) // no more bytes will come
	}
}
