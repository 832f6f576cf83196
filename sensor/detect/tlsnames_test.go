package detect

import (
	"testing"
)

// TestNamesInABurst: no mail client names half a dozen providers at once. Several people may name
// as many within minutes.
func TestNamesInABurst(t *testing.T) {
	for _, c := range []struct {
		n       int
		every   float64
		many    bool
		seconds string
	}{{5, 0.1, false, ""}, {6, 0.1, true, "20 s"}, {6, 5, false, ""}, {9, 30, false, ""}, {10, 30, true, "ten minutes"}} {
		s := newScene()
		for i := range c.n {
			s.see(Observation{Kind: KindTLSName, Hash: uint32(i + 1)})
			s.wait(c.every)
		}
		if s.p.has(TLSNames) != c.many || c.many && namesSpan(&s.p.reasons[TLSNames]) != c.seconds {
			t.Errorf("%d names every %.1f s: %v %s", c.n, c.every, !c.many, namesSpan(&s.p.reasons[TLSNames]))
		}
	}
}
