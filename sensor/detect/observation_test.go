package detect

import "testing"

// TestObservers: the list of each kind has the detectors that see it, in the order of the table.
func TestObservers(t *testing.T) {
	for kind, list := range observers {
		n := 0
		for i := range detectors {
			if detectors[i].sees.has(Kind(kind)) {
				n++
			}
		}
		if len(list) != n {
			t.Errorf("kind %d: %d observers, want %d", kind, len(list), n)
		}
	}
	if n := len(observers[KindSYN]); n < 5 {
		t.Errorf("%d detectors see a SYN", n)
	}
}

// BenchmarkObserve is the cost of an observation that eight detectors look at, of one that one
// looks at, and of one that none does.
func BenchmarkObserve(b *testing.B) {
	for _, kind := range []struct {
		name string
		Kind
	}{{"SYN", KindSYN}, {"SYNACK", KindSYNACK}, {"Attested", KindAttested}} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			s := newScene().tries(40, 25, 1, true)
			o := Observation{Kind: kind.Kind, Addr: mix(1), Net: mix(1 + 1<<20), Port: 25,
				External: true}
			for b.Loop() {
				s.now += second
				o.Time = s.now
				s.p.Observe(&s.cfg, &s.n, o)
			}
		})
	}
}
