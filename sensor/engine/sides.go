package engine

import "sync/atomic"

// sides tells whether the capture shows one side of the connections alone: a tap in one direction,
// a mirror port that is set up for ingress, a network whose answers come another way. There a
// handshake is complete by what one side says of the other, and its words are taken for heard.
// Anybody can write one side of a connection in somebody else's name, so where both sides are seen
// a connection of which one is missing is none.
//
// Connections are counted in the shards and added up when a row is done, so that the result is the
// same with any number of helpers.
type Sides struct {
	n     [2]int64 // connections of which one side was seen, and both; under tickMu
	state atomic.Uint32
}

// The states of sides.
const (
	oneSoFar uint32 = iota // no connection was seen, or a few of one side alone
	twoSides
	oneSide // many of one side alone
)

const (
	// scarce is how many connections of one side there must be for each of both for this to count
	// as not seen at all.
	scarce = 50
	// sideShown is how many must have shown one side alone before an accusation may rest on it.
	sideShown = 16
	// sideSpan is after how many connections what was before counts half.
	sideSpan = 1 << 20
)

// gatherSides takes in what the shards counted in the row, for sides and pairs. The caller holds
// tickMu.
func (e *Engine) gatherSides() {
	var sides [2]int64
	var pairs [2]uint64
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		for j := range sides {
			sides[j] += s.sides[j]
			pairs[j] += s.pairs[j]
		}
		s.sides, s.pairs = [2]int64{}, [2]uint64{}
		s.t.Unlock()
	}
	if sides != [2]int64{} {
		e.sides.Add(sides)
	}
	if pairs != [2]uint64{} {
		e.pairs.add(e, pairs)
	}
}

// add takes in connections.
func (x *Sides) Add(n [2]int64) {
	x.n[0] += n[0]
	x.n[1] += n[1]
	if x.n[0]+x.n[1] >= sideSpan {
		x.n[0], x.n[1] = x.n[0]/2, x.n[1]/2
	}
	state := oneSoFar
	switch {
	case x.n[1]*scarce > x.n[0]:
		state = twoSides
	case x.n[0] >= sideShown:
		state = oneSide
	}
	x.state.Store(state)
}

// one reports whether one side is all that was seen so far.
func (x *Sides) OneSideSoFar() bool { return x.state.Load() != twoSides }

// shown reports whether that is certain enough to accuse somebody.
func (x *Sides) OneSideShown() bool { return x.state.Load() == oneSide }

// all says that there is no more to come.
func (x *Sides) Finish() { x.state.CompareAndSwap(oneSoFar, oneSide) }
