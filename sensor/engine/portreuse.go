package engine

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
)

// A handshake with the ports of a connection that goes on: either its end was not seen and its ports are
// used again, or the handshake is forged, so that we listen to a dialogue that is none. A server tells
// nothing: it answers a SYN in a connection with an acknowledgment of what it expects (RFC 5961, section 4), and
// who forges the SYN can forge the rest. So both are followed, each by its own numbers, until they end.
//
// The second flow has the same key and is kept under the complement of its hash. When the first
// one ends it takes its place. There is one second flow at a time. When the second one has had its dialogue and its end, and nothing came
// of the first meanwhile, the first is over too: nobody can have both.

// again begins a flow with the ports of another one.
func (s *shard) reopen(p *packet, payload []byte, r flowtable.Ref, f *flow) {
	if f.Conn.Ended() {
		s.closeFlow(r, &p.Key, f, "replaced")
		s.begin(p, payload)
		return
	}
	if second := s.t.Flows.Find(^p.FlowHash, &p.Key); second != 0 {
		s.closeFlow(second, &p.Key, s.t.Flows.At(second), "replaced")
	}
	s.begin(p, payload)
}

// pick is which of two flows with the same ports a packet belongs to. first may have no second any more.
func (s *shard) matchFlow(p *packet, first flowtable.Ref) flowtable.Ref {
	second := s.t.Flows.Find(^p.FlowHash, &p.Key)
	if second == 0 {
		return first
	}
	fit := func(r flowtable.Ref) int {
		return s.t.Flows.At(r).Conn.Score(DirOf(p), tcp.Flags(p.Flags), tcp.Seq(p.Seq), tcp.Seq(p.Ack))
	}
	if fit(second) > fit(first) {
		return second
	}
	return first
}

// addFlow makes the entry of a flow, beside another one if there is one.
func (s *shard) addFlow(p *packet) flowtable.Ref {
	first := s.t.Flows.Find(p.FlowHash, &p.Key)
	if first == 0 {
		return s.t.Flows.Add(p.FlowHash, &p.Key)
	}
	s.t.Flows.At(first).flags |= portsReused
	r := s.t.Flows.Add(^p.FlowHash, &p.Key)
	s.t.Flows.At(r).flags |= reusesPorts
	if s.t.Flows.Find(p.FlowHash, &p.Key) == 0 { // it was the one that had to make room
		s.t.Flows.Move(r, p.FlowHash)
	}
	return r
}

// outlive ends the first flow when its second one is over, if that was a session and the first was silent since.
func (s *shard) endReplaced(r flowtable.Ref, k *flowtable.Key, f *flow) {
	if !f.Has(reusesPorts) || !f.Has(established) || !f.Conn.Ended() {
		return
	}
	first := s.t.Flows.Find(^s.t.Flows.HashOf(r), k)
	if first == 0 {
		return
	}
	if x := s.t.Flows.At(first); x.Has(portsReused) && x.Last < f.Start {
		s.closeFlow(first, k, x, "replaced")
	}
}

// remove takes a flow out of the table. A second one takes its place.
func (s *shard) removeFlow(r flowtable.Ref, k *flowtable.Key, f *flow) {
	hash, hadSecond := s.t.Flows.HashOf(r), f.Has(portsReused)
	s.t.Flows.Remove(r)
	if !hadSecond {
		return
	}
	if second := s.t.Flows.Find(^hash, k); second != 0 {
		s.t.Flows.Move(second, hash)
	}
}
