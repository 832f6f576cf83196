package contacts

import "math"

// MissRate is the probability that a sequential test clears a source that is a bot, as the paper
// has it.
const MissRate = 0.01

// Bounds are the bounds between which a sequential test has not decided (Wald 1945), in natural
// logarithms. alpha is the probability that the test accuses an innocent host.
func Bounds(alpha float64) (upper, lower float64) {
	return math.Log((1 - MissRate) / alpha), math.Log(MissRate / (1 - alpha))
}
