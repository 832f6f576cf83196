package smtpsniff

import "spamsensor/smtpsniff/redact"

// Listener follows sessions and owns the memory that they share. The zero value is ready. It is not
// safe for concurrent use: each shard has its own.
type Listener struct {
	// Events are the events of the last call of Feed, Gap, End or Finish.
	Events []Event
	// Weird counts the sessions with each flag.
	Weird [32]uint64
	// Account makes a number of the name of an account, in lower case: a keyed hash, because the
	// number is kept. The name is borrowed for the call. Nil: no name is read.
	Account func(name []byte) uint32
	// Redactor removes from replies what the client has sent. Its seed and its functions may be set
	// before the first session.
	Redactor redact.Redactor
	// ShowSenders keeps the local parts of senders in redacted texts. Redaction always removes the
	// local parts of recipients.
	ShowSenders bool

	decodeBuf [maxCredential]byte // empty between calls
	eventText []byte              // texts of Events
	sessions  []*Session          // free ones
	live      int                 // sessions in use
	blocks    blockPool
	lentLine  []byte // the block of the line in hand, if the line came in parts
	holders   holders
}

// LastReply is the text of a session's last reply, redacted. It is borrowed until the next call.
func (l *Listener) LastReply(s *Session) []byte {
	return l.redact(s, s.server.text[:s.lastLen], s.server.answered)
}

// New begins a session. midstream: its beginning was not captured. oneSided: no packet of the
// server was captured, not even its part of the handshake, so that no reply will come.
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

// Free takes a session back. The caller must not use it any more.
func (l *Listener) Free(s *Session) {
	l.removeHolder(s)
	p, r := &s.client, &s.server
	for _, b := range []*[]byte{&p.line.buf, &r.line.buf, &p.held.bytes, &p.alt.bytes, &s.text} {
		l.giveBack(b)
	}
	l.live--
	n, most := len(l.sessions), max(leastSpare, l.live*sessionBytes/4)
	if (n+1)*sessionBytes <= most {
		l.sessions = append(l.sessions, s)
	} else if n*sessionBytes > most { // the number in use sinks
		l.sessions[n-1] = nil
		l.sessions = l.sessions[:n-1]
	}
}

// Feed reads the next bytes of a side. They are borrowed for the call.
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

// Gap records that n bytes of a side were not captured.
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

// MarkAmbiguous records that the server may have got other bytes of the client than the listener:
// then a 354 of the server counts whatever the client seems to have sent.
func (l *Listener) MarkAmbiguous(s *Session) { s.client.seen.ambiguous = true }

// End records that a side will send no more bytes, or that no more are captured.
func (l *Listener) End(s *Session, side Side) {
	l.clearEvents()
	if side == Client {
		l.clientEnd(s)
		l.updateHolder(s)
	}
}

// Finish decides all that is still open at the end of a session.
func (l *Listener) Finish(s *Session) {
	l.clearEvents()
	if s.server.lines == 0 && !s.client.seen.oneSided {
		// The server took part in the handshake and never sent a byte.
		s.client.seen.oneSided = true
		if s.client.mode == waitData {
			l.rereadAsMessage(s)
		}
		if s.server.gap && s.Messages > 0 {
			l.flag(s, Ambiguous) // it sent bytes that were not captured
		}
	}
	if s.client.mode == waitChunk && s.client.chunk.strict {
		l.rereadAsChunk(s)
	}
	l.clientEnd(s)
	if s.Encryption != Plain {
		l.confirmTLS(s) // no reply contradicts it
	}
	if !s.client.seen.client && s.mayHaveAccepted() {
		l.flag(s, Ambiguous)
	}
	odd := s.client.seen.unknownLines
	onlyUnknown := odd > 0 && odd == s.Commands && s.Flags&(Midstream|GapClient) == 0
	if s.Encryption == Plain && onlyUnknown || s.Proto == OtherApp {
		l.flag(s, NotSMTP)
		l.emit(NotSMTPFound, NoPhase, nil)
	}
}

// mayHaveAccepted reports whether a server whose client was not captured may have accepted messages
// in chunks: it sent more 250 replies than a greeting, a sender and a recipient need, and never a
// 354.
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

// flag sets a flag, and counts it once per session.
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

// emit appends an event. It copies the text, because the memory of the text is used again within
// the same call.
func (l *Listener) emit(k Kind, p Phase, text []byte) *Event {
	l.Events = append(l.Events, Event{}) // filled in place: a literal would be copied
	e := &l.Events[len(l.Events)-1]
	e.Kind, e.Phase = k, p
	if n := len(l.eventText); len(text) > 0 {
		l.eventText = append(l.eventText, text...)
		e.Text = l.eventText[n:]
	}
	return e
}

// clearEvents removes the events of the call before.
func (l *Listener) clearEvents() { l.Events, l.eventText = l.Events[:0], l.eventText[:0] }
