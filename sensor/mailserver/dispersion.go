package mailserver

import "math"

// Phi is the overdispersion of a count less one: how much more it varies than a Poisson process. It
// is the mean of z squared, over N counts.
type Phi struct {
	F float64 `json:"F"`
	N uint32  `json:"N"`
}

// learn takes in a count. z squared is cut off at nine times its usual value, so that no single
// count makes the test blind, and at four times for a count below the mean: a missing batch says
// nothing about how large counts can be. The value begins at one, as if from prior counts.
func (p *Phi) learn(z float64, prior, most uint32) {
	p.N = min(p.N+1, most)
	f := 1 + p.F
	cut := 9.0
	if z < 0 {
		cut = 4
	}
	f += (math.Min(z*z, cut*f) - f) / float64(p.N+prior)
	p.F = max(0, f-1)
}

// Spread holds the Phi of counts by the size of their mean, in steps of four: a busy day
// multiplies, so large counts vary by more than small ones.
type Spread [12]Phi

// step is the one of a mean.
func step(mean float64) int {
	if !(mean > 0) { // or not a number
		return 0
	}
	return int(min(math.Log2(mean+1)/2, float64(len(Spread{})-1)))
}

func (s *Spread) learn(mean, z float64, most uint32) { s[step(mean)].learn(z, 10, most) }

// of is f for a mean: the larger one of its step and the next, because means near the border
// are in both, if that was seen enough, and of the one below too if the step was hardly seen.
func (s *Spread) of(mean float64) float64 {
	const enough = 50
	i := step(mean)
	f := s[i].F
	if i+1 < len(s) && s[i+1].N >= enough {
		f = max(f, s[i+1].F)
	}
	for ; i > 0 && s[i].N < enough; i-- {
		f = max(f, s[i-1].F)
	}
	return 1 + f
}
