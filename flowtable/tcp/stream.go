package tcp

import "math"

// Stream delivers the bytes of connections in order. One Stream serves all connections of a shard:
// it owns the memory of the segments that wait. The zero value is ready. It is not safe for
// concurrent use.
//
//	result := stream.Push(conn, segment)
//	for stream.Pop(&chunk) {
//		...
//	}
type Stream struct {
	// MaxBytes bounds the bytes that wait, over all connections. Zero means 16 MiB.
	MaxBytes int
	// Overflows counts segments that could not wait for lack of room, by MaxBytes, maxHeld or
	// maxAhead: the bytes missing before them became a gap.
	Overflows uint64

	nodes     []node // nodes[0] is none
	free      uint32
	heldBytes int
	history   history
	merged    []byte // a segment with bytes of earlier copies, or without its urgent byte

	conn     *Conn
	now      uint32 // time of the segment of Push, microseconds
	cur      node   // the segment of Push, not copied yet
	hasCur   bool   // cur was not delivered yet
	force    bool   // holes are gaps now
	lentNode uint32
	// curCovered: a segment that waits covers the segment of Push.
	curCovered bool
	// The continuation of the chunk that was delivered last, in its half:
	dir     Dir
	gapNext int  // bytes of a gap
	endNext bool // the half's end
}

// node is a segment that waits.
type node struct {
	next       uint32
	dir        Dir
	flags      Flags
	dropRisk   DropRisk
	superseded bool // a segment without a DropRisk has other bytes in its place
	seq        Seq  // of the first byte of buf
	ack        Seq
	len        int // on the wire; buf is shorter where the capture cut the frame
	buf        []byte
}

// end is the sequence number behind the segment; a FIN takes one.
func (n *node) end() Seq {
	e := n.seq.Add(n.len)
	if n.flags.Has(FIN) {
		e = e.Add(1)
	}
	return e
}

// Kind is the kind of a Chunk.
type Kind uint8

// The kinds of chunks.
const (
	Data Kind = iota
	Gap       // Len bytes were not seen
	End       // the half ends here
)

// Chunk is a part of a half. Bytes are borrowed until the next Pop or Push.
type Chunk struct {
	Dir   Dir
	Kind  Kind
	Len   int
	Bytes []byte
}

// Push adds a segment of a connection. Pop delivers what follows from it, and must be called until
// it returns false.
func (st *Stream) Push(c *Conn, s *Segment) Result {
	st.conn, st.force, st.hasCur, c.quiet = c, false, false, false
	x, was := &c.half[s.Dir], c.state
	st.curCovered = false
	repeats := s.Len > 0 && (c.held != 0 || s.Seq.Less(x.next))
	if x.isCopy(s) {
		if !repeats {
			return Duplicate
		}
		if _, differs := st.compareOverlap(s); !differs {
			return Duplicate
		}
	}
	r := c.accept(s)
	if r&Foreign != 0 {
		return r
	}
	payload := s.Payload
	if repeats {
		var differs bool
		if payload, differs = st.compareOverlap(s); differs {
			c.anomalies |= Conflict
			if s.Dir == Client && c.conflicts < math.MaxUint16 {
				c.conflicts++
			}
			r |= Differs
		}
	}
	if c.held != 0 && s.Len > 0 && s.DropRisk == 0 && !c.acksUnsent(s.Dir, s.Ack, s.Flags) {
		st.dropUntaken(s.Dir, s.Seq, s.end())
	}
	st.now = uint32(s.Time / 1e3)
	if c.held != 0 && c.stalled < 255 {
		c.stalled++
	}
	if c.state == Reset {
		st.force = true // nothing will be sent again
		if was == Replied {
			st.dropUntaken(Client, c.half[Client].next, c.half[Client].next.Add(window))
		}
	}
	if s.Len > 0 || s.Flags&(FIN|RST) == FIN {
		n := &st.cur // field by field: a literal would be made elsewhere and copied
		n.next, n.dir, n.flags, n.seq, n.ack = 0, s.Dir, s.Flags&^RST, s.Seq, s.Ack
		n.len, n.buf = s.Len, payload
		n.dropRisk, n.superseded = s.DropRisk, false
		if s.Flags.Has(SYN) {
			st.cur.seq = s.Seq.Add(1)
		}
		if st.curCovered || !c.half[s.Dir].next.Less(st.cur.end()) {
			return r | Retransmit
		}
		st.hasCur = true
	}
	return r
}

// Flush makes Pop deliver all that waits in a connection that will get no more segments.
func (st *Stream) Flush(c *Conn) {
	st.conn, st.force, st.hasCur, c.quiet = c, true, false, false
	if c.state == Replied {
		st.dropUntaken(Client, c.half[Client].next, c.half[Client].next.Add(window))
	}
}

// dropUntaken removes the waiting segments of a half that hold one of the bytes from one number up
// to another and acknowledge more than the other half is known to have sent: a segment without that
// risk repeats these bytes, or the connection was not opened, so the receiver did not take them. It
// also removes segments that are superseded. At most maxHeld segments wait.
func (st *Stream) dropUntaken(d Dir, from, to Seq) {
	c := st.conn
	st.removeHeld(func(n *node) bool {
		return n.superseded ||
			n.dir == d && c.acksUnsent(d, n.ack, n.flags) && n.seq.Less(to) && from.Less(n.end())
	})
}

// removeHeld removes the waiting segments for which f returns true.
func (st *Stream) removeHeld(f func(n *node) bool) {
	for at := &st.conn.held; *at != 0; {
		i := *at
		if n := &st.nodes[i]; f(n) {
			*at = n.next
			st.conn.nheld--
			st.release(i)
		} else {
			at = &n.next
		}
	}
}

// Pop delivers the next chunk, and reports whether there is one.
func (st *Stream) Pop(chunk *Chunk) bool {
	c := st.conn
	if st.lentNode != 0 {
		st.release(st.lentNode)
		st.lentNode = 0
	}
	for {
		switch {
		case st.gapNext > 0:
			*chunk = Chunk{Dir: st.dir, Kind: Gap, Len: st.gapNext}
			c.half[st.dir].next = c.half[st.dir].next.Add(st.gapNext)
			st.gapNext = 0
			return true
		case st.endNext:
			st.endNext = false
			c.half[st.dir].next = c.half[st.dir].next.Add(1)
			c.endHalf(st.dir)
			*chunk = Chunk{Dir: st.dir, Kind: End}
			return true
		case st.hasCur && c.ready(&st.cur) && (c.held == 0 || !st.earlierHeld()):
			st.hasCur = false
			if st.deliver(&st.cur, chunk) {
				return true
			}
		case c.held != 0 && st.takeReady():
			if st.deliver(&st.nodes[st.lentNode], chunk) {
				return true
			}
			st.release(st.lentNode)
			st.lentNode = 0
		case c.held == 0 && !st.hasCur:
			c.stalled = 0
			c.settle()
			return false
		case c.holdClient && !st.force && (!st.hasCur || st.roomToHold()):
			if !st.hasCur {
				return false
			}
			st.hasCur = false
			st.hold()
		case c.holdClient:
			c.holdClient = false
		case st.holeIsGap():
			if st.forceGap() {
				continue
			}
			st.deliverGap(chunk)
			return true
		case st.hasCur:
			st.hasCur = false
			st.hold()
		default:
			return false
		}
	}
}

// ready reports whether a segment can be delivered: no bytes before it are missing, all bytes that
// it acknowledges were delivered, and its receiver has acknowledged it, if it has a DropRisk. Where
// the receiver is not captured, a sender that continues behind the segment shows as much.
func (c *Conn) ready(n *node) bool {
	x := &c.half[n.dir]
	return !(c.holdClient && n.dir == Client) && !x.next.Less(n.seq) &&
		!c.acksUndelivered(n.dir, n.ack, n.flags) &&
		(n.dropRisk == 0 || x.ackedKnown && !x.acked.Less(n.end()) || !x.next.Less(n.end()) ||
			!c.half[1-n.dir].seen && n.end().Less(x.maxEnd))
}

// roomToHold reports whether the segment of Push can be held until ReleaseClient.
func (st *Stream) roomToHold() bool {
	return st.conn.nheld < maxHeld && st.heldBytes+len(st.cur.buf) <= st.maxBytes()
}

// deliver makes a chunk of the new part of a segment, and reports whether there is one.
func (st *Stream) deliver(n *node, chunk *Chunk) bool {
	x := &st.conn.half[n.dir]
	st.conn.stalled, st.conn.stalledSince = 0, st.now
	if !x.next.Less(n.end()) {
		return false
	}
	old := x.next.Sub(n.seq)
	b := n.buf[min(old, len(n.buf)):]
	st.dir = n.dir
	st.gapNext = max(0, n.len-old-len(b))
	st.endNext = n.flags.Has(FIN)
	if len(b) == 0 {
		return false // but a gap or an end may follow
	}
	st.history.add(x, b)
	urgent := x.urgentSeq.Sub(x.next)
	x.next = x.next.Add(len(b))
	if n.dropRisk != 0 {
		st.conn.trusted[n.dir] |= n.dropRisk &^ perSegment
		if x.maxEnd.Less(n.end()) {
			x.maxEnd = n.end()
		}
	}
	if x.urgentPending && urgent < len(b) {
		x.urgentPending = false
		if urgent >= 0 { // or it was in a gap
			st.merged = append(append(st.merged[:0], b[:urgent]...), b[urgent+1:]...)
			b = st.merged
		}
		if len(b) == 0 {
			return false
		}
	}
	chunk.Dir, chunk.Kind, chunk.Len, chunk.Bytes = n.dir, Data, len(b), b
	return true
}

// takeReady removes a ready segment from those that wait, into lentNode: of the half of the segment
// that came first the one that begins first.
func (st *Stream) takeReady() bool {
	var best *uint32
	for at := &st.conn.held; *at != 0; at = &st.nodes[*at].next {
		n := &st.nodes[*at]
		if !st.conn.ready(n) {
			continue
		}
		if best == nil || n.dir == st.nodes[*best].dir && n.seq.Less(st.nodes[*best].seq) {
			best = at
		}
	}
	if best == nil {
		return false
	}
	st.lentNode = *best
	*best = st.nodes[st.lentNode].next
	st.conn.nheld--
	return true
}

// earlierHeld reports whether a waiting segment is ready and begins before the segment of Push.
func (st *Stream) earlierHeld() bool {
	for i := st.conn.held; i != 0; i = st.nodes[i].next {
		if n := &st.nodes[i]; n.dir == st.cur.dir && n.seq.Less(st.cur.seq) && st.conn.ready(n) {
			return true
		}
	}
	return false
}

// eachWaiting calls f for all segments that wait, in the order in which they came.
func (st *Stream) eachWaiting(f func(n *node)) {
	for i := st.conn.held; i != 0; i = st.nodes[i].next {
		f(&st.nodes[i])
	}
	if st.hasCur {
		f(&st.cur)
	}
}

// hole is the next hole that keeps segments waiting: missing bytes of half d up to end. There is
// none where all waiting segments have a DropRisk.
func (st *Stream) hole() (d Dir, end Seq, ok bool) {
	c := st.conn
	found := false
	var first *node
	st.eachWaiting(func(n *node) {
		if first == nil && n.dropRisk == 0 {
			first = n
		}
	})
	if first == nil {
		return 0, 0, false
	}
	d = first.dir
	if !c.half[d].next.Less(first.seq) { // it waits for what it acknowledges
		d = 1 - d
		end, found = first.ack, true
	}
	st.eachWaiting(func(n *node) {
		missing := n.dir == d && n.dropRisk == 0 && c.half[d].next.Less(n.seq)
		if missing && (!found || n.seq.Less(end)) {
			end, found = n.seq, true
		}
	})
	return d, end, true
}

// holeIsGap reports whether the hole that keeps segments waiting becomes a gap now.
func (st *Stream) holeIsGap() bool {
	c := st.conn
	if st.force {
		return true
	}
	d, end, ok := st.hole()
	x := &c.half[d]
	limit := uint8(resendPatience)
	// An acknowledgment counts when the half has sent its bytes: it continues behind them.
	if ok && x.ackedKnown && !x.acked.Less(end) && !(x.seen && x.maxEnd.Less(end)) {
		if limit = ackedPatience; int32(st.now-c.stalledSince) < swapTime {
			limit = swapPatience
		}
	}
	if c.stalled >= limit {
		return true
	}
	if !st.hasCur {
		return false
	}
	ahead := max(st.cur.seq.Sub(c.half[st.cur.dir].next), 0) + st.cur.len
	if c.nheld == maxHeld || ahead > maxAhead && c.held != 0 ||
		st.heldBytes+len(st.cur.buf) > st.maxBytes() {
		st.Overflows++
		return true
	}
	return false
}

func (st *Stream) maxBytes() int {
	if st.MaxBytes == 0 {
		return 16 << 20
	}
	return st.MaxBytes
}

// forceGap looks for segments that need not wait for the hole, and lets the stream deliver them
// without regard to what they acknowledge. The first kind has the bytes of the hole: it exists when
// two segments acknowledge each other's bytes, which honest segments do not. The second kind
// acknowledges bytes that no captured segment has: as far as is known there is no hole.
func (st *Stream) forceGap() (found bool) {
	c := st.conn
	d, end, ok := st.hole()
	if !ok {
		st.resolveDropRisk()
		return true
	}
	next := c.half[d].next
	beyond := c.half[d].seen && c.half[d].maxEnd.Less(end)
	st.eachWaiting(func(n *node) {
		inHole := n.dir == d && !next.Less(n.seq) && next.Less(n.end())
		if n.dropRisk&surelyDropped == 0 &&
			(inHole || beyond && n.dir != d && c.acksUnsent(n.dir, n.ack, n.flags)) {
			n.flags &^= ACK
			n.dropRisk = 0
			found = true
		}
	})
	return found
}

// resolveDropRisk ends the wait of segments with a DropRisk where no others wait: those that the
// receiver surely drops are removed, the others count.
func (st *Stream) resolveDropRisk() {
	st.eachWaiting(func(n *node) {
		if n.superseded = n.dropRisk&surelyDropped != 0; !n.superseded {
			n.dropRisk = 0
		}
	})
	st.hasCur = st.hasCur && !st.cur.superseded
	st.removeHeld(func(n *node) bool { return n.superseded })
}

// deliverGap delivers the hole as a gap.
func (st *Stream) deliverGap(chunk *Chunk) {
	d, end, _ := st.hole()
	x := &st.conn.half[d]
	*chunk = Chunk{Dir: d, Kind: Gap, Len: end.Sub(x.next)}
	x.next = end
}

// hold copies the segment of Push to the end of those that wait.
func (st *Stream) hold() {
	if len(st.nodes) == 0 {
		st.nodes = make([]node, 1, 64)
	}
	i := st.free
	if i != 0 {
		st.free = st.nodes[i].next
	} else {
		i = uint32(len(st.nodes))
		st.nodes = append(st.nodes, node{})
	}
	n := &st.nodes[i]
	buf := append(n.buf[:0], st.cur.buf...)
	*n = st.cur
	n.buf, n.next = buf, 0
	st.heldBytes += len(buf)
	at := &st.conn.held
	if *at == 0 {
		st.conn.stalledSince = st.now
	}
	for *at != 0 {
		at = &st.nodes[*at].next
	}
	*at = i
	st.conn.nheld++
}

// keepBytes is the largest capacity of a buffer that is kept for the next segment.
const keepBytes = 2048

func (st *Stream) release(i uint32) {
	n := &st.nodes[i]
	st.heldBytes -= len(n.buf)
	if cap(n.buf) > keepBytes {
		n.buf = nil
	}
	n.next = st.free
	st.free = i
}

// Abandon removes all that waits in a connection, and what Pop would have delivered next, in
// whatever state they are. It serves a connection that is given up because of a fault of the
// program.
func (st *Stream) Abandon(c *Conn) {
	if st.lentNode != 0 {
		st.release(st.lentNode)
	}
	st.lentNode, st.hasCur, st.force, st.gapNext, st.endNext = 0, false, false, 0, false
	for range st.nodes { // a list that runs in a circle ends too
		i := c.held
		if i == 0 || int(i) >= len(st.nodes) {
			break
		}
		c.held = st.nodes[i].next
		st.release(i)
	}
	c.held, c.nheld = 0, 0
}
