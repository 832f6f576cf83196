package detect

import "testing"

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
				s.p.Observe(&s.cfg, &s.n, &o)
			}
		})
	}
}
