package smtpsniff

import (
	"math/bits"
	"unsafe"
)

// What a dialogue takes beside its Session are its texts, the beginning of a line in each
// direction, and what is held back: 11 KiB at most, and a few hundred bytes usually. All of it are
// blocks of 64 bytes to 8 KiB that belong to the listener, which counts them: who follows many
// dialogues looks at Bytes before each Feed, and has GiveUp make room.

// blocks are the bytes that the sessions of a listener share.
type blocks struct {
	free  [blockSizes][][]byte // by size
	bytes int                  // of blocks in use
	spare int                  // of free ones
}

const (
	smallest   = 6 // 64 bytes, as a power of two
	largest    = 13
	blockSizes = largest - smallest + 1
	// leastSpare is how many bytes of free blocks and sessions are kept in any case.
	leastSpare = 64 << 10
)

// class is the index of the smallest blocks of n bytes or more; n is at most 8192.
func class(n int) int { return max(bits.Len(uint(max(n, 1)-1)), smallest) - smallest }

func (m *blocks) get(n int) []byte {
	c := class(n)
	size := 1 << (c + smallest)
	m.bytes += size
	if k := len(m.free[c]); k > 0 {
		b := m.free[c][k-1]
		m.free[c] = m.free[c][:k-1]
		m.spare -= size
		return b
	}
	return make([]byte, 0, size)
}

// put takes a block back. Where many are free already the collector gets it.
func (m *blocks) put(b []byte) {
	size := cap(b)
	m.bytes -= size
	c, most := class(size), max(leastSpare, m.bytes/4)
	if m.spare+size > most {
		if k := len(m.free[c]); k > 0 && m.spare > most { // there are ever fewer in use
			m.free[c][k-1] = nil
			m.free[c], m.spare = m.free[c][:k-1], m.spare-size
		}
		return
	}
	m.spare += size
	m.free[c] = append(m.free[c], b[:0])
}

// append is the builtin for blocks; to may be nil. The sum must not exceed 8192 bytes.
func (m *blocks) append(to, b []byte) []byte {
	if n := len(to) + len(b); to == nil || n > cap(to) {
		more := append(m.get(n), to...)
		if to != nil {
			m.put(to)
		}
		to = more
	}
	return append(to, b...)
}

// giveBack takes a block back from where it was in use.
func (l *Listener) giveBack(b *[]byte) {
	if *b != nil {
		l.memory.put(*b)
		*b = nil
	}
}

// sessionBytes is what a session takes without its blocks.
const sessionBytes = int(unsafe.Sizeof(Session{}))

// Bytes is what the sessions take that were begun and not taken back.
func (l *Listener) Bytes() int { return l.memory.bytes + l.live*sessionBytes }

// holders are the sessions with the beginning of a line, or with something that is held back, in
// the order of their last Feed or Gap.
type holders struct{ first, last *Session }

// note puts a session in its place among the holders. Most sessions are none, and hold nothing:
// then their links, which are far from what Feed uses, are not looked at.
func (l *Listener) note(s *Session) {
	p := &s.client
	if p.line.buf != nil || s.server.line.buf != nil || p.held != nil || p.other != nil {
		if l.holders.last != s {
			l.leave(s)
			s.holds = true
			if s.before = l.holders.last; s.before != nil {
				s.before.behind = s
			} else {
				l.holders.first = s
			}
			l.holders.last = s
		}
		return
	}
	if s.holds {
		l.leave(s)
	}
}

// leave takes a session from the holders, if it is one.
func (l *Listener) leave(s *Session) {
	s.holds = false
	switch {
	case s.before != nil:
		s.before.behind = s.behind
	case l.holders.first == s:
		l.holders.first = s.behind
	default:
		return
	}
	if s.behind != nil {
		s.behind.before = s.before
	} else {
		l.holders.last = s.before
	}
	s.before, s.behind = nil, nil
}

// DropOldest makes room: the session that has been silent longest of those that wait for the rest of a
// line, or for a reply that decides what was sent ahead of it, loses these bytes as if they had not
// been seen, and has the flag CutShort from then on. It reports false if there is none. It gives no
// events.
func (l *Listener) DropOldest() bool {
	s := l.holders.first
	if s == nil {
		return false
	}
	l.leave(s)
	l.flag(s, CutShort)
	p, r := &s.client, &s.server
	if p.held != nil || p.line.buf != nil {
		l.flag(s, GapClient)
	}
	l.giveBack(&p.other)
	p.otherSince = 0
	if p.held != nil {
		l.giveBack(&p.held)
		p.missed, p.unheard = true, true
		switch {
		case p.unsettled:
			p.strays++
		case p.mode == waitData:
			p.lossy, p.overflown = true, false
		case p.mode == hello:
			p.mode, p.named, p.helloAt, p.overflown = encrypted, true, 0, false
		default: // waitTLS, waitChunk, or behind a loose end
			p.overflown = true
		}
	}
	if p.line.buf != nil {
		p.missed, p.unheard, r.unsure = true, true, true
		if p.mode == commands {
			l.cutCommand(s)
		}
		p.line.lose(l)
	}
	if r.line.buf != nil {
		l.flag(s, GapServer)
		r.gap, r.several, r.tls.lost = true, false, true
		r.open = p.queue.all
		r.lost += uint64(len(r.line.buf))
		r.line.lose(l)
	}
	return true
}

// Abandon is Free of a session that is not to be looked at any more, because to do so has caused a
// panic: nothing of it is used again.
func (l *Listener) Abandon(s *Session) {
	l.leave(s)
	l.live--
	for _, b := range [][]byte{s.client.line.buf, s.server.line.buf, s.client.held, s.client.other, s.text} {
		l.memory.bytes -= cap(b)
	}
}
