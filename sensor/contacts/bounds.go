package contacts

import (
	"math"
	"sync/atomic"
)

// MissRate is the probability that a sequential test clears a source that is a bot, as the paper
// has it.
const MissRate = 0.01

// Bounds are the bounds between which a sequential test has not decided (Wald 1945), in natural
// logarithms. alpha is the probability that the test accuses an innocent host.
//
// Every result of every test asks for them, and two logarithms take 150 instructions. A process has
// one alpha, so the bounds of the latest are kept.
func Bounds(alpha float64) (upper, lower float64) {
	b := latestBounds.Load()
	if b == nil || b.alpha != alpha {
		b = &bounds{alpha, math.Log((1 - MissRate) / alpha), math.Log(MissRate / (1 - alpha))}
		latestBounds.Store(b)
	}
	return b.upper, b.lower
}

// bounds are the bounds of an alpha.
type bounds struct{ alpha, upper, lower float64 }

var latestBounds atomic.Pointer[bounds]
