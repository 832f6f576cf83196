//go:build !race

package fuzztime

// slack is the factor of the bound; the race detector needs a larger one.
const slack = 1
