//go:build !race

package fuzztime

const slack = 1
