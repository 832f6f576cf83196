package smtpsniff

import (
	"math/bits"
	"unsafe"
)

// Beside its Session a dialogue needs memory for its texts, the beginning of a line in each
// direction, and held bytes: 11 KiB at most, and usually a few hundred bytes. They are in blocks of
// 64 bytes to 8 KiB that belong to the listener, which counts them. A caller that follows many
// dialogues compares Bytes with its limit before each Feed, and calls DropOldest to make room.

// blockPool holds the bytes that the sessions of a listener share.
type blockPool struct {
	free  [blockSizes][][]byte // by size
	bytes int                  // of blocks in use
	spare int                  // of free ones
}

const (
	smallest   = 6 // 64 bytes, as a power of two
	largest    = 13
	blockSizes = largest - smallest + 1
	// leastSpare is how many bytes of free blocks, and of free sessions, are always kept.
	leastSpare = 64 << 10
)

// class is the index of the smallest block size that holds n bytes; n is at most 8192.
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

// put takes a block back. Where many are free already the garbage collector gets it.
func (m *blockPool) put(b []byte) {
	size := cap(b)
	m.bytes -= size
	c, most := class(size), max(leastSpare, m.bytes/4)
	if m.spare+size > most {
		if k := len(m.free[c]); k > 0 && m.spare > most { // the number in use sinks
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

// giveBack returns a block to the pool and clears its reference.
func (l *Listener) giveBack(b *[]byte) {
	if *b != nil {
		l.blocks.put(*b)
		*b = nil
	}
}

// sessionBytes is the size of a session without its blocks.
const sessionBytes = int(unsafe.Sizeof(Session{}))

// Bytes is the memory of the sessions that were begun and not freed.
func (l *Listener) Bytes() int { return l.blocks.bytes + l.live*sessionBytes }

// holders are the sessions with the beginning of a line or with held bytes, in the order of their
// last Feed or Gap.
type holders struct{ first, last *Session }

// updateHolder puts a session in its place among the holders, or removes it. Most sessions hold
// nothing: then it does not read their links, which are far from the fields that Feed uses.
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

// removeHolder removes a session from the holders, if it is one.
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

// DropOldest makes room: of the sessions that hold the beginning of a line or bytes for which a
// reply decides, the one whose last bytes came first loses these bytes as in a gap, and has the
// flag CutShort from then on. It reports false if there is none. It emits no events.
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
		default: // waitTLS, waitChunk, or behind a lenient end
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

// Abandon is Free for a session whose processing has caused a panic: nothing of it is used again.
func (l *Listener) Abandon(s *Session) {
	l.removeHolder(s)
	l.live--
	p := &s.client
	for _, b := range [][]byte{p.line.buf, s.server.line.buf, p.held.bytes, p.alt.bytes, s.text} {
		l.blocks.bytes -= cap(b)
	}
}
