// Package tcp follows one TCP connection from outside: was it established, how did it
// end, which bytes were sent in which order, and which of them did we not see.
//
// Words: a half is one direction; next is the sequence number of the next byte that a
// half has to give; a segment is held when it cannot be given yet; a gap is bytes that
// we will not see.
//
// The idea: bytes are given in the order in which they can have happened. A segment
// waits for the bytes before it in its own half, and for the bytes of the other half
// that it acknowledges: a reply is never given before the command that it answers, even
// where a mirror port delivers the two directions out of step.
//
//	client  EHLO x ........ [lost] ........ MAIL <- held: bytes before it are missing
//	server         250 ok ack=EHLO                  250 ok ack=... <- held: it acknowledges bytes that were not given
//
// A hole ends in one of three ways: it is filled; the receiver acknowledged it, so
// that nobody will send it again and three more segments went by; or too much is held.
// Then it is a gap, and is told as one.
//
// An acknowledgment ahead of what the other half has sent is one that its receiver drops with all
// that comes with it, or the capture has lost segments. Such a segment waits too: a copy that
// acknowledges no more than was sent takes its place, and there is a gap once the other half goes
// on behind it. Before the server has spoken, only the acknowledgment of its SYN-ACK opens the
// connection.
//
// Of two copies of a byte the one is given that Linux takes, usually the first; where another one
// differs the connection is marked with Conflict, because the receiver may have taken the other. To
// know it, the bytes that were given last are remembered; see recall. A reset or an end outside the
// window changes nothing.
//
// A segment of which the caller, or its timestamp, says that the receiver may drop it waits for the
// acknowledgment of its bytes; see Doubt. Where other bytes come in a segment without doubt
// meanwhile, those are given.
//
// What it does not do: window scaling, checksums, and options but timestamps. The one byte of
// urgent data is left out, as nearly all receivers do, and the connection is marked, because a
// program can have it in its place.
package tcp

// Seq is a sequence number; comparison wraps around (RFC 9293, section 3.4).
type Seq uint32

// Less reports whether a comes before b.
func (a Seq) Less(b Seq) bool { return int32(a-b) < 0 }

// Sub is how many bytes a is behind b; negative if it is before it.
func (a Seq) Sub(b Seq) int { return int(int32(a - b)) }

// Add is n bytes further.
func (a Seq) Add(n int) Seq { return a + Seq(n) }

// Flags are the flag bits of a segment, as in the header.
type Flags uint8

// The bits of Flags that matter here.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	_
	ACK
	URG
)

// Has reports whether all bits are set.
func (f Flags) Has(bits Flags) bool { return f&bits == bits }

// Dir is a direction.
type Dir uint8

// The directions: the client is who opened the connection.
const (
	Client Dir = iota
	Server
)

// Segment is one TCP segment. Payload is its captured part and is borrowed.
type Segment struct {
	Dir      Dir
	Flags    Flags
	Seq, Ack Seq
	Len      int    // length of the payload on the wire
	Sum      uint32 // tells a second copy of a frame from a retransmission
	Time     int64  // nanoseconds
	Payload  []byte
	DropRisk DropRisk
	Urgent   uint16 // the urgent pointer, with URG
	// Stamp is the TSval of its timestamps option, or the TSecr of that of a SYN-ACK; valid if
	// Stamped.
	Stamp   uint32
	Stamped bool
}

// DropRisk is why the receiver may drop a segment that its sender wrote.
type DropRisk uint8

// The bits of Doubt. Who captures cannot know of any of them what the receiver does, but for the
// first and the last: a segment with one of these is not taken, unless what says so is wrong for
// this sender.
const (
	BadChecksum     DropRisk = 1 << iota // its checksum is wrong, and those of its sender are right
	PartialChecksum                      // the same, but a network card would have finished it
	UnaskedMD5                           // a signature that nobody asked for (RFC 2385)
	LowHops                              // it lives shorter than other segments of its sender, or has come less far
	OtherMAC                             // the frame is for another machine than those of other segments, or from another
	OldTimestamp                         // its timestamp is older than one that was taken (RFC 7323, section 5)
	OldAck                               // it acknowledges what was before the first byte of the other half

	surelyDropped = BadChecksum | OldTimestamp
	// perSegment are those of which another one says nothing.
	perSegment = OldTimestamp | OldAck
)

// State is how far a connection has come.
type State uint8

// The states.
const (
	New         State = iota // nothing but a SYN, or midstream
	Replied                  // SYN-ACK seen
	Established              // the handshake was completed
	Closing                  // one side has said that it is done
	Closed                   // both have
	Reset                    // by a RST
)

// String is the name used in events.
func (s State) String() string {
	return [...]string{"new", "new", "established", "closing", "closed", "reset"}[s]
}

// Conn is a connection. The zero value is one of which nothing was seen. It holds no
// pointers.
type Conn struct {
	half  [2]half
	held  uint32 // first node in Stream.nodes, 0 is none
	state State
	// stalled counts segments since something was held and nothing could be given; since is when
	// the first of them came, in microseconds.
	stalled    uint8
	nheld      uint8
	SYNSeen    bool
	holdClient bool    // what the client says is held; see Wait
	Resetter   Dir     // who sent the RST
	fin        [2]bool // halves that were given to their end
	anomalies  Anomaly
	// conflicts counts segments of the client that repeat bytes with others; it stays at its
	// maximum.
	conflicts      uint16
	stalledSince   uint32
	rstSeq         Seq         // its sequence number
	trusted        [2]DropRisk // of a kind of which one of the half was acknowledged
	openedReported bool        // Opened was told
	tsRecent       uint32      // the client's latest timestamp that the server has taken; valid if stamps
	tsAgreed       bool        // timestamps were agreed on
	blindAck       bool        // the client acknowledged something else than the SYN-ACK
}

// Anomaly is what makes it doubtful that the receiver got the bytes that are given.
type Anomaly uint8

// The bits of Odd.
const (
	Conflict Anomaly = 1 << iota // two copies of a byte differ; the first was given
	Urgent                       // urgent data
)

// Anomalies is what was odd in the connection so far.
func (c *Conn) Anomalies() Anomaly { return c.anomalies }

// Conflicts is how many segments of the client repeat bytes of it with others, at most 65,535. An
// honest TCP sends none: who writes one wants us to read what the server does not.
func (c *Conn) Conflicts() int { return int(c.conflicts) }

// half is one direction.
type half struct {
	next          Seq // the next byte to give
	acked         Seq // the highest acknowledgment of this half's bytes
	maxEnd        Seq // behind the furthest byte of the segments that were seen; valid if seen
	isn           Seq
	otherISN      Seq       // the initial sequence number of another SYN before that of isn; valid if two
	digests       [2]uint32 // digests of the latest two frames, to know a second copy
	times         [2]uint32 // their times, milliseconds
	packets       uint32
	bytes         uint64 // payload, retransmissions included
	nextKnown     bool   // next is valid
	seen          bool   // a segment of this half was seen
	ackedKnown    bool   // acked is valid
	synSeen       bool   // its SYN was seen: isn is not derived
	hasOtherISN   bool   // so was another one
	urgentPending bool   // a byte that is still to come is urgent
	farRun        uint8  // segments in a row from outside the window
	urgentSeq     Seq    // its number; valid if mark
	lastRecord    uint32 // where the bytes that were given last are remembered; see recall
}

// State is how far the connection has come.
func (c *Conn) State() State { return c.state }

// Ended reports whether the connection has ended.
func (c *Conn) Ended() bool { return c.state >= Closed }

// Acknowledged reports whether both sides have said that they are done, and have heard it of
// each other.
func (c *Conn) Acknowledged() bool {
	x, y := &c.half[Client], &c.half[Server]
	return c.state == Closed && x.ackedKnown && y.ackedKnown && !x.acked.Less(x.next) && !y.acked.Less(y.next)
}

// Seen reports whether segments of this direction were seen.
func (c *Conn) Seen(d Dir) bool { return c.half[d].seen }

// Counts are the segments and payload bytes of a direction, without second copies of
// frames.
func (c *Conn) Counts(d Dir) (packets uint32, bytes uint64) {
	return c.half[d].packets, c.half[d].bytes
}

// ISN is the initial sequence number of a direction, if a segment told it.
func (c *Conn) ISN(d Dir) Seq { return c.half[d].isn }

// Answered reports whether the other half has acknowledged bytes of a direction, beyond its SYN.
// Where the direction itself is not seen, the first acknowledgment is taken for that of its SYN.
func (c *Conn) Answered(d Dir) bool {
	h := &c.half[d]
	return h.nextKnown && h.ackedKnown && h.acked.Sub(h.isn) > 1
}

// Result is what a segment did.
type Result uint8

// The bits of Result.
const (
	Duplicate   Result = 1 << iota // a second copy of a frame; nothing was counted
	Retransmit                     // it carries nothing new
	Foreign                        // outside the window: of another connection, or forged
	Opened                         // the handshake was completed just now
	Aborted                        // a reset ended the connection just now
	Differs                        // it repeats bytes, and they are not what they were
	BlindAck                       // before the server has spoken, it acknowledges something else than the SYN-ACK
	Unconfirmed                    // see Doubt: it counts when the receiver acknowledges it
)

const (
	// copyWindow is how far apart two copies of a frame can be, in milliseconds: a router's
	// latency, far below any retransmission timeout (RFC 6298: at least one second).
	copyWindow = 5
	// window is how far from the expected byte a segment can be. Windows are larger only
	// on paths that carry no mail.
	window = 1 << 20
	// synWindow is how far behind the SYN a client's first segment can be: the window of a
	// SYN-ACK is not scaled (RFC 7323, section 2.2).
	synWindow = 1 << 16
	// maxHeld and maxAhead bound what waits for a hole: segments per connection, and bytes
	// that the furthest of them is ahead.
	maxHeld, maxAhead = 16, 64 << 10
	// ackedPatience is how many further segments are waited for when the receiver has
	// acknowledged a hole: it is not going to be filled, unless the mirror swaps frames. That it does
	// within swapTime (microseconds), in which a dialogue on a short path goes on by more: then swapped are waited for.
	ackedPatience, swapPatience, swapTime = 3, 12, 2000
	// resendPatience is the same for a hole that the sender will fill.
	resendPatience = 24
)

// Open tells the connection of a client's SYN that was seen elsewhere, and how often.
func (c *Conn) Open(isn Seq, syns uint32) {
	h := &c.half[Client]
	h.isn, h.next, h.maxEnd, h.nextKnown, h.seen, h.synSeen = isn, isn.Add(1), isn.Add(1), true, true, true
	h.packets += syns
	c.SYNSeen = true
}

// Prefetch reads what Push needs first of a segment from one side, so that the waits for memory of
// many connections overlap.
func (c *Conn) Prefetch(d Dir) uint32 {
	return uint32(c.half[d].next) + c.half[d].packets + uint32(c.state)
}

// Resent tells the connection of another copy of the client's SYN, after it was answered.
func (c *Conn) SYNRetransmitted() { c.half[Client].packets++ }

// HoldClient has what the client says be held, as far as there is room for it, until Go is called: a SYN
// can carry data that its server does not take, and a client that nobody answers can say anything.
func (c *Conn) HoldClient() { c.holdClient = true }

// ReleaseClient ends Wait. What is held comes from the next Pop.
func (c *Conn) ReleaseClient() { c.holdClient = false }

// Next is the sequence number of the next byte that a half has to give.
func (c *Conn) Next(d Dir) Seq { return c.half[d].next }

// accept takes in what a segment says besides its payload.
func (c *Conn) accept(s *Segment) (r Result) {
	x, y := &c.half[s.Dir], &c.half[1-s.Dir]
	start := s.Seq
	if s.Flags.Has(SYN) {
		start = start.Add(1)
	}
	if x.nextKnown && !s.Flags.Has(SYN) && c.outOfWindow(x, y, s) {
		return Foreign
	}
	ack := c.classifyAck(y, s)
	if ack == ackInvalid {
		c.blindAck = c.blindAck || s.Dir == Client && c.state == Replied
		return Foreign
	}
	c.checkTimestamp(x, s)
	if s.DropRisk &^= c.trusted[s.Dir]; s.DropRisk != 0 {
		switch {
		case s.Flags.Has(RST), !y.seen && s.DropRisk&surelyDropped != 0:
			return Foreign
		case x.nextKnown:
			x.packets++
			x.bytes += uint64(s.Len)
			return Unconfirmed
		}
		s.DropRisk = 0 // there is nothing to compare it with
	}
	blind := ack == ackAhead && s.Dir == Client && c.state == Replied
	x.packets++
	x.bytes += uint64(s.Len)
	if s.Flags.Has(SYN) {
		if !x.nextKnown || c.state < Established && x.isn != s.Seq {
			if x.synSeen {
				x.otherISN, x.hasOtherISN = x.isn, true
			}
			x.isn, x.next, x.maxEnd, x.nextKnown = s.Seq, start, start, true
		}
		x.synSeen = true
		if s.Dir == Client {
			c.SYNSeen = true
		} else if c.state == New {
			c.state = Replied
		}
	}
	if s.Flags.Has(URG) && ack == ackSent {
		c.noteUrgent(x, s, start)
	}
	if end := s.end(); !s.Flags.Has(RST) && (!x.seen || x.maxEnd.Less(end)) {
		x.maxEnd = end
	}
	x.seen = true
	if s.Flags.Has(ACK) && !blind {
		if !y.nextKnown {
			y.next, y.isn, y.nextKnown = s.Ack, s.Ack.Add(-1), true
		}
		if !y.ackedKnown || y.acked.Less(s.Ack) {
			y.acked, y.ackedKnown = s.Ack, true
		}
	}
	if !x.nextKnown {
		x.next, x.isn, x.nextKnown = start, start.Add(-1), true
	}
	switch {
	case blind:
		c.blindAck = true
		r |= BlindAck
	case c.state < Established && c.completesHandshake(s):
		c.state, c.openedReported = Established, true
		r |= Opened
	}
	switch {
	case s.Flags.Has(RST) && c.state < Closed:
		c.state, c.Resetter, c.rstSeq = Reset, s.Dir, s.Seq
		r |= Aborted
	case c.state == Reset && s.Dir == c.Resetter && s.Len > 0 && c.rstSeq.Less(start.Add(s.Len)):
		// Who reset the connection goes on in it: the reset was forged, or meant another.
		c.state = Established
		if !c.openedReported && c.SYNSeen && s.Dir == Server {
			c.openedReported = true // the reset came before the client's answer
			r |= Opened
		}
	}
	return r
}

// checkTimestamp compares the timestamp of a client's segment with the latest that the server has taken, as
// Linux does (tcp_validate_incoming and tcp_replace_ts_recent in net/ipv4/tcp_input.c): that is one
// of a segment that begins no later than what the server had acknowledged.
func (c *Conn) checkTimestamp(x *half, s *Segment) {
	switch {
	case !s.Stamped:
	case s.Dir == Server:
		if s.Flags.Has(SYN|ACK) && c.state < Established {
			c.tsRecent, c.tsAgreed = s.Stamp, true
		}
	case !c.tsAgreed || s.Flags&(SYN|RST) != 0:
	case int32(c.tsRecent-s.Stamp) > 0 && c.tsRecent != 0:
		s.DropRisk |= OldTimestamp
	case s.DropRisk == 0 && x.ackedKnown && !x.acked.Less(s.Seq):
		c.tsRecent = s.Stamp
	}
}

// noteUrgent takes in an urgent pointer. It stands behind the urgent byte, which is given to the
// receiver's program apart from the others (RFC 9293, section 3.8.5; RFC 6093, section 3.1). As in
// Linux (tcp_check_urg in net/ipv4/tcp_input.c) zero is the first byte of the segment, a pointer
// into what is there already changes nothing, and a newer one takes the place of one whose byte has
// not come yet, so that this byte is ordinary.
func (c *Conn) noteUrgent(x *half, s *Segment, start Seq) {
	at := start.Add(max(0, int(s.Urgent)-1))
	if x.nextKnown && at.Less(x.next) || x.urgentPending && !x.urgentSeq.Less(at) {
		return
	}
	x.urgentSeq, x.urgentPending = at, true
	c.anomalies |= Urgent
}

// isCopy reports whether this frame is the same as one of the latest two, delivered
// again.
func (h *half) isCopy(s *Segment) bool {
	ms := uint32(s.Time / 1e6)
	sum := (uint32(s.Seq)*0x9e3779b1 ^ uint32(s.Ack)*0x85ebca6b ^ uint32(s.Flags)<<24 ^ uint32(s.Len)) ^ (s.Sum^s.Stamp)*0xc2b2ae35
	for i := range h.digests {
		if h.digests[i] == sum && h.packets > uint32(i) && int32(ms-h.times[i]) <= copyWindow && int32(ms-h.times[i]) >= -copyWindow {
			return true
		}
	}
	h.digests[1], h.times[1] = h.digests[0], h.times[0]
	h.digests[0], h.times[0] = sum, ms
	return false
}

// outOfWindow reports whether a segment cannot belong to this connection. After a long loss
// it can, though: what the receiver has acknowledged is believed, and three in a row that carry
// data and fit the other half.
func (c *Conn) outOfWindow(x, y *half, s *Segment) bool {
	ahead := s.Seq.Sub(x.next)
	if c.fin[s.Dir] && ahead == -1 && s.Len > 1 {
		c.revokeEnd(s.Dir)
	}
	if s.Flags.Has(RST) {
		if c.blindAck && c.state == Replied && s.Dir == Server && s.Seq != x.maxEnd {
			return true // it answers a forged acknowledgment, at its number; the handshake goes on
		}
		// A reset must be where the next byte is expected, or a little further when we
		// missed some (RFC 5961, section 3.2 asks for the exact byte).
		return ahead < -1 || ahead > maxAhead*4
	}
	near := window
	if s.Len > 0 || s.Flags.Has(FIN) {
		near = maxAhead // what is further ahead would make all before it a gap
	}
	if ahead >= -window && ahead <= near || ahead > 0 && ahead <= window && x.ackedKnown && !x.acked.Less(s.Seq) {
		x.farRun = 0
		return false
	}
	if s.Len > 0 && s.Flags.Has(ACK) && y.nextKnown && y.seen && abs(s.Ack.Sub(y.next)) < maxAhead && ahead > 0 {
		if x.farRun < 3 {
			x.farRun++
		}
		return x.farRun < 3
	}
	return true
}

// Score is how well the numbers of a segment agree with where a connection stands: 2 for the segment
// that comes next, 1 for one near it, 0 for another connection's.
func (c *Conn) Score(d Dir, f Flags, seq, ack Seq) int {
	x, y := &c.half[d], &c.half[1-d]
	switch {
	case f.Has(SYN | ACK):
		if y.nextKnown && ack == y.isn.Add(1) {
			return 2
		}
		return 0
	case x.nextKnown && abs(seq.Sub(x.next)) > window, y.nextKnown && f.Has(ACK) && abs(ack.Sub(y.next)) > window:
		return 0
	case x.nextKnown && seq == x.next:
		return 2
	}
	return 1
}

func abs(n int) int { return max(n, -n) }

// ackClass says where an acknowledgment lies in what the other half has sent.
type ackClass uint8

const (
	ackSent    ackClass = iota // within it, or it cannot be told
	ackAhead                   // ahead of what was seen: the receiver drops it, unless the capture has lost segments
	ackInvalid                 // no receiver takes a segment with it
)

// longLoss is how many bytes of a client the capture can have lost in a row, a message for example,
// where the server acknowledges them.
const longLoss = 1 << 28

// classifyAck compares an acknowledgment with what the other half, y, has sent (RFC 9293, section
// 3.10.7.4; RFC 5961, section 5). Until the server has spoken one value only opens the connection,
// that of its SYN-ACK: to anything else the server answers with a reset. Where the server has sent
// several SYN-ACKs with numbers of their own, as it does with SYN cookies, any of them counts.
//
// The lower bound is the initial sequence number. Below it Linux drops a segment but where it
// predicts the header (tcp_rcv_established), so that it is doubtful.
func (c *Conn) classifyAck(y *half, s *Segment) ackClass {
	if s.Flags&(SYN|RST|ACK) != ACK || !y.nextKnown || !y.seen {
		return ackSent
	}
	if s.Ack == 0 && s.Seq == 0 && y.isn == 0 && y.synSeen && c.state == Replied && s.Dir == Client && c.half[Client].next == 0 {
		// A capture that was made by hand, with all numbers left at zero: no server chooses them
		// so.
		y.isn, y.next, y.maxEnd = y.isn.Add(-1), 0, 0
		return ackSent
	}
	if y.hasOtherISN && c.state == Replied && s.Ack == y.otherISN.Add(1) && y.maxEnd == y.isn.Add(1) {
		y.isn, y.otherISN = y.otherISN, y.isn
		y.next, y.maxEnd = s.Ack, s.Ack
		return ackSent
	}
	ahead, far := s.Ack.Sub(y.maxEnd), window
	if s.Dir == Server {
		far = longLoss
	}
	switch {
	case ahead >= far, y.synSeen && s.Ack.Sub(y.isn) < 1 && c.state < Established:
		return ackInvalid
	case y.synSeen && s.Ack.Sub(y.isn) < 1:
		s.DropRisk |= OldAck
	case ahead > 0:
		return ackAhead
	}
	return ackSent
}

// end is the sequence number behind the segment; a SYN and an end of the half take one each.
func (s *Segment) end() Seq {
	e := s.Seq.Add(s.Len)
	if s.Flags.Has(SYN) {
		e++
	}
	if s.Flags.Has(FIN) {
		e++
	}
	return e
}

// completesHandshake reports whether the segment completes the handshake: the client answers the SYN-ACK or,
// where only its half is seen, goes on after its SYN; or the server does what it does only where a
// client has answered: it sends data or its end, or acknowledges more than the SYN.
func (c *Conn) completesHandshake(s *Segment) bool {
	if s.Flags&(SYN|RST) != 0 || !s.Flags.Has(ACK) {
		return false
	}
	x := &c.half[Client]
	if s.Dir == Client {
		ahead := s.Seq.Sub(x.isn.Add(1))
		return c.SYNSeen && ahead >= 0 && c.state == New || c.state == Replied && ahead >= 0 && ahead < synWindow
	}
	return c.state == Replied && (s.Len > 0 || s.Flags.Has(FIN) || x.synSeen && x.isn.Add(1).Less(s.Ack))
}

// acksUndelivered reports whether a segment acknowledges bytes of the other half that were not
// given yet. Where the other half is not seen at all there is nothing to wait for.
func (c *Conn) acksUndelivered(d Dir, ack Seq, f Flags) bool {
	y := &c.half[1-d]
	return f.Has(ACK) && y.seen && y.nextKnown && y.next.Less(ack) && ack.Sub(y.next) < window
}

// acksUnsent reports whether a segment acknowledges bytes that the other half is not known to have sent.
// A receiver drops it; or the capture has lost those bytes, and then the other half goes on behind
// them.
func (c *Conn) acksUnsent(d Dir, ack Seq, f Flags) bool {
	y := &c.half[1-d]
	return f.Has(ACK) && y.seen && y.maxEnd.Less(ack)
}

// revokeEnd takes back the end of a half: its sender goes on where that stood, as if it had not been
// there. It was forged, or its receiver never got it. A single byte there is a keep-alive.
func (c *Conn) revokeEnd(d Dir) {
	if c.state != Closing {
		return
	}
	c.fin[d] = false
	c.half[d].next = c.half[d].next.Add(-1)
	if !c.fin[1-d] {
		c.state = Established
	}
}

// endHalf notes that a half was given to its end.
func (c *Conn) endHalf(d Dir) {
	c.fin[d] = true
	switch {
	case c.state >= Closed:
	case c.fin[1-d]:
		c.state = Closed
	default:
		c.state = Closing
	}
}
