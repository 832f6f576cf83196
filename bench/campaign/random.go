package campaign

import (
	"math"
	"math/rand/v2"
)

// uniform draws a number between lo and hi.
func uniform(r *rand.Rand, lo, hi float64) float64 { return lo + r.Float64()*(hi-lo) }

// logUniform draws a number between lo and hi; all orders of magnitude are equally likely.
func logUniform(r *rand.Rand, lo, hi float64) float64 {
	return math.Exp(uniform(r, math.Log(lo), math.Log(hi)))
}

// between draws a duration from lo to hi, both included.
func between(r *rand.Rand, lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }

// exponential draws the time until the next event of a Poisson process, at least 1 ns.
func exponential(r *rand.Rand, mean int64) int64 {
	return max(1, int64(r.ExpFloat64()*float64(mean)))
}

// oneOf draws an element of a list; all are equally likely.
func oneOf[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// share is a value with its weight.
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
