//go:build race

package fuzztime

// slack is what the race detector multiplies times by.
const slack = 20
