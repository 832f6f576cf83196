package engine

import (
	"sync/atomic"

	"spamsensor/flowtable"
)

// sides tells whether the capture shows one side of the connections alone: a tap in one direction, a mirror port that is
// set up for ingress, a network whose answers come another way. There a handshake is complete by what one side
// says of the other, and its words are taken for heard. Anybody can write one side of a connection in somebody
// else's name, so where both sides are seen a connection of which one is missing is none.
//
// Segments are counted, but for SYNs of clients and resets: these come without an answer in any capture. They are
// counted row by row, before the row is worked on, so that the result is the same with any number of helpers.
type sides [spaces]struct {
	n     [2]atomic.Uint64 // segments of clients, and of servers
	state atomic.Uint32
}

// sideCounts are the segments of a row.
type sideCounts [spaces][2]uint64

// spaces is how many address spaces are told apart, where VLANs or tunnels are: each can be tapped in another way.
const spaces = 16

// spaceOf is the address space of a host.
func spaceOf(s flowtable.Scope) uint32 {
	h := uint32(s) >> 1 * 0x9e3779b1
	return h >> 28 % spaces
}

// The states of sides.
const (
	twoSides uint32 = iota
	oneSoFar        // one side was seen so far, in a few segments
	oneSide         // and in many
)

const (
	// scarce is how many segments of one side there must be for each of the other for this to count as not seen at
	// all: a server answers every second segment at least (RFC 9293, section 3.8.6.3), so of a capture of both 2 % are never left.
	scarce = 50
	// sideShown is how many segments must have shown one side alone before an accusation may rest on it: some 20 short
	// dialogues.
	sideShown = 256
	// sideSpan is after how many segments what was before counts half.
	sideSpan = 1 << 24
)

// add takes in the segments of a row.
func (x *sides) add(row *sideCounts) {
	for i := range row {
		if n := &row[i]; n[0]+n[1] != 0 {
			x.addTo(i, n)
		}
	}
}

func (x *sides) addTo(i int, n *[2]uint64) {
	w := &x[i]
	a, b := w.n[0].Add(n[0]), w.n[1].Add(n[1])
	if a+b >= sideSpan {
		w.n[0].Store(a / 2)
		w.n[1].Store(b / 2)
	}
	state := twoSides
	if min(a, b)*scarce < max(a, b) {
		if state = oneSoFar; max(a, b) >= sideShown {
			state = oneSide
		}
	}
	w.state.Store(state)
}

// one reports whether one side is all that was seen so far in an address space.
func (x *sides) one(s flowtable.Scope) bool { return x[spaceOf(s)].state.Load() != twoSides }

// shown reports whether that is certain enough to accuse somebody.
func (x *sides) shown(s flowtable.Scope) bool { return x[spaceOf(s)].state.Load() == oneSide }

// all says that there is no more to come.
func (x *sides) all() {
	for i := range x {
		x[i].state.CompareAndSwap(oneSoFar, oneSide)
	}
}
