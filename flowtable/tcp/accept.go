package tcp

// accept updates the connection with all of a segment but its payload.
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
		s.DropRisk = 0 // no other segment of the half is there to deliver instead
	}
	blind := ack == ackAhead && s.Dir == Client && c.state == Replied
	x.packets++
	x.bytes += uint64(s.Len)
	if s.Flags.Has(SYN) {
		c.noteSYN(x, s)
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
		if c.state < Closing {
			c.closer = s.Dir
		}
		c.state, c.Resetter, c.rstSeq = Reset, s.Dir, s.Seq
		r |= Aborted
	case c.state == Reset && s.Dir == c.Resetter && s.Len > 0 && c.rstSeq.Less(start.Add(s.Len)):
		// The side that reset the connection continues it: the reset was forged, or meant another.
		c.state = Established
		if !c.openedReported && c.SYNSeen && s.Dir == Server {
			c.openedReported = true // the reset came before the end of the handshake
			r |= Opened
		}
	}
	return r
}

// noteSYN records a SYN or SYN-ACK. Before the handshake is complete a SYN with another number
// replaces the earlier one.
func (c *Conn) noteSYN(x *half, s *Segment) {
	if !x.nextKnown || c.state < Established && x.isn != s.Seq {
		if x.synSeen {
			x.otherISN, x.hasOtherISN = x.isn, true
		}
		x.isn, x.next, x.maxEnd, x.nextKnown = s.Seq, s.Seq.Add(1), s.Seq.Add(1), true
	}
	x.synSeen = true
	if s.Dir == Client {
		c.SYNSeen = true
	} else if c.state == New {
		c.state = Replied
	}
}

// checkTimestamp compares the timestamp of a client's segment with the latest that the server has
// taken, as Linux does (tcp_validate_incoming and tcp_replace_ts_recent in net/ipv4/tcp_input.c):
// the server takes the timestamp of a segment that begins no later than its latest acknowledgment.
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

// noteUrgent records an urgent pointer. The pointer is behind the urgent byte, which the receiver
// hands to its program apart from the others (RFC 9293, section 3.8.5; RFC 6093, section 3.1). As
// in Linux (tcp_check_urg in net/ipv4/tcp_input.c) zero is the first byte of the segment, a pointer
// into bytes that were delivered changes nothing, and a newer pointer replaces one whose byte has
// not come yet, so that this byte is ordinary.
func (c *Conn) noteUrgent(x *half, s *Segment, start Seq) {
	at := start.Add(max(0, int(s.Urgent)-1))
	if x.nextKnown && at.Less(x.next) || x.urgentPending && !x.urgentSeq.Less(at) {
		return
	}
	x.urgentSeq, x.urgentPending = at, true
	c.anomalies |= Urgent
}

// isCopy reports whether this frame is a copy of one of the latest two.
func (h *half) isCopy(s *Segment) bool {
	ms := milliseconds(s.Time)
	header := Header{Seq: s.Seq, Ack: s.Ack, Flags: s.Flags, Len: uint32(s.Len), Sum: s.Sum,
		Stamp: s.Stamp}
	sum := header.digest()
	for i := range h.digests {
		age := int32(ms - h.times[i])
		if h.digests[i] == sum && h.packets > uint32(i) && age <= copyWindow && age >= -copyWindow {
			return true
		}
	}
	h.digests[1], h.times[1] = h.digests[0], h.times[0]
	h.digests[0], h.times[0] = sum, ms
	return false
}

// outOfWindow reports whether a segment cannot belong to this connection. After a long loss a
// segment from far ahead does belong to it: if the receiver has acknowledged the bytes before it,
// or if it is the third such segment in a row that carries data and fits the other half.
func (c *Conn) outOfWindow(x, y *half, s *Segment) bool {
	ahead := s.Seq.Sub(x.next)
	if c.fin[s.Dir] && ahead == -1 && s.Len > 1 {
		c.revokeEnd(s.Dir)
	}
	if s.Flags.Has(RST) {
		if c.blindAck && c.state == Replied && s.Dir == Server && s.Seq != x.maxEnd {
			return true // it answers a forged acknowledgment; the handshake continues
		}
		// A reset must be at the next expected byte, or a little further where the capture has
		// missed bytes (RFC 5961, section 3.2 asks for the exact byte).
		return ahead < -1 || ahead > maxAhead*4
	}
	near := window
	if s.Len > 0 || s.Flags.Has(FIN) {
		near = maxAhead // a segment further ahead would make all bytes before it a gap
	}
	acked := ahead > 0 && ahead <= window && x.ackedKnown && !x.acked.Less(s.Seq)
	if ahead >= -window && ahead <= near || acked {
		x.farRun = 0
		return false
	}
	fits := s.Flags.Has(ACK) && y.nextKnown && y.seen && abs(s.Ack.Sub(y.next)) < maxAhead
	if s.Len > 0 && fits && ahead > 0 {
		if x.farRun < 3 {
			x.farRun++
		}
		return x.farRun < 3
	}
	return true
}

// Score is how well the numbers of a segment agree with the state of the connection: 2 for the
// segment that comes next, 1 for one near it, 0 for a segment of another connection.
func (c *Conn) Score(d Dir, f Flags, seq, ack Seq) int {
	x, y := &c.half[d], &c.half[1-d]
	switch {
	case f.Has(SYN | ACK):
		if y.nextKnown && ack == y.isn.Add(1) {
			return 2
		}
		return 0
	case x.nextKnown && abs(seq.Sub(x.next)) > window,
		y.nextKnown && f.Has(ACK) && abs(ack.Sub(y.next)) > window:
		return 0
	case x.nextKnown && seq == x.next:
		return 2
	}
	return 1
}

func abs(n int) int { return max(n, -n) }

// ackClass is how an acknowledgment compares with the bytes that the other half has sent.
type ackClass uint8

const (
	ackSent    ackClass = iota // within them, or the comparison is not possible
	ackAhead                   // beyond them: the receiver drops it, or the capture has gaps
	ackInvalid                 // no receiver takes a segment with it
)

// longLoss is how many bytes of a client the capture can have lost in a row, a message for example,
// where the server acknowledges them.
const longLoss = 1 << 28

// classifyAck compares an acknowledgment with the bytes that the other half, y, has sent (RFC 9293,
// section 3.10.7.4; RFC 5961, section 5). Until the server has sent data only one number opens the
// connection, the one of its SYN-ACK: the server answers any other with a reset. Where the server
// has sent several SYN-ACKs with different numbers, as with SYN cookies, each of them counts.
//
// The lower bound is the initial sequence number. Linux drops a segment below it except where it
// predicts the header (tcp_rcv_established), so that the segment has a DropRisk.
func (c *Conn) classifyAck(y *half, s *Segment) ackClass {
	if s.Flags&(SYN|RST|ACK) != ACK || !y.nextKnown || !y.seen {
		return ackSent
	}
	if s.Ack == s.Seq && y.isn == s.Seq && y.synSeen &&
		c.state == Replied && s.Dir == Client && c.half[Client].next == s.Seq {
		// A capture that was made by hand, with one number for all, mostly zero: no server chooses
		// the number of its client.
		y.isn, y.next, y.maxEnd = s.Ack.Add(-1), s.Ack, s.Ack
		return ackSent
	}
	if y.hasOtherISN && c.state == Replied &&
		s.Ack == y.otherISN.Add(1) && y.maxEnd == y.isn.Add(1) {
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

// completesHandshake reports whether the segment completes the handshake. The client answers the
// SYN-ACK or, where only its half is captured, continues after its SYN. Or the server does
// something that needs the client's answer: it sends data or a FIN, or acknowledges more than the
// SYN.
func (c *Conn) completesHandshake(s *Segment) bool {
	if s.Flags&(SYN|RST) != 0 || !s.Flags.Has(ACK) {
		return false
	}
	x := &c.half[Client]
	if s.Dir == Client {
		ahead := s.Seq.Sub(x.isn.Add(1))
		return c.SYNSeen && ahead >= 0 && c.state == New ||
			c.state == Replied && ahead >= 0 && ahead < synWindow
	}
	return c.state == Replied &&
		(s.Len > 0 || s.Flags.Has(FIN) || x.synSeen && x.isn.Add(1).Less(s.Ack))
}

// acksUndelivered reports whether a segment acknowledges bytes of the other half that were not
// delivered yet. Where the other half is not captured there is nothing to wait for.
func (c *Conn) acksUndelivered(d Dir, ack Seq, f Flags) bool {
	y := &c.half[1-d]
	return f.Has(ACK) && y.seen && y.nextKnown && y.next.Less(ack) && ack.Sub(y.next) < window
}

// acksUnsent reports whether a segment acknowledges bytes that no captured segment of the other
// half has. A receiver drops such a segment; or the capture has lost those bytes, and then the
// other half continues behind them.
func (c *Conn) acksUnsent(d Dir, ack Seq, f Flags) bool {
	y := &c.half[1-d]
	return f.Has(ACK) && y.seen && y.maxEnd.Less(ack)
}

// revokeEnd takes back the FIN of a half: its sender continues at the FIN's number, as if there had
// been none. The FIN was forged, or the receiver never got it. A single byte there is a keep-alive.
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

// endHalf records that a half was delivered to its end.
func (c *Conn) endHalf(d Dir) {
	c.fin[d] = true
	switch {
	case c.state >= Closed:
	case c.fin[1-d]:
		c.state = Closed
	default:
		c.state, c.closer = Closing, d
	}
}
