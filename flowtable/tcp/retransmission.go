package tcp

import (
	"bytes"
	"encoding/binary"
)

// history remembers the bytes that were given last, over all connections of a Stream, so that a
// second copy of them can be compared. It is a ring of records; those of a half are
// chained, newest first:
//
//	before 32  where the half's record before this one is
//	half   32  whose it is: the initial sequence number
//	seq    32  of the first byte
//	length 32
//	bytes
//
// A place is the number of bytes that were ever written before it, and one more; zero is none. It counts
// modulo 2^32, so that a half that was silent while 4 GiB were given may be led to a record
// that is not its own: its initial sequence number tells.
//
// Who waits with the second copy until 64 KiB of other bytes were given in the shard is not
// found out. A receiver drops it all the same: by then it has acknowledged the first.
type history struct {
	ring *[historySize]byte
	end  uint32 // where the next record goes, without the one
}

const (
	historySize = 64 << 10
	recordHead  = 16
	// maxRecord is how much of a segment is remembered. Commands and replies are shorter
	// (RFC 5321, section 4.5.3.1).
	maxRecord = 256
	// maxCompared is how many records of a half are looked at.
	maxCompared = 32
)

var le = binary.LittleEndian

// add remembers bytes that a half gives now.
func (m *history) add(x *half, b []byte) {
	if m.ring == nil {
		m.ring = new([historySize]byte)
	}
	b = b[:min(len(b), maxRecord)]
	at := m.end % historySize
	if at > historySize-recordHead-maxRecord { // records are not split
		m.end += historySize - at
		at = 0
	}
	r := (*[recordHead + maxRecord]byte)(m.ring[at:])
	le.PutUint64(r[:], uint64(x.lastRecord)|uint64(x.isn)<<32)
	le.PutUint64(r[8:], uint64(x.next)|uint64(len(b))<<32)
	copy(r[recordHead:], b)
	x.lastRecord = m.end + 1
	m.end += uint32(recordHead+len(b)+3) &^ 3
}

// record is the record at a place, if it is still there and the half's.
func (m *history) record(place uint32, x *half) (before uint32, seq Seq, b []byte, ok bool) {
	from := place - 1
	if age := m.end - from; place == 0 || age == 0 || age > historySize || from%historySize > historySize-recordHead-maxRecord {
		return
	}
	r := (*[recordHead + maxRecord]byte)(m.ring[from%historySize:])
	n := le.Uint32(r[12:])
	if Seq(le.Uint32(r[4:])) != x.isn || n > maxRecord {
		return
	}
	return le.Uint32(r[:]), Seq(le.Uint32(r[8:])), r[recordHead : recordHead+n], true
}

// compareOverlap compares a segment with what is known of the bytes it repeats: those that were given,
// and those that wait. differs tells whether there were any that are not the same. Which copy
// counts is as in Linux (tcp_data_queue_ofo and tcp_ofo_queue in net/ipv4/tcp_input.c): bytes that
// the receiver has are not replaced; a segment that follows them is taken whole; of two that are
// ahead of them the one that covers the other, and else the one that begins first. It returns the
// segment's bytes as they count.
func (st *Stream) compareOverlap(s *Segment) (b []byte, differs bool) {
	c := st.conn
	x := &c.half[s.Dir]
	seq := s.Seq
	if s.Flags.Has(SYN) {
		seq = seq.Add(1)
	}
	b = s.Payload
	if s.Len == 1 && seq.Add(1) == x.next {
		return b, false // a keep-alive: its byte may be anything (RFC 9293, section 3.8.4)
	}
	place := x.lastRecord
	for range maxCompared {
		before, from, first, ok := st.history.record(place, x)
		if !ok || len(b) == 0 {
			break
		}
		if mine, its := overlap(seq, b, from, first); !bytes.Equal(mine, its) {
			differs = true // they were given: what is new of b comes behind them
		}
		if !seq.Less(from) {
			break
		}
		place = before
	}
	if c.held == 0 {
		return b, differs
	}
	copied, sound := false, s.DropRisk == 0 && !c.acksUnsent(s.Dir, s.Ack, s.Flags)
	received, end := st.receivedUpTo(s.Dir), s.end()
	for i := c.held; i != 0; i = st.nodes[i].next {
		n := &st.nodes[i]
		if n.dir != s.Dir || !n.seq.Less(end) || !seq.Less(n.end()) {
			continue
		}
		mine, its := overlap(seq, b, n.seq, n.buf)
		same := bytes.Equal(mine, its)
		differs = differs || !same
		switch {
		case sound && n.droppable(c):
			n.superseded = n.superseded || !same // its receiver drops what waits; see Stream.drop
			continue
		case !sound, !received.Less(n.end()):
			// What waits was there first.
		case !received.Less(seq):
			continue // this one is taken whole, and of what waits the rest
		case !seq.Less(n.seq) && !n.end().Less(end):
			st.curCovered = true
			continue
		case !n.seq.Less(seq) && !end.Less(n.end()):
			n.superseded = true
			continue
		default:
			continue // the one that begins first is taken whole; see takeReady
		}
		if same {
			continue
		}
		if !copied {
			st.merged = append(st.merged[:0], b...)
			b = st.merged
			mine, _ = overlap(seq, b, n.seq, n.buf)
		}
		copied = true
		copy(mine, its)
	}
	return b, differs
}

// receivedUpTo is up to where the receiver has all bytes of a half: some may still wait here for what
// they acknowledge. The segments that wait bound the rounds.
func (st *Stream) receivedUpTo(d Dir) Seq {
	c := st.conn
	at := c.half[d].next
	for more := true; more; {
		more = false
		for i := c.held; i != 0; i = st.nodes[i].next {
			if n := &st.nodes[i]; n.dir == d && !at.Less(n.seq) && at.Less(n.end()) && !n.droppable(c) {
				at, more = n.end(), true
			}
		}
	}
	return at
}

// droppable reports whether a segment that waits is one that its receiver may drop.
func (n *node) droppable(c *Conn) bool { return n.dropRisk != 0 || c.acksUnsent(n.dir, n.ack, n.flags) }

// overlap is the part that two rows of bytes share, in each.
func overlap(a Seq, x []byte, b Seq, y []byte) (inX, inY []byte) {
	if d := b.Sub(a); d >= 0 {
		x = x[min(d, len(x)):]
	} else {
		y = y[min(-d, len(y)):]
	}
	n := min(len(x), len(y))
	return x[:n], y[:n]
}
