package smtpsniff

import "bytes"

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

	credential [maxCredential]byte // empty between calls
	plain      [maxCredential]byte // empty between calls, but for texts of servers
	out        []byte              // the text that was shown last
	texts      []byte              // of the events
	sessions   []*Session          // free ones
	live       int                 // sessions in use
	memory     blocks
	lent       []byte // the line in hand, if it was put together in a block
	holders    holders
}

// LastReply is the text of a session's last reply, as far as it may be shown. It is borrowed until
// the next call.
func (l *Listener) LastReply(s *Session) []byte {
	return l.shown(s, s.server.text[:s.lastLen], s.server.answered)
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
	s.client.oneSided = oneSided
	if midstream {
		s.Flags |= Midstream
		s.client.line.lost, s.server.line.lost = true, true
	} else {
		s.client.queue.push(connect)
	}
	return s
}

// Free takes back a session that nobody will use any more.
func (l *Listener) Free(s *Session) {
	l.leave(s)
	for _, b := range []*[]byte{&s.client.line.buf, &s.server.line.buf, &s.client.held, &s.client.other, &s.text} {
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
	l.begin()
	if len(b) == 0 {
		return
	}
	if side == Server {
		l.serverSeen(s)
		l.server(s, b)
	} else {
		l.feedClient(s, b)
	}
	l.note(s)
}

// feedClient takes in the next bytes of the client.
func (l *Listener) feedClient(s *Session, b []byte) {
	l.endCut(s)
	s.client.again, s.client.guessed = 0, false // it goes on by what the server said so far
	if p := &s.client; p.otherSince > 0 && p.queue.all == 0 {
		p.otherSince = 0
		l.giveBack(&p.other) // the usual reading explains all of it
	}
	if p := &s.client; p.lenientEnd && p.mode == commands && p.queue.all == 0 && p.line.buf == nil {
		p.dropLenientEnd(l) // it does so here, too: a server that ended the message there has more replies
	}
	if !s.client.heard {
		s.client.heard = true
		if s.Flags&Midstream == 0 && s.server.heard == 0 {
			s.client.early = true
		}
	}
	s.client.together = false
	l.client(s, b)
}

// Gap tells that n bytes of a side were not seen.
func (l *Listener) Gap(s *Session, side Side, n int) {
	l.begin()
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
	l.note(s)
}

// serverGap is bytes of the server that were not seen.
func (l *Listener) serverGap(s *Session, n int) {
	r, p := &s.server, &s.client
	l.cutReply(s)
	l.giveBack(&p.other)
	r.paused = r.gap && r.paused || p.mode == waitData && len(p.held) == 0 && !p.lossy
	r.gap, r.several, r.tls.lost = true, false, true
	if p.mode == waitChunk && p.strict {
		l.releaseChunk(s) // what decides may be lost
	}
	r.open = p.queue.all
	if p.unsettled { // commands, perhaps
		r.open += uint32(bytes.Count(p.held, []byte{'\n'}))
	}
	r.lost += uint64(n)
	r.line.lose(l)
	r.start.n = 0
}

// serverSeen notes that there is a server to be heard. It may still have to answer messages that were
// counted because nobody would confirm them.
func (l *Listener) serverSeen(s *Session) {
	p := &s.client
	if !p.oneSided {
		return
	}
	p.oneSided, p.again = false, s.Messages
	if p.again > 0 {
		l.flag(s, Ambiguous)
	}
}

// MarkAmbiguous tells that the server may have got other bytes of the client than were fed: then what it asks for
// counts.
func (l *Listener) MarkAmbiguous(s *Session) { s.client.ambiguous = true }

// End tells that a side will send no more, or that nobody will listen any more.
func (l *Listener) End(s *Session, side Side) {
	l.begin()
	if side == Client {
		l.clientEnd(s)
		l.note(s)
	}
}

// Finish settles what is still open when a session is over.
func (l *Listener) Finish(s *Session) {
	l.begin()
	if s.server.heard == 0 && !s.client.oneSided {
		// The server took part in the handshake and never said a word.
		s.client.oneSided = true
		if s.client.mode == waitData {
			l.releaseMessage(s)
		}
		if s.server.gap && s.Messages > 0 {
			l.flag(s, Ambiguous) // it spoke, and what it said was not seen
		}
	}
	if s.client.mode == waitChunk && s.client.strict {
		l.releaseChunk(s)
	}
	l.clientEnd(s)
	if s.Encryption != Plain {
		l.isTLS(s) // nobody said otherwise
	}
	if !s.client.heard && s.taken() {
		l.flag(s, Ambiguous)
	}
	if p := &s.client; s.Encryption == Plain && p.odd > 0 && p.odd == s.Commands && s.Flags&(Midstream|GapClient) == 0 || s.Proto == OtherApp {
		l.flag(s, NotSMTP)
		l.emit(Foreign, NoPhase, nil)
	}
}

// taken reports whether a server whose client was not heard may have taken messages in
// chunks: it said yes to more than a greeting, a sender and a recipient, and never asked for data.
func (s *Session) taken() bool {
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
	if n := len(l.texts); len(text) > 0 {
		l.texts = append(l.texts, text...)
		e.Text = l.texts[n:]
	}
	return e
}

// begin forgets the events of the call before.
func (l *Listener) begin() { l.Events, l.texts = l.Events[:0], l.texts[:0] }
