// Package inorder brings what the shards noted in a round into one order. The notes of a shard are
// in the order of its packets, so that lists are merged and not sorted. Places are merged instead
// of notes, because notes are large.
package inorder

import (
	"cmp"
	"slices"
)

// Place is the place of a note: its rank, and its index in the list.
type Place struct {
	Rank uint64
	At   uint32
}

// Merger merges lists of notes. The zero value is empty. It keeps its memory.
type Merger struct {
	places, spare []Place
	runs          []int // where runs of ascending ranks begin
}

// Reset drops the notes.
func (m *Merger) Reset() { m.places, m.runs = m.places[:0], m.runs[:0] }

// Add adds the next note of the list, by its rank.
func (m *Merger) Add(rank uint64) {
	n := len(m.places)
	if n == 0 || rank < m.places[n-1].Rank {
		m.runs = append(m.runs, n)
	}
	m.places = append(m.places, Place{rank, uint32(n)})
}

// Merged returns the places of the notes in the order of their ranks. compare orders two notes of
// the same rank by their indexes; those that it calls equal keep their order. The result is valid
// until the next call.
func (m *Merger) Merged(compare func(a, b uint32) int) []Place {
	for len(m.runs) > 1 {
		m.mergePairs()
	}
	list := m.places
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].Rank == list[from].Rank {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(list[from:to], func(x, y Place) int {
				if c := compare(x.At, y.At); c != 0 {
					return c
				}
				return cmp.Compare(x.At, y.At)
			})
		}
		from = to
	}
	return list
}

// mergePairs merges each two runs that follow one another: 16 shards need four calls.
func (m *Merger) mergePairs() {
	list := slices.Grow(m.spare[:0], len(m.places))[:len(m.places)]
	runs := m.runs[:0]
	for i := 0; i < len(m.runs); i += 2 {
		from, mid, to := m.runs[i], len(list), len(list)
		if i+1 < len(m.runs) {
			mid = m.runs[i+1]
		}
		if i+2 < len(m.runs) {
			to = m.runs[i+2]
		}
		merge(list[from:to], m.places[from:mid], m.places[mid:to])
		runs = append(runs, from)
	}
	m.places, m.spare, m.runs = list, m.places, runs
}

// merge merges two runs, in 12 instructions a place. Of equal ranks the first run's come first.
func merge(to, a, b []Place) {
	for i := range to {
		if len(b) == 0 || len(a) > 0 && a[0].Rank <= b[0].Rank {
			to[i], a = a[0], a[1:]
		} else {
			to[i], b = b[0], b[1:]
		}
	}
}
