package smtpsniff

// Listener follows sessions; it owns the memory that they share. The zero value is
// ready. It is not safe for concurrent use: have one per shard.
type Listener struct {
	// Events are what the last call of Feed, Gap or End found.
	Events []Event
	// Weird counts what was odd, by flag, once per session.
	Weird [32]uint64
	// Account makes a number of the name of an account, in lower case: a keyed hash, because the number
	// is kept. The name is borrowed for the call. Nil means that no name is looked at.
	Account func(name []byte) uint32
	// Seed makes the hashes of what clients say unpredictable. Zero means drawn at random: then a
	// collision of two hashes, once in four billion pairs of words, differs from one reading of a
	// file to the next.
	Seed uint64
	// ShowSenders has the local parts of senders be shown in what servers say of them; those of
	// recipients never are.
	ShowSenders bool
	// KnownHost reports whether a host name is that of a well-known blocklist or mail provider: it
	// is shown whoever said it. Nil knows none.
	KnownHost func(host []byte) bool
	// ListName is the name of the blocklist that the text of a refusal cites, in small letters;
	// empty if it cites none. Nil finds none.
	ListName func(text []byte) string

	decodeBuf [maxCredential]byte // empty between calls
	plainBuf  [maxCredential]byte // empty between calls, but for texts of servers
	redacted  []byte              // the text that was shown last
	eventText []byte              // of the events
	sessions  []*Session          // free ones
	live      int                 // sessions in use
	blocks    blockPool
	lentLine  []byte // the line in hand, if it was put together in a block
	holders   holders
}

// LastReply is the text of a session's last reply, as far as it may be shown. It is borrowed until
// the next call.
func (l *Listener) LastReply(s *Session) []byte {
	return l.redact(s, s.server.text[:s.lastLen], s.server.answered)
}

// New begins a session. midstream says that its beginning was not seen, alone that
// nothing of the server was, not even its part of the handshake: then nobody will answer the client.
func (l *Listener) New(midstream, oneSided bool) *Session {
	var s *Session
	if n := len(l.sessions); n > 0 {
		s = l.sessions[n-1]
		l.sessions = l.sessions[:n-1]
		*s = Session{}
	} else {
		s = new(Session)
	}
	l.live++
	s.client.seen.oneSided = oneSided
	if midstream {
		s.Flags |= Midstream
		s.client.line.lost, s.server.line.lost = true, true
	} else {
		s.client.pending.push(connect)
	}
	return s
}

// Free takes back a session that nobody will use any more.
func (l *Listener) Free(s *Session) {
	l.removeHolder(s)
	for _, b := range []*[]byte{&s.client.line.buf, &s.server.line.buf, &s.client.held.bytes, &s.client.alt.bytes, &s.text} {
		l.giveBack(b)
	}
	l.live--
	n, most := len(l.sessions), max(leastSpare, l.live*sessionBytes/4)
	if (n+1)*sessionBytes <= most {
		l.sessions = append(l.sessions, s)
	} else if n*sessionBytes > most { // there are ever fewer in use
		l.sessions[n-1] = nil
		l.sessions = l.sessions[:n-1]
	}
}

// Feed takes in the next bytes of a side.
func (l *Listener) Feed(s *Session, side Side, b []byte) {
	l.clearEvents()
	if len(b) == 0 {
		return
	}
	if side == Server {
		l.serverSeen(s)
		l.parseServer(s, b)
	} else {
		l.feedClient(s, b)
	}
	l.updateHolder(s)
}

// Gap tells that n bytes of a side were not seen.
func (l *Listener) Gap(s *Session, side Side, n int) {
	l.clearEvents()
	if n <= 0 {
		return
	}
	if side == Server {
		l.flag(s, GapServer)
		l.serverSeen(s)
		l.serverGap(s, n)
	} else {
		l.flag(s, GapClient)
		l.clientGap(s, n)
	}
	l.updateHolder(s)
}

// MarkAmbiguous tells that the server may have got other bytes of the client than were fed: then what it asks for
// counts.
func (l *Listener) MarkAmbiguous(s *Session) { s.client.seen.ambiguous = true }

// End tells that a side will send no more, or that nobody will listen any more.
func (l *Listener) End(s *Session, side Side) {
	l.clearEvents()
	if side == Client {
		l.clientEnd(s)
		l.updateHolder(s)
	}
}

// Finish settles what is still open when a session is over.
func (l *Listener) Finish(s *Session) {
	l.clearEvents()
	if s.server.lines == 0 && !s.client.seen.oneSided {
		// The server took part in the handshake and never said a word.
		s.client.seen.oneSided = true
		if s.client.mode == waitData {
			l.rereadAsMessage(s)
		}
		if s.server.gap && s.Messages > 0 {
			l.flag(s, Ambiguous) // it spoke, and what it said was not seen
		}
	}
	if s.client.mode == waitChunk && s.client.chunk.strict {
		l.rereadAsChunk(s)
	}
	l.clientEnd(s)
	if s.Encryption != Plain {
		l.confirmTLS(s) // nobody said otherwise
	}
	if !s.client.seen.client && s.mayHaveAccepted() {
		l.flag(s, Ambiguous)
	}
	if p := &s.client; s.Encryption == Plain && p.seen.unknownLines > 0 && p.seen.unknownLines == s.Commands && s.Flags&(Midstream|GapClient) == 0 || s.Proto == OtherApp {
		l.flag(s, NotSMTP)
		l.emit(NotSMTPFound, NoPhase, nil)
	}
}

// mayHaveAccepted reports whether a server whose client was not heard may have taken messages in
// chunks: it said yes to more than a greeting, a sender and a recipient, and never asked for data.
func (s *Session) mayHaveAccepted() bool {
	yes := uint16(0)
	for _, c := range s.codes {
		switch c.Code {
		case 250:
			yes = c.Count
		case 354:
			return false
		}
	}
	return yes > 3
}

func (l *Listener) flag(s *Session, f Flags) {
	if s.Flags&f != 0 {
		return
	}
	s.Flags |= f
	for i := range FlagNames {
		if f>>i&1 != 0 {
			l.Weird[i]++
		}
	}
}

// emit notes an event. Its text is copied: where it stands is used again within the same
// call.
func (l *Listener) emit(k Kind, p Phase, text []byte) *Event {
	l.Events = append(l.Events, Event{}) // filled in where it stays: one made elsewhere would wait to be copied
	e := &l.Events[len(l.Events)-1]
	e.Kind, e.Phase = k, p
	if n := len(l.eventText); len(text) > 0 {
		l.eventText = append(l.eventText, text...)
		e.Text = l.eventText[n:]
	}
	return e
}

// clearEvents forgets the events of the call before.
func (l *Listener) clearEvents() { l.Events, l.eventText = l.Events[:0], l.eventText[:0] }
