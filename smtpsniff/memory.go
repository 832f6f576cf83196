package smtpsniff

import (
	"math/bits"
	"unsafe"
)

// What a dialogue takes beside its Session are its texts, the beginning of a line in each
// direction, and what is held back: 11 KiB at most, and a few hundred bytes usually. All of it are
// blocks of 64 bytes to 8 KiB that belong to the listener, which counts them: who follows many
// dialogues looks at Bytes before each Feed, and has GiveUp make room.

// blockPool are the bytes that the sessions of a listener share.
type blockPool struct {
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

func (m *blockPool) get(n int) []byte {
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
func (m *blockPool) put(b []byte) {
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
func (m *blockPool) append(to, b []byte) []byte {
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
		l.blocks.put(*b)
		*b = nil
	}
}

// sessionBytes is what a session takes without its blocks.
const sessionBytes = int(unsafe.Sizeof(Session{}))

// Bytes is what the sessions take that were begun and not taken back.
func (l *Listener) Bytes() int { return l.blocks.bytes + l.live*sessionBytes }

// holders are the sessions with the beginning of a line, or with something that is held back, in
// the order of their last Feed or Gap.
type holders struct{ first, last *Session }

// updateHolder puts a session in its place among the holders. Most sessions are none, and hold nothing:
// then their links, which are far from what Feed uses, are not looked at.
func (l *Listener) updateHolder(s *Session) {
	p := &s.client
	if p.line.buf != nil || s.server.line.buf != nil || p.held.bytes != nil || p.alt.bytes != nil {
		if l.holders.last != s {
			l.removeHolder(s)
			s.isHolder = true
			if s.prevHolder = l.holders.last; s.prevHolder != nil {
				s.prevHolder.nextHolder = s
			} else {
				l.holders.first = s
			}
			l.holders.last = s
		}
		return
	}
	if s.isHolder {
		l.removeHolder(s)
	}
}

// removeHolder takes a session from the holders, if it is one.
func (l *Listener) removeHolder(s *Session) {
	s.isHolder = false
	switch {
	case s.prevHolder != nil:
		s.prevHolder.nextHolder = s.nextHolder
	case l.holders.first == s:
		l.holders.first = s.nextHolder
	default:
		return
	}
	if s.nextHolder != nil {
		s.nextHolder.prevHolder = s.prevHolder
	} else {
		l.holders.last = s.prevHolder
	}
	s.prevHolder, s.nextHolder = nil, nil
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
	l.removeHolder(s)
	l.flag(s, CutShort)
	p, r := &s.client, &s.server
	if p.held.bytes != nil || p.line.buf != nil {
		l.flag(s, GapClient)
	}
	l.giveBack(&p.alt.bytes)
	p.alt.replies = 0
	if p.held.bytes != nil {
		l.giveBack(&p.held.bytes)
		p.tx.gapInMessage, p.seen.gapSinceCommand = true, true
		switch {
		case p.held.uncertain:
			p.seen.strays++
		case p.mode == waitData:
			p.tx.lossy, p.held.truncated = true, false
		case p.mode == inHello:
			p.mode, p.tls.nameRead, p.held.helloAt, p.held.truncated = encrypted, true, 0, false
		default: // waitTLS, waitChunk, or behind a loose end
			p.held.truncated = true
		}
	}
	if p.line.buf != nil {
		p.tx.gapInMessage, p.seen.gapSinceCommand, r.uncertain = true, true, true
		if p.mode == inCommands {
			l.cutCommand(s)
		}
		p.line.lose(l)
	}
	if r.line.buf != nil {
		l.flag(s, GapServer)
		r.gap, r.continues, r.tls.lost = true, false, true
		r.pendingAtGap = p.pending.total
		r.lostBytes += uint64(len(r.line.buf))
		r.line.lose(l)
	}
	return true
}

// Abandon is Free of a session that is not to be looked at any more, because to do so has caused a
// panic: nothing of it is used again.
func (l *Listener) Abandon(s *Session) {
	l.removeHolder(s)
	l.live--
	for _, b := range [][]byte{s.client.line.buf, s.server.line.buf, s.client.held.bytes, s.client.alt.bytes, s.text} {
		l.blocks.bytes -= cap(b)
	}
}
