package inorder

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMerged: places come in the order of a stable sort, whatever the lengths of the runs are.
func TestMerged(t *testing.T) {
	type note struct{ rank, tie uint64 }
	r := rand.New(rand.NewPCG(1, 2))
	var m Merger
	for n := range 300 {
		var list []note
		for range r.IntN(20) { // runs, as of shards; the last ones are not in order
			run := make([]note, r.IntN(40))
			for i := range run {
				run[i] = note{r.Uint64N(uint64(10 + n)), r.Uint64N(3)}
			}
			if n < 250 {
				slices.SortFunc(run, func(a, b note) int { return cmp.Compare(a.rank, b.rank) })
			}
			list = append(list, run...)
		}
		m.Reset()
		for _, x := range list {
			m.Add(x.rank)
		}
		var got []note
		for _, p := range m.Merged(func(a, b uint32) int {
			return cmp.Compare(list[a].tie, list[b].tie)
		}) {
			if p.Rank != list[p.At].rank {
				t.Fatalf("place %d has rank %d, its note %d", p.At, p.Rank, list[p.At].rank)
			}
			got = append(got, list[p.At])
		}
		slices.SortStableFunc(list, func(a, b note) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.tie, b.tie))
		})
		if !slices.Equal(got, list) {
			t.Fatalf("%d notes: %v, want %v", len(list), got, list)
		}
	}
}

// TestMergedKeepsOrder: notes that compare as equal keep the order of the list.
func TestMergedKeepsOrder(t *testing.T) {
	var m Merger
	m.Reset()
	for i := range 100 {
		m.Add(uint64(i % 7))
	}
	list := m.Merged(func(uint32, uint32) int { return 0 })
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		if a.Rank > b.Rank || a.Rank == b.Rank && a.At >= b.At {
			t.Fatalf("%v before %v", a, b)
		}
	}
}
