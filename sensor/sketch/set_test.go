package sketch

import (
	"math/rand/v2"
	"testing"
)

func TestSet(t *testing.T) {
	for _, c := range []struct {
		budget *Budget
		exact  int // up to here nothing is estimated
	}{{nil, 190}, {&Budget{Words: 512 + 1024}, 380}, {&Budget{Words: 1 << 20}, 6000}} {
		before := 0
		if c.budget != nil {
			before = c.budget.Words
		}
		var s Set
		for i := range uint32(20_000) {
			fresh := s.Add(mix(i+1), c.budget)
			n := s.Len()
			if int(i) < c.exact && (!fresh || n != int(i)+1 || s.Add(mix(i/2+1), c.budget)) {
				t.Fatalf("%d of %d are known with %+v", n, i+1, c.budget)
			}
			if d := n - int(i) - 1; i%1000 == 0 && max(d, -d)*20 > int(i)+100 {
				t.Errorf("%d of %d", n, i+1)
			}
			if len(s.table) > maxWords {
				t.Fatalf("%d words", len(s.table))
			}
		}
		if s.Add(mix(7), c.budget) {
			t.Error("a known element is new")
		}
		c.budget.release(s.table)
		if c.budget != nil && c.budget.Words != before {
			t.Errorf("of %d words %d come back", before, c.budget.Words)
		}
	}
}

func mix(i uint32) uint32 { // splitmix64
	z := uint64(i) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return uint32(z ^ z>>31)
}

// A list without holes stays one.
func TestReplaceAndRemove(t *testing.T) {
	list := make([]Slot, 4)
	for i := range uint32(4) {
		AddRecent(list, 10+i, 100+i, 60)
	}
	Replace(list, 10, 20)
	Replace(list, 20, 13) // known: one element fewer
	Remove(list, 11)
	Remove(list, 99)
	if n := CountRecent(list, 103, 60); n != 2 {
		t.Errorf("%d hashes: %v", n, list)
	}
	if n, fresh := AddRecent(list, 14, 110, 60); n != 3 || !fresh {
		t.Errorf("%d hashes, new %v: %v", n, fresh, list)
	}
	if n, fresh := AddRecent(list, 13, 111, 60); n != 3 || fresh {
		t.Errorf("%d hashes, new %v: %v", n, fresh, list)
	}
}

// TestUnion checks that the union of two sets has the elements of both, also of one that only
// estimates.
func TestUnion(t *testing.T) {
	of := func(from, to uint32) *Set {
		s := &Set{}
		for h := from; h < to; h++ {
			r := rand.New(rand.NewPCG(uint64(h), 1))
			s.Add(r.Uint32(), nil)
		}
		return s
	}
	for _, c := range []struct {
		a, b *Set
		want int
	}{
		{of(1, 11), of(6, 21), 20}, {of(1, 11), of(1, 10_001), 10_000}, {of(1, 10_001), of(1, 11), 10_000},
		{of(1, 5001), of(5001, 10_001), 10_000}, {&Set{}, of(1, 10_001), 10_000}, {of(1, 10_001), &Set{}, 10_000},
	} {
		c.a.Union(c.b, nil)
		if n := c.a.Len(); n*20 < c.want*19 || n*20 > c.want*21 {
			t.Errorf("%d, want %d", n, c.want)
		}
	}
}
