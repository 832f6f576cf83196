package campaign

import (
	"math"
	"math/rand/v2"
)

// uniform is between lo and hi.
func uniform(r *rand.Rand, lo, hi float64) float64 { return lo + r.Float64()*(hi-lo) }

// logUniform is between lo and hi, every order of magnitude as likely as another.
func logUniform(r *rand.Rand, lo, hi float64) float64 {
	return math.Exp(uniform(r, math.Log(lo), math.Log(hi)))
}

// between is a span of time.
func between(r *rand.Rand, lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }

// exponential is the time to the next event of a Poisson process with this mean.
func exponential(r *rand.Rand, mean int64) int64 {
	return max(1, int64(r.ExpFloat64()*float64(mean)))
}

// oneOf draws from a list.
func oneOf[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// share is one possibility of several.
type share[T any] struct {
	weight float64
	value  T
}

// draw draws a value by weight.
func draw[T any](r *rand.Rand, list ...share[T]) T {
	total := 0.0
	for _, s := range list {
		total += s.weight
	}
	x := r.Float64() * total
	for _, s := range list {
		if x -= s.weight; x < 0 {
			return s.value
		}
	}
	return list[len(list)-1].value
}
