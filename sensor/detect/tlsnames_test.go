package detect

import (
	"fmt"
	"strings"
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

// TestNamesOfADay: a person, also one who looks after the mail of customers, uses fewer providers
// in a day than a slow bot. Behind a router there may be many people.
func TestNamesOfADay(t *testing.T) {
	for _, c := range []struct {
		n     int
		every float64 // seconds
		ttl   uint8
		many  bool
	}{{15, 1800, 128, false}, {19, 1800, 128, false}, {20, 1800, 128, true}, {20, 1800, 127, false},
		{27, 1800, 127, false}, {28, 1800, 127, true}, {60, 5000, 128, false}} {
		s := newScene()
		s.p.SetHopLimit(c.ttl)
		for i := range c.n {
			s.see(Observation{Kind: KindTLSName, Hash: uint32(i + 1)})
			s.wait(c.every)
		}
		if s.p.has(TLSNames) != c.many {
			t.Errorf("%d names every %.0f s, hop limit %d: %v", c.n, c.every, c.ttl, !c.many)
		}
		if text := textTLSNames(&s.p, nil, &s.p.reasons[TLSNames]); c.many && !strings.Contains(text, fmt.Sprintf("%d domains within a day", c.n)) {
			t.Error(text)
		}
	}
}
