package smtpsniff

import (
	"bytes"

	"spamsensor/smtpsniff/tlshello"
)

// startsTLS reports whether b begins like TLS: with a handshake record, or the hello of SSL 2. In
// the middle of a connection any record will do. sure is false while b is too short to decide.
func startsTLS(b []byte, midstream bool) (yes, sure bool) {
	switch {
	case len(b) == 0:
		return false, false
	case b[0] == 0x16, midstream && b[0] >= 0x14 && b[0] <= 0x17:
		return len(b) > 1 && b[1] == 3, len(b) > 1
	case b[0] == 0x80:
		return len(b) > 2 && b[2] == 1, len(b) > 2
	}
	return false, true
}

// firstBytes holds the first bytes of a side until they show whether it speaks TLS.
type firstBytes struct {
	bytes [3]byte
	n     uint8
}

// startsTLS is the function of that name for the bytes so far. While it is not sure it takes all of
// b; when it is, first are the bytes that it took before.
func (t *firstBytes) startsTLS(b *[]byte, midstream bool) (first []byte, tls, sure bool) {
	if t.n == 0 {
		if tls, sure = startsTLS(*b, midstream); sure {
			return nil, tls, true
		}
	}
	k := copy(t.bytes[t.n:], *b)
	t.n += uint8(k)
	*b = (*b)[k:]
	first = t.bytes[:t.n]
	if tls, sure = startsTLS(first, midstream); sure {
		t.n = 0
	}
	return first, tls, sure
}

// beginTLS records that a client speaks TLS where commands were expected.
func (l *Listener) beginTLS(s *Session) {
	kind := Implicit
	if s.client.tls.requested {
		kind = StartTLS
	} else if s.Proto == Unknown {
		s.Proto = TLS
	}
	s.client.enterHello(s, 0)
	s.Encryption = kind
	if s.client.seen.oneSided {
		l.confirmTLS(s)
	}
}

// enterHello reads the held bytes from this place on, and the client's next bytes, as TLS.
func (p *clientParser) enterHello(s *Session, at int) {
	s.Encryption = StartTLS
	p.mode, p.tls.nameRead, p.tls.confirmed, p.held.helloAt = inHello, false, false, uint16(at)
	s.server.tls = recordSkipper{}
}

// acceptSTARTTLS is the server's consent to STARTTLS: TLS follows. Plain text behind STARTTLS is an
// attack or an error; no server takes it for TLS.
func (l *Listener) acceptSTARTTLS(s *Session) {
	p := &s.client
	p.pending.clear()
	if p.mode >= inHello {
		return // TLS has begun already
	}
	p.dropLenientEnd(l)
	p.held.truncated = false
	p.enterHello(s, len(p.held.bytes))
}

// readHello reads bytes that look like TLS. The client's first message has the server name. The
// bytes stay held: all of them are commands if the server replies in the clear before it speaks TLS
// itself. over reports that no more bytes will come.
func (l *Listener) readHello(s *Session, b []byte, over bool) {
	p := &s.client
	p.hold(l, b)
	over = over || p.held.truncated
	if !p.tls.nameRead {
		first := p.held.bytes[p.held.helloAt:]
		tls, sure := startsTLS(first, s.Flags&Midstream != 0)
		switch {
		case !sure && !over:
			return
		case tls:
			name, more := tlshello.ServerName(first)
			if more && !over {
				return
			}
			s.sni = l.keepFixed(s, name, maxName)
		case s.Encryption == StartTLS:
			l.flag(s, PlainAfterSTARTTLS)
		}
		p.tls.nameRead = true
	}
	if p.tls.confirmed {
		l.confirmTLS(s)
	}
}

// confirmTLS records that the session is TLS: the server speaks it too, or no reply can contradict
// it.
func (l *Listener) confirmTLS(s *Session) {
	p := &s.client
	if !p.tls.confirmed {
		p.tls.confirmed = true
		l.emit(TLSStarted, NoPhase, nil)
	}
	if p.mode == inHello && p.tls.nameRead {
		p.mode, p.held.truncated = encrypted, false
		l.giveBack(&p.held.bytes)
	}
}

// revokeTLS handles a reply in the clear to what looked like TLS: the server reads commands, and
// the client's bytes since then are read again. If the server has spoken TLS before, it has ended
// TLS: then the client continues in the clear with its next command, or not at all.
func (l *Listener) revokeTLS(s *Session) {
	p := &s.client
	was := p.mode
	p.mode, p.tls.revoked = inCommands, true
	switch {
	case s.server.tls.seen, was == encrypted:
		p.held.truncated = false
		l.giveBack(&p.held.bytes)
		p.line.lose(l)
	case len(p.held.bytes) == 0: // TLS may still begin
		l.giveBack(&p.held.bytes)
		p.opened = false
	default:
		l.reread(s)
	}
}

// recordSkipper skips TLS records (RFC 8446, section 5.1: type 8, version 16, length 16). Some
// servers end TLS, or never begin it, and say goodbye in plain text.
type recordSkipper struct {
	head [5]byte
	n    uint8  // length of head
	left uint32 // bytes of the record that are still to come
	lost bool   // the place of the next record is not known
	seen bool   // there was a record
}

// skip returns the part of b that is no TLS record but can be a reply. Where the place of the next
// record is not known, it must be called for each line, and for each part of one.
func (t *recordSkipper) skip(b []byte) []byte {
	for len(b) > 0 && !t.lost { // each round takes a byte of b, or all that is left of a record
		if t.left > 0 {
			k := min(len(b), int(t.left))
			t.left -= uint32(k)
			b = b[k:]
			continue
		}
		if t.n == 0 && digit(b[0]) {
			return b
		}
		t.head[t.n] = b[0]
		t.n++
		b = b[1:]
		if t.n == 1 && (t.head[0] < 0x14 || t.head[0] > 0x18) {
			t.lost = true
		}
		if int(t.n) == len(t.head) {
			t.seen = true
			t.n, t.left = 0, uint32(t.head[3])<<8|uint32(t.head[4])
		}
	}
	// Only the line in hand decides: how much of what follows is there by now says nothing.
	line := b
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		line = b[:i]
	}
	if t.seen = t.seen || isBinary(line); t.seen {
		return nil
	}
	return b // behind a gap, without any TLS so far
}

// isBinary reports whether b has bytes that no reply has.
func isBinary(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			return true
		}
	}
	return false
}
