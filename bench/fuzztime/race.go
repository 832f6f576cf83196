//go:build race

package fuzztime

// slack is the factor by which the race detector slows the code down.
const slack = 20
