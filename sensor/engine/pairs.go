package engine

import (
	"sync/atomic"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/track"
)

// pairs tells whether the frames of two ends of a connection have different link-layer senders, as
// they do unless a capture was rewritten. Then a connection of a machine of ours (no router has
// passed on its frames) whose other end has the same sender is one that the machine plays with
// itself: in its own name, so that it seems to be a mail server, or in somebody else's. What is
// said in it speaks neither for nor against anybody.
type pairs struct {
	n     [2]uint64 // connections with the same sender and with different ones; under tickMu
	state atomic.Uint32
}

// The states of pairs.
const (
	untold  uint32 = iota // no connection was seen
	unlike                // senders differ
	alike                 // they are the same, in a few connections
	allSame               // and in many
)

// pairsShown is how many connections must have the same sender before an accusation may rest on
// them.
const pairsShown = 64

// answers takes in the first answer of a flow's server.
func (s *sourceObserver) answers(src *source, p *track.Packet, f *track.Flow) {
	if src == nil || src.mac == [6]byte{} || p.MAC == [6]byte{} {
		return
	}
	switch {
	case p.MAC != src.mac:
		s.pairs[1]++
	case src.flags&home != 0 && src.flags&near != 0, src.flags&home == 0 && !f.Noted(external) && detect.InitialTTL(p.TTL):
		s.pairs[0]++
		f.Notes |= selfMade
	}
}

// add takes in connections. The caller holds tickMu.
func (x *pairs) add(e *Engine, n [2]uint64) {
	x.n[0] += n[0]
	x.n[1] += n[1]
	state := untold
	switch {
	case x.n[1]*16 >= max(1, x.n[0]):
		state = unlike
	case x.n[0] >= pairsShown:
		state = allSame
	case x.n[0] > 0:
		state = alike
	}
	if x.state.Swap(state) == alike && state == unlike {
		e.disown()
	}
}

// disown takes back what speaks for hosts, when it turns out that senders differ: until now, all
// but one connection in 16 had the same.
func (e *Engine) disown() {
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.sources.hosts.All(func(hst *host) { hst.Disown() })
		clear(s.notes.pendingInbound)
		s.t.Unlock()
	}
}

// differ reports whether senders are known to differ.
func (x *pairs) differ() bool { return x.state.Load() == unlike }

// all says that there is no more to come.
func (x *pairs) all() { x.state.CompareAndSwap(alike, allSame) }

// hearsay reports whether a connection counts of which both sides were not seen from different
// machines: the capture shows nothing else.
func (e *Engine) hearsay() bool {
	return e.sides.OneSideShown() || e.pairs.state.Load() == allSame
}

// gatherSides takes in what the shards counted in the row, for sides and pairs. The caller holds
// tickMu.
func (e *Engine) gatherSides() {
	var sides [2]int64
	var pairs [2]uint64
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		for j, n := range s.tracker.TakeSides() {
			sides[j] += n
			pairs[j] += s.sources.pairs[j]
		}
		s.sources.pairs = [2]uint64{}
		s.t.Unlock()
	}
	if sides != [2]int64{} {
		e.sides.Add(sides)
	}
	if pairs != [2]uint64{} {
		e.pairs.add(e, pairs)
	}
}
