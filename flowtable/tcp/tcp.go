package tcp

// Seq is a sequence number; comparison wraps around (RFC 9293, section 3.4).
type Seq uint32

// Less reports whether a comes before b.
func (a Seq) Less(b Seq) bool { return int32(a-b) < 0 }

// Sub is the distance from b to a in bytes; negative if a comes before b.
func (a Seq) Sub(b Seq) int { return int(int32(a - b)) }

// Add is the sequence number n bytes behind a.
func (a Seq) Add(n int) Seq { return a + Seq(n) }

// Flags are the flag bits of a segment, as in the header (RFC 9293, section 3.1).
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

// The directions. The client is the side that opened the connection.
const (
	Client Dir = iota
	Server
)

// Segment is one TCP segment. Payload is its captured part, borrowed for the call of Push.
type Segment struct {
	Dir      Dir
	Flags    Flags
	Seq, Ack Seq
	Len      int    // length of the payload on the wire
	Sum      uint32 // distinguishes a second copy of a frame from a retransmission
	Time     int64  // nanoseconds
	Payload  []byte
	DropRisk DropRisk
	Urgent   uint16 // the urgent pointer, with URG
	// Stamp is the TSval of the timestamps option, in a SYN-ACK its TSecr (RFC 7323); it is valid
	// if Stamped.
	Stamp   uint32
	Stamped bool
}

// DropRisk is why the receiver may drop a segment that its sender wrote.
type DropRisk uint8

// The bits of DropRisk. A capture does not show what the receiver does with such a segment, but for
// BadChecksum and OldTimestamp: a receiver drops those, unless the reason itself is wrong for this
// sender.
const (
	// BadChecksum: the checksum is wrong, and other checksums of the sender are right.
	BadChecksum DropRisk = 1 << iota
	// PartialChecksum is BadChecksum where a network card may have completed the checksum later.
	PartialChecksum
	// UnaskedMD5: the segment has an MD5 signature (RFC 2385), which the handshake has not.
	UnaskedMD5
	// LowHops: the hop limit is lower than in the sender's other segments, so that the segment may
	// expire before the receiver; or its initial value differs.
	LowHops
	// OtherMAC: the frame's link-layer addresses differ from the sender's other frames.
	OtherMAC
	// OldTimestamp: the timestamp is older than one that was taken (RFC 7323, section 5).
	OldTimestamp
	// OldAck: the segment acknowledges a number before the first byte of the other half.
	OldAck

	surelyDropped = BadChecksum | OldTimestamp
	// perSegment are the risks that belong to one segment: the acknowledgment of one such segment
	// says nothing about the next. The other risks belong to the sender.
	perSegment = OldTimestamp | OldAck
)

// State is how far a connection has come.
type State uint8

// The states.
const (
	New         State = iota // nothing but a SYN, or the beginning was not captured
	Replied                  // the server has sent its SYN-ACK
	Established              // the handshake is complete
	Closing                  // one side has sent its FIN
	Closed                   // both sides have sent their FINs
	Reset                    // one side has sent a RST
)

// String is the state's name in events.
func (s State) String() string {
	return [...]string{"new", "new", "established", "closing", "closed", "reset"}[s]
}

// Conn is a connection. The zero value is a connection without segments. It holds no pointers, so
// that tables of them cost the garbage collector nothing.
type Conn struct {
	held  uint32 // first node in Stream.nodes, 0 is none
	state State
	quiet bool // Next may take segments; see settle
	nheld uint8
	// stalled counts segments since segments are held and none could be delivered.
	stalled    uint8
	half       [2]half
	SYNSeen    bool
	holdClient bool    // the client's segments are held; see HoldClient
	Resetter   Dir     // the direction of the RST
	fin        [2]bool // halves that were delivered to their end
	anomalies  Anomaly
	// conflicts counts segments of the client that repeat bytes with other contents; it saturates.
	conflicts      uint16
	stalledSince   uint32      // time of the first stalled segment, microseconds
	rstSeq         Seq         // sequence number of the RST
	trusted        [2]DropRisk // risks of each half that an acknowledgment has disproved
	openedReported bool        // Push has returned Opened
	tsRecent       uint32      // the client's latest timestamp that the server took; see tsAgreed
	tsAgreed       bool        // both sides use timestamps
	blindAck       bool        // the client acknowledged another number than that of the SYN-ACK
	closer         Dir         // see Closer
}

// Anomaly is a set of reasons why the receiver may have got other bytes than those that are
// delivered.
type Anomaly uint8

// The bits of Anomaly.
const (
	Conflict Anomaly = 1 << iota // two copies of a byte differ; see Stream
	Urgent                       // urgent data
)

// Anomalies are the anomalies of the connection so far.
func (c *Conn) Anomalies() Anomaly { return c.anomalies }

// Conflicts is the number of the client's segments that repeat bytes with other contents, at most
// 65,535. An honest TCP sends none: such a segment is written to make an observer read other bytes
// than the server does.
func (c *Conn) Conflicts() int { return int(c.conflicts) }

// half is one direction.
type half struct {
	next          Seq       // the next byte to deliver
	acked         Seq       // the highest acknowledgment of this half's bytes
	maxEnd        Seq       // behind the furthest byte of the segments so far; valid if seen
	isn           Seq       // the initial sequence number
	otherISN      Seq       // that of an earlier SYN with another number; valid if hasOtherISN
	digests       [2]uint32 // digests of the latest two frames, to recognise a second copy
	times         [2]uint32 // times of these frames, milliseconds
	packets       uint32
	bytes         uint64 // payload, with retransmissions
	nextKnown     bool   // next is valid
	seen          bool   // a segment of this half was captured
	ackedKnown    bool   // acked is valid
	synSeen       bool   // the SYN was captured: isn is not derived
	hasOtherISN   bool
	urgentPending bool   // a byte that is still to come is urgent
	farRun        uint8  // consecutive segments from outside the window
	urgentSeq     Seq    // number of the urgent byte; valid if urgentPending
	lastRecord    uint32 // place of the half's latest record in Stream.history
}

// State is how far the connection has come.
func (c *Conn) State() State { return c.state }

// Ended reports whether the connection has ended.
func (c *Conn) Ended() bool { return c.state >= Closed }

// Closer is the side that ended the connection: the first to send a FIN, or a RST without one
// before. It is valid if Ended.
func (c *Conn) Closer() Dir { return c.closer }

// Acknowledged reports whether both sides have sent their FIN and have acknowledged the other's.
func (c *Conn) Acknowledged() bool {
	x, y := &c.half[Client], &c.half[Server]
	return c.state == Closed && x.ackedKnown && y.ackedKnown &&
		!x.acked.Less(x.next) && !y.acked.Less(y.next)
}

// Seen reports whether segments of this direction were captured.
func (c *Conn) Seen(d Dir) bool { return c.half[d].seen }

// Counts are the segments and payload bytes of a direction, without second copies of frames.
func (c *Conn) Counts(d Dir) (packets uint32, bytes uint64) {
	return c.half[d].packets, c.half[d].bytes
}

// ISN is the initial sequence number of a direction; zero before its first segment or
// acknowledgment.
func (c *Conn) ISN(d Dir) Seq { return c.half[d].isn }

// Answered reports whether the other half has acknowledged bytes of a direction, beyond its SYN.
// Without a captured segment of the direction, its first acknowledgment counts as one of the SYN.
func (c *Conn) Answered(d Dir) bool {
	h := &c.half[d]
	return h.nextKnown && h.ackedKnown && h.acked.Sub(h.isn) > 1
}

// Result is what a segment caused.
type Result uint8

// The bits of Result.
const (
	Duplicate   Result = 1 << iota // a second copy of a frame; nothing was counted
	Retransmit                     // it carries nothing new
	Foreign                        // outside the window: of another connection, or forged
	Opened                         // it completed the handshake
	Aborted                        // it reset the connection
	Differs                        // it repeats bytes with other contents
	BlindAck                       // before data of the server, it acknowledges no SYN-ACK
	Unconfirmed                    // it has a DropRisk: it counts when the receiver acknowledges it
)

const (
	// copyWindow is the largest distance of two copies of a frame, in milliseconds: the latency of
	// a router, far below any retransmission timeout (RFC 6298: at least one second).
	copyWindow = 5
	// window is the largest distance of a segment from the expected byte. Only paths that carry no
	// mail have larger windows.
	window = 1 << 20
	// synWindow is the largest distance of a client's first segment from its SYN: the window of a
	// SYN-ACK is not scaled (RFC 7323, section 2.2).
	synWindow = 1 << 16
	// maxHeld and maxAhead bound the segments that wait for a hole: their number in a connection,
	// and the distance of the furthest from the expected byte.
	maxHeld, maxAhead = 16, 64 << 10
	// ackedPatience is how many further segments an acknowledged hole waits for: no segment will
	// fill it, unless the mirror port swaps frames. Swapped frames come within swapTime
	// (microseconds), and on a short path a dialogue sends more segments in that time: within it
	// the number is swapPatience.
	ackedPatience, swapPatience, swapTime = 3, 12, 2000
	// resendPatience is the number for a hole that the sender will fill.
	resendPatience = 24
)

// Open records that the client's SYN was seen before the connection had a Conn, and how many times.
func (c *Conn) Open(isn Seq, syns uint32) {
	h := &c.half[Client]
	h.isn, h.next, h.maxEnd = isn, isn.Add(1), isn.Add(1)
	h.nextKnown, h.seen, h.synSeen = true, true, true
	h.packets += syns
	c.SYNSeen = true
}

// Prefetch reads the cache lines that Push reads first for a segment of this direction, so that the
// waits for memory of many connections overlap. The result has no meaning.
func (c *Conn) Prefetch(d Dir) uint32 {
	return uint32(c.half[Client].next+c.half[Server].next) + uint32(c.state)
}

// SYNRetransmitted records a copy of the client's SYN that came after the answer to it.
func (c *Conn) SYNRetransmitted() { c.half[Client].packets++ }

// HoldClient makes the stream hold the client's bytes, as far as there is room for them, until
// ReleaseClient: a SYN can carry data that its server does not take, and a client without an answer
// can send any bytes.
func (c *Conn) HoldClient() { c.holdClient, c.quiet = true, false }

// ReleaseClient ends HoldClient. The next Pop delivers the bytes that were held.
func (c *Conn) ReleaseClient() { c.holdClient = false }

// Next is the sequence number of the next byte that a half delivers.
func (c *Conn) Next(d Dir) Seq { return c.half[d].next }

// end is the sequence number behind the segment; a SYN and a FIN take one each.
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
