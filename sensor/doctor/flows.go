package doctor

import (
	"hash/maphash"
	"slices"

	"spamsensor/sensor/wire"
)

// The limits of what is kept. What a full table refuses is counted as unheld.
const (
	maxFlows  = 50_000
	maxHosts  = 20_000
	maxCopies = 65_536 // frames that are compared with later ones
	maxNames  = 64     // kinds of frames, VLANs and tunnels
	maxMACs   = 4_096
)

// end is an address and a port.
type end struct {
	addr wire.Addr
	port uint16
}

// flowKey are the two ends of a connection, the lower first.
type flowKey struct{ a, b end }

// flow is a TCP connection.
type flow struct {
	acks [2]uint32 // segments with ACK and without SYN and RST, by sender
	seen [2]bool   // a segment of this sender was seen, so that next counts
	next [2]uint32 // the sequence number behind the last byte that was seen
	// hole is the part of this sender's bytes that was acknowledged and not seen.
	hole [2]struct{ from, to uint32 }
}

// side orders the ends of a packet, and says which of them sent it.
func side(p *wire.Packet) (k flowKey, sender int) {
	src, dst := end{p.Src, p.SrcPort}, end{p.Dst, p.DstPort}
	c := slices.Compare(src.addr[:], dst.addr[:])
	if c < 0 || c == 0 && src.port <= dst.port {
		return flowKey{src, dst}, 0
	}
	return flowKey{dst, src}, 1
}

// addSegment adds a TCP segment to its connection.
func (e *exam) addSegment(p *wire.Packet) {
	k, from := side(p)
	f := e.flows[k]
	if f == nil {
		if len(e.flows) >= maxFlows {
			e.counts.Unheld++
			return
		}
		f = new(flow)
		e.flows[k] = f
	}
	if !p.Flags.Has(wire.RST) {
		e.follow(f, from, p)
	}
}

// follow compares what is acknowledged with what was seen, as Zeek's capture-loss script does
// (policy/misc/capture-loss.zeek).
func (e *exam) follow(f *flow, from int, p *wire.Packet) {
	length := p.Len
	if p.Flags.Has(wire.SYN) {
		length++
	}
	if p.Flags.Has(wire.FIN) {
		length++
	}
	behind := p.Seq + length
	if h := &f.hole[from]; h.from != h.to && int32(p.Seq-h.from) >= 0 && int32(h.to-p.Seq) > 0 {
		e.counts.Unseen-- // it came late: the mirror delivers out of order
		*h = struct{ from, to uint32 }{}
	}
	if !f.seen[from] || int32(behind-f.next[from]) > 0 {
		f.seen[from], f.next[from] = true, behind
	}
	if !p.Flags.Has(wire.ACK) {
		return
	}
	if !p.Flags.Has(wire.SYN) { // a server repeats its SYN if nobody answers
		f.acks[from]++
	}
	other := 1 - from
	if !f.seen[other] {
		return
	}
	e.counts.Acks++
	if ahead := int32(p.Ack - f.next[other]); ahead > 0 && ahead < 1<<24 {
		e.counts.Unseen++
		f.hole[other].from, f.hole[other].to = f.next[other], p.Ack
		f.next[other] = p.Ack
	}
}

// copyWindow is the time within which two equal segments are copies, in ns. A mirror of two ports,
// or of both sides of a router or a firewall, gives the second one within milliseconds; TCP sends
// a segment again after 200 ms at the earliest (RTO_MIN of Linux), with another IP identification
// or another timestamp.
const copyWindow = 50e6

// original is the first copy of a frame.
type original struct {
	time   int64
	ttl    uint8
	mac    [6]byte
	tags   [wire.MaxTags]uint16
	src    wire.Addr
	tunnel uint32
}

// copies counts how the second copies differ from the first.
type copies struct {
	same, tagged, routed, station, translated uint64
}

// compare looks for an earlier copy of a frame. key is the same for both.
func (e *exam) compare(key uint64, now *original) (*original, bool) {
	before, ok := e.originals[key]
	if ok && now.time-before.time < copyWindow && now.time >= before.time {
		return &before, true
	}
	if len(e.originals) >= maxCopies {
		clear(e.originals) // the window is short: little is lost
	}
	e.originals[key] = *now
	return nil, false
}

// addCopy counts a segment or a datagram that was captured before.
func (e *exam) addCopy(key uint64, now *original) {
	e.counts.Comparable++
	before, ok := e.compare(key, now)
	if !ok {
		return
	}
	e.counts.Duplicates++
	switch {
	case before.ttl != now.ttl:
		e.copies.routed++
	case before.tags != now.tags || before.tunnel != now.tunnel:
		e.copies.tagged++
	case before.mac != now.mac:
		e.copies.station++
	default:
		e.copies.same++
	}
}

// compareSegment compares a segment with earlier ones. Empty acknowledgments are left out: a host
// may well send two that are equal.
func (e *exam) compareSegment(p *wire.Packet, s *sight) {
	if p.Len == 0 && !p.Flags.Has(wire.SYN) && !p.Flags.Has(wire.FIN) {
		return
	}
	now := original{time: p.Time, ttl: p.TTL, mac: p.MAC, tags: p.VLAN, src: p.Src,
		tunnel: p.Tunnel}
	for i := int(p.Tags); i < len(now.tags); i++ {
		now.tags[i] = 0
	}
	if s.tunnel == "" {
		now.mac = s.src
	}
	type segment struct {
		src, dst     wire.Addr
		sport, dport uint16
		seq, ack     uint32
		len, sum     uint32
		flags        wire.Flags
	}
	x := segment{p.Src, p.Dst, p.SrcPort, p.DstPort, p.Seq, p.Ack, p.Len, p.Sum, p.Flags}
	e.addCopy(maphash.Comparable(e.seed, x), &now)
	if p.Seq == 0 {
		return
	}
	// Behind a translation of addresses the sequence numbers are the same.
	x.src, x.sport, x.sum = wire.Addr{}, 0, 0
	if before, ok := e.compare(maphash.Comparable(e.seed, x), &now); ok && before.src != p.Src {
		e.copies.translated++
	}
}

// compareDatagram compares a datagram of UDP to one station with earlier ones.
func (e *exam) compareDatagram(s *sight, at int64) {
	now := original{time: at, ttl: s.ttl, mac: s.src, src: s.from}
	copy(now.tags[:], s.tags)
	type datagram struct {
		src, dst wire.Addr
		id       uint16
		hash     uint64
	}
	e.addCopy(maphash.Comparable(e.seed,
		datagram{s.from, s.to, s.id, maphash.Bytes(e.seed, s.body)}), &now)
}
