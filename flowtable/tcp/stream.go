package tcp

import "math"

// Stream gives the bytes of connections in order. One serves all connections of a shard:
// it owns the memory in which segments wait. The zero value is ready. It is not safe for
// concurrent use.
//
//	result := stream.Push(conn, segment)
//	for stream.Pop(&chunk) {
//		...
//	}
type Stream struct {
	// MaxBytes bounds what waits, over all connections. Zero means 16 MiB.
	MaxBytes int
	// Overflows counts segments that could not wait for lack of room, here or because of
	// maxHeld and maxAhead: what was missing before them was told as a gap.
	Overflows uint64

	nodes   []node // nodes[0] is none
	free    uint32
	bytes   int
	history history
	merged  []byte // a segment in which bytes were replaced by their first copies, or without its urgent byte

	c     *Conn
	now   uint32 // time of the segment of Push, microseconds
	cur   node   // the segment of Push, not copied yet
	have  bool   // cur was not given yet
	force bool   // holes are gaps now
	lent  uint32
	// present says that the segment of Push lies in one that waits.
	present bool
	// What follows the chunk that was given last.
	dir  Dir
	miss int
	fin  bool
}

// node is a segment that waits.
type node struct {
	next     uint32
	dir      Dir
	flags    Flags
	dropRisk DropRisk
	void     bool // a segment that its receiver can take has other bytes in its place
	seq      Seq  // of the first byte of buf
	ack      Seq
	len      int // on the wire; buf is shorter where the capture cut the frame
	buf      []byte
}

// end is the sequence number behind the segment; an end of the half takes one.
func (n *node) end() Seq {
	e := n.seq.Add(n.len)
	if n.flags.Has(FIN) {
		e = e.Add(1)
	}
	return e
}

// Kind says what a Chunk is.
type Kind uint8

// The kinds of chunks.
const (
	Data Kind = iota
	Gap       // Len bytes were not seen
	End       // the half was given to its end
)

// Chunk is something that a half gives. Bytes are borrowed until the next Pop or Push.
type Chunk struct {
	Dir   Dir
	Kind  Kind
	Len   int
	Bytes []byte
}

// Push takes in a segment of a connection. What can be given then comes from Pop, which
// must be called until it returns false.
func (st *Stream) Push(c *Conn, s *Segment) Result {
	st.c, st.force, st.have = c, false, false
	x, was := &c.half[s.Dir], c.state
	st.present = false
	again := s.Len > 0 && (c.held != 0 || s.Seq.Less(x.next))
	if x.copy(s) {
		if !again {
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
	if again {
		var differs bool
		if payload, differs = st.compareOverlap(s); differs {
			c.anomalies |= Conflict
			if s.Dir == Client && c.conflicts < math.MaxUint16 {
				c.conflicts++
			}
			r |= Differs
		}
	}
	if c.held != 0 && s.Len > 0 && s.DropRisk == 0 && !c.ahead(s.Dir, s.Ack, s.Flags) {
		st.drop(s.Dir, s.Seq, s.end())
	}
	st.now = uint32(s.Time / 1e3)
	if c.held != 0 && c.waited < 255 {
		c.waited++
	}
	if c.state == Reset {
		st.force = true // nothing will be sent again
		if was == Replied {
			st.drop(Client, c.half[Client].next, c.half[Client].next.Add(window))
		}
	}
	if s.Len > 0 || s.Flags&(FIN|RST) == FIN {
		n := &st.cur // field by field: a literal would be made elsewhere and copied
		n.next, n.dir, n.flags, n.seq, n.ack, n.len, n.buf = 0, s.Dir, s.Flags&^RST, s.Seq, s.Ack, s.Len, payload
		n.dropRisk, n.void = s.DropRisk, false
		if s.Flags.Has(SYN) {
			st.cur.seq = s.Seq.Add(1)
		}
		if st.present || !c.half[s.Dir].next.Less(st.cur.end()) {
			return r | Retransmit
		}
		st.have = true
	}
	return r
}

// Flush makes Pop give all that waits in a connection that will get no more segments.
func (st *Stream) Flush(c *Conn) {
	st.c, st.force, st.have = c, true, false
	if c.state == Replied {
		st.drop(Client, c.half[Client].next, c.half[Client].next.Add(window))
	}
}

// drop forgets the segments of a half that wait, hold one of the bytes from one number up to
// another, and acknowledge more than the other half is known to have sent: where a segment that its
// receiver can take repeats these bytes, and where the connection was not opened, they were not
// taken. So it forgets those that are void. At most maxHeld wait.
func (st *Stream) drop(d Dir, from, to Seq) {
	c := st.c
	st.forget(func(n *node) bool {
		return n.void || n.dir == d && c.ahead(d, n.ack, n.flags) && n.seq.Less(to) && from.Less(n.end())
	})
}

// forget takes those of the segments that wait out of the list of which f says so.
func (st *Stream) forget(f func(n *node) bool) {
	for at := &st.c.held; *at != 0; {
		i := *at
		if n := &st.nodes[i]; f(n) {
			*at = n.next
			st.c.nheld--
			st.release(i)
		} else {
			at = &n.next
		}
	}
}

// Pop gives the next chunk, if there is one.
func (st *Stream) Pop(chunk *Chunk) bool {
	c := st.c
	if st.lent != 0 {
		st.release(st.lent)
		st.lent = 0
	}
	for {
		switch {
		case st.miss > 0:
			*chunk = Chunk{Dir: st.dir, Kind: Gap, Len: st.miss}
			c.half[st.dir].next = c.half[st.dir].next.Add(st.miss)
			st.miss = 0
			return true
		case st.fin:
			st.fin = false
			c.half[st.dir].next = c.half[st.dir].next.Add(1)
			c.finish(st.dir)
			*chunk = Chunk{Dir: st.dir, Kind: End}
			return true
		case st.have && c.ready(&st.cur) && (c.held == 0 || !st.earlier()):
			st.have = false
			if st.give(&st.cur, chunk) {
				return true
			}
		case c.held != 0 && st.takeReady():
			if st.give(&st.nodes[st.lent], chunk) {
				return true
			}
			st.release(st.lent)
			st.lent = 0
		case c.held == 0 && !st.have:
			c.waited = 0
			return false
		case c.holdClient && !st.force && (!st.have || st.roomToWait()):
			if !st.have {
				return false
			}
			st.have = false
			st.hold()
		case c.holdClient:
			c.holdClient = false
		case st.giveUp():
			if st.forceGap() {
				continue
			}
			st.gap(chunk)
			return true
		case st.have:
			st.have = false
			st.hold()
		default:
			return false
		}
	}
}

// ready reports whether a segment can be given: nothing before it is missing, everything that it
// acknowledges was given, and its receiver has acknowledged it, if it is doubtful. Where the
// receiver is not seen, a sender that goes on behind it says so.
func (c *Conn) ready(n *node) bool {
	x := &c.half[n.dir]
	return !(c.holdClient && n.dir == Client) && !x.next.Less(n.seq) && !c.tooEarly(n.dir, n.ack, n.flags) &&
		(n.dropRisk == 0 || x.ackOK && !x.acked.Less(n.end()) || !x.next.Less(n.end()) || !c.half[1-n.dir].seen && n.end().Less(x.top))
}

// roomToWait reports whether the segment of Push can be held until Go is called.
func (st *Stream) roomToWait() bool {
	return st.c.nheld < maxHeld && st.bytes+len(st.cur.buf) <= st.maxBytes()
}

// give makes a chunk of the part of a segment that is new, and says whether there is any.
func (st *Stream) give(n *node, chunk *Chunk) bool {
	x := &st.c.half[n.dir]
	st.c.waited, st.c.since = 0, st.now
	if !x.next.Less(n.end()) {
		return false
	}
	old := x.next.Sub(n.seq)
	b := n.buf[min(old, len(n.buf)):]
	st.dir = n.dir
	st.miss = max(0, n.len-old-len(b))
	st.fin = n.flags.Has(FIN)
	if len(b) == 0 {
		return false // but something follows
	}
	st.history.keep(x, b)
	urgent := x.urg.Sub(x.next)
	x.next = x.next.Add(len(b))
	if n.dropRisk != 0 {
		st.c.trust[n.dir] |= n.dropRisk &^ perSegment
		if x.top.Less(n.end()) {
			x.top = n.end()
		}
	}
	if x.mark && urgent < len(b) {
		x.mark = false
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

// takeReady takes a waiting segment that is ready out of the list, into lent: of the half of the
// one that came first the one that begins first.
func (st *Stream) takeReady() bool {
	var best *uint32
	for at := &st.c.held; *at != 0; at = &st.nodes[*at].next {
		n := &st.nodes[*at]
		if st.c.ready(n) && (best == nil || n.dir == st.nodes[*best].dir && n.seq.Less(st.nodes[*best].seq)) {
			best = at
		}
	}
	if best == nil {
		return false
	}
	st.lent = *best
	*best = st.nodes[st.lent].next
	st.c.nheld--
	return true
}

// earlier reports whether one that waits is ready and begins before the segment of Push.
func (st *Stream) earlier() bool {
	for i := st.c.held; i != 0; i = st.nodes[i].next {
		if n := &st.nodes[i]; n.dir == st.cur.dir && n.seq.Less(st.cur.seq) && st.c.ready(n) {
			return true
		}
	}
	return false
}

// each calls f for all segments that wait, in the order in which they came.
func (st *Stream) each(f func(n *node)) {
	for i := st.c.held; i != 0; i = st.nodes[i].next {
		f(&st.nodes[i])
	}
	if st.have {
		f(&st.cur)
	}
}

// hole is the next one that keeps segments waiting: missing bytes of half d up to end. There is
// none where all that wait are doubtful.
func (st *Stream) hole() (d Dir, end Seq, ok bool) {
	c := st.c
	found := false
	var first *node
	st.each(func(n *node) {
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
	st.each(func(n *node) {
		if n.dir == d && n.dropRisk == 0 && c.half[d].next.Less(n.seq) && (!found || n.seq.Less(end)) {
			end, found = n.seq, true
		}
	})
	return d, end, true
}

// giveUp reports whether the hole that keeps segments waiting is to be told as a gap.
func (st *Stream) giveUp() bool {
	c := st.c
	if st.force {
		return true
	}
	d, end, ok := st.hole()
	x := &c.half[d]
	limit := uint8(resend)
	// An acknowledgment is believed when its bytes were sent: the half goes on behind them.
	if ok && x.ackOK && !x.acked.Less(end) && !(x.seen && x.top.Less(end)) {
		if limit = patience; int32(st.now-c.since) < swapTime {
			limit = swapped
		}
	}
	if c.waited >= limit {
		return true
	}
	if !st.have {
		return false
	}
	ahead := max(st.cur.seq.Sub(c.half[st.cur.dir].next), 0) + st.cur.len
	if c.nheld == maxHeld || ahead > maxAhead && c.held != 0 || st.bytes+len(st.cur.buf) > st.maxBytes() {
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

// forceGap looks for segments that need not wait for the hole, and has them given without what they
// acknowledge. One kind has the bytes of the hole: it is there when two segments acknowledge each
// other's bytes, which honest ones do not. The other acknowledges bytes that nobody is known to
// have sent: there is no hole, as far as is known.
func (st *Stream) forceGap() (found bool) {
	c := st.c
	d, end, ok := st.hole()
	if !ok {
		st.decide()
		return true
	}
	next := c.half[d].next
	beyond := c.half[d].seen && c.half[d].top.Less(end)
	st.each(func(n *node) {
		if n.dropRisk&surelyDropped == 0 && (n.dir == d && !next.Less(n.seq) && next.Less(n.end()) || beyond && n.dir != d && c.ahead(n.dir, n.ack, n.flags)) {
			n.flags &^= ACK
			n.dropRisk = 0
			found = true
		}
	})
	return found
}

// decide is the end of waiting for doubtful segments, where no others wait: those that their
// receiver drops for certain are forgotten, the others count.
func (st *Stream) decide() {
	st.each(func(n *node) {
		if n.void = n.dropRisk&surelyDropped != 0; !n.void {
			n.dropRisk = 0
		}
	})
	st.have = st.have && !st.cur.void
	st.forget(func(n *node) bool { return n.void })
}

// gap tells the hole.
func (st *Stream) gap(chunk *Chunk) {
	d, end, _ := st.hole()
	x := &st.c.half[d]
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
	st.bytes += len(buf)
	at := &st.c.held
	if *at == 0 {
		st.c.since = st.now
	}
	for *at != 0 {
		at = &st.nodes[*at].next
	}
	*at = i
	st.c.nheld++
}

// keepBytes is how large a buffer may be to be kept for the next segment.
const keepBytes = 2048

func (st *Stream) release(i uint32) {
	n := &st.nodes[i]
	st.bytes -= len(n.buf)
	if cap(n.buf) > keepBytes {
		n.buf = nil
	}
	n.next = st.free
	st.free = i
}

// Abandon forgets all that waits in a connection, and what Pop would have given next, whatever
// state they are in. It is for a connection that is given up because of a fault of ours.
func (st *Stream) Abandon(c *Conn) {
	if st.lent != 0 {
		st.release(st.lent)
	}
	st.lent, st.have, st.force, st.miss, st.fin = 0, false, false, 0, false
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
