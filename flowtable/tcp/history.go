package tcp

import (
	"bytes"
	"encoding/binary"
)

// history remembers the bytes that a Stream delivered last, over all its connections, so that a
// later copy of them can be compared. It is a ring of records; the records of a half are chained,
// newest first:
//
//	before 32  place of the half's record before this one
//	half   32  identity of the half: its initial sequence number
//	seq    32  sequence number of the first byte
//	length 32
//	bytes
//
// A place is the number of bytes that were ever written before it, plus one; zero is none. It
// counts modulo 2^32, so that a half that was silent while 4 GiB were delivered may be led to a
// record of another half: its initial sequence number shows that.
//
// A copy that comes after 64 KiB of other bytes in the shard is not compared. A receiver drops it
// all the same: by then it has acknowledged the first.
type history struct {
	ring *[historySize]byte
	end  uint32 // place of the next record, minus one
}

const (
	historySize = 64 << 10
	recordHead  = 16
	// maxRecord is how many bytes of a segment are remembered. Commands and replies are shorter
	// (RFC 5321, section 4.5.3.1: 512 octets at most, and few reach 256).
	maxRecord = 256
	// maxCompared is how many records of a half are compared.
	maxCompared = 32
)

var le = binary.LittleEndian

// add remembers bytes that a half delivers now.
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

// record is the record at a place, if it was not overwritten and belongs to the half.
func (m *history) record(place uint32, x *half) (before uint32, seq Seq, b []byte, ok bool) {
	from := place - 1
	if age := m.end - from; place == 0 || age == 0 || age > historySize ||
		from%historySize > historySize-recordHead-maxRecord {
		return
	}
	r := (*[recordHead + maxRecord]byte)(m.ring[from%historySize:])
	n := le.Uint32(r[12:])
	if Seq(le.Uint32(r[4:])) != x.isn || n > maxRecord {
		return
	}
	return le.Uint32(r[:]), Seq(le.Uint32(r[8:])), r[recordHead : recordHead+n], true
}

// compareOverlap compares a segment with the known bytes that it repeats: bytes that were
// delivered, and bytes that wait. differs reports whether some are not the same. The choice of the
// copy that counts follows Linux (tcp_data_queue_ofo and tcp_ofo_queue in net/ipv4/tcp_input.c):
// bytes that the receiver has are not replaced; a segment that follows them is taken whole; of two
// segments ahead of them the one that covers the other is taken, and else the one that begins
// first. It returns the segment's bytes as they count.
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
			differs = true // the record was delivered: new bytes of b come behind it
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
			n.superseded = n.superseded || !same // the receiver drops it; see dropUntaken
			continue
		case !sound, !received.Less(n.end()):
			// The waiting segment came first.
		case !received.Less(seq):
			continue // this segment is taken whole, and the rest of the waiting one
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

// receivedUpTo is the number up to which the receiver has all bytes of a half: some of them may
// still wait here for bytes that they acknowledge. The number of waiting segments bounds the
// rounds.
func (st *Stream) receivedUpTo(d Dir) Seq {
	c := st.conn
	at := c.half[d].next
	for more := true; more; {
		more = false
		for i := c.held; i != 0; i = st.nodes[i].next {
			n := &st.nodes[i]
			if n.dir == d && !at.Less(n.seq) && at.Less(n.end()) && !n.droppable(c) {
				at, more = n.end(), true
			}
		}
	}
	return at
}

// droppable reports whether the receiver may drop a waiting segment.
func (n *node) droppable(c *Conn) bool {
	return n.dropRisk != 0 || c.acksUnsent(n.dir, n.ack, n.flags)
}

// overlap is the part that two byte ranges share, in each of them.
func overlap(a Seq, x []byte, b Seq, y []byte) (inX, inY []byte) {
	if d := b.Sub(a); d >= 0 {
		x = x[min(d, len(x)):]
	} else {
		y = y[min(-d, len(y)):]
	}
	n := min(len(x), len(y))
	return x[:n], y[:n]
}
