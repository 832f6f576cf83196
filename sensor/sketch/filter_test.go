package sketch

import "testing"

// TestFilter: a filter never misses a hash that was added, and spares most searches for others.
func TestFilter(t *testing.T) {
	var f Filter
	for h := range uint32(16) {
		f.Add(h * 0x9e3779b1)
	}
	spared := 0
	for h := range uint32(1000) {
		if in := f.May(h * 0x9e3779b1); h < 16 && !in {
			t.Errorf("hash %d is missing", h)
		} else if !in {
			spared++
		}
	}
	if spared < 600 {
		t.Errorf("%d of 984 searches are spared", spared)
	}
}
