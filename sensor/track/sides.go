package track

import "sync/atomic"

// Sides follows whether the capture shows one side of the connections alone: a tap in one
// direction, a mirror port that is set up for ingress, a network whose answers come another way.
// There a handshake is complete by what one side says of the other, and its words count as heard.
// Anybody can write one side of a connection in the name of another host, so where both sides are
// seen a connection with a missing side is not established.
//
// Trackers count connections (TakeSides) and their owner adds the counts up between batches of
// packets (Add), so that the result is the same with any number of goroutines.
type Sides struct {
	n     [2]int64 // connections with one side seen, and with both; under the lock of Add's caller
	state atomic.Uint32
}

// The states of Sides.
const (
	oneSoFar uint32 = iota // no connection was seen, or a few with one side alone
	twoSides
	oneSide // many with one side alone
)

const (
	// scarce is how many connections with one side there must be for each one with both, for the
	// latter to count as not seen at all.
	scarce = 50
	// sideShown is how many connections must have shown one side alone before an accusation may
	// rest on it.
	sideShown = 16
	// sideSpan is after how many connections the counts are halved.
	sideSpan = 1 << 20
)

// TakeSides is how many connections showed one side alone, and both, since it was called before.
func (t *Tracker[S]) TakeSides() (n [2]int64) {
	n, t.seen = t.seen, n
	return n
}

// Add adds what TakeSides returned. Calls must not overlap.
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

// OneSideSoFar reports whether the capture showed one side alone until now.
func (x *Sides) OneSideSoFar() bool { return x.state.Load() != twoSides }

// OneSideShown reports whether that is certain enough for an accusation.
func (x *Sides) OneSideShown() bool { return x.state.Load() == oneSide }

// Finish says that no more connections come.
func (x *Sides) Finish() { x.state.CompareAndSwap(oneSoFar, oneSide) }
