package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
)

// A port reuse is a handshake with the ports of a connection that goes on: either the end of the
// connection was not seen and its ports are used again, or the handshake is forged, so that the
// sensor listens to a dialogue that does not exist. The server's answers do not distinguish the
// two: it answers a SYN in a connection with an acknowledgment of what it expects (RFC 5961,
// section 4), and a client that forges the SYN can forge the rest. So both flows are followed, each
// by its own sequence numbers, until they end.
//
// The second flow has the same key and is kept under the complement of its hash. When the first
// flow ends, the second one takes its place. There is one second flow at a time. When the second
// flow has had its dialogue and its end, and the first one was silent meanwhile, the first is over
// too: a client cannot have both.
//
// Segment (segment.go) recognises a port reuse by a SYN-ACK or a client's segment that belongs to
// another handshake.

// reopen begins a flow with the ports of another one.
func (t *Tracker[S]) reopen(p *Packet, payload []byte, r flowtable.Ref, f *Flow) {
	if f.over() {
		t.closeFlow(r, &p.Key, f, "replaced")
		t.begin(p, payload)
		return
	}
	if second := t.table.Flows.Find(^p.FlowHash, &p.Key); second != 0 {
		t.closeFlow(second, &p.Key, t.table.Flows.At(second), "replaced")
	}
	t.begin(p, payload)
}

// matchFlow is the flow of a packet among two with the same ports. first may have no second any
// more.
func (t *Tracker[S]) matchFlow(p *Packet, first flowtable.Ref) flowtable.Ref {
	second := t.table.Flows.Find(^p.FlowHash, &p.Key)
	if second == 0 {
		return first
	}
	score := func(r flowtable.Ref) int {
		c := &t.table.Flows.At(r).Conn
		return c.Score(p.Dir(), tcp.Flags(p.Flags), tcp.Seq(p.Seq), tcp.Seq(p.Ack))
	}
	if score(second) > score(first) {
		return second
	}
	return first
}

// addFlow makes the entry of a flow, beside another one if there is one.
func (t *Tracker[S]) addFlow(p *Packet) flowtable.Ref {
	flows := &t.table.Flows
	first := flows.Find(p.FlowHash, &p.Key)
	if first == 0 {
		return flows.Add(p.FlowHash, &p.Key)
	}
	flows.At(first).flags |= portsReused
	r := flows.Add(^p.FlowHash, &p.Key)
	flows.At(r).flags |= reusesPorts
	if flows.Find(p.FlowHash, &p.Key) == 0 { // the first was evicted for the second
		flows.Move(r, p.FlowHash)
	}
	return r
}

// endReplaced ends the first flow when its second one is over, if the second was a session and the
// first was silent since it began.
func (t *Tracker[S]) endReplaced(r flowtable.Ref, k *flowtable.Key, f *Flow) {
	if !f.has(reusesPorts) || !f.has(established) || !f.over() {
		return
	}
	first := t.table.Flows.Find(^t.table.Flows.HashOf(r), k)
	if first == 0 {
		return
	}
	if x := t.table.Flows.At(first); x.has(portsReused) && x.Last < f.Start {
		t.closeFlow(first, k, x, "replaced")
	}
}

// removeFlow takes a flow out of the table. A second one takes its place.
func (t *Tracker[S]) removeFlow(r flowtable.Ref, k *flowtable.Key, f *Flow) {
	hash, hadSecond := t.table.Flows.HashOf(r), f.has(portsReused)
	t.table.Flows.Remove(r)
	if !hadSecond {
		return
	}
	if second := t.table.Flows.Find(^hash, k); second != 0 {
		t.table.Flows.Move(second, hash)
	}
}
