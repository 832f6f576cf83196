package detect

import (
	"fmt"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
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

// TestNamesOfAList: a mailing list that begins to send names many servers at once, and reaches
// them. A bot with one full name does not reach all of its.
func TestNamesOfAList(t *testing.T) {
	for dead, many := range map[int]bool{0: false, 1: false, 4: true} { // of 16
		s := newScene()
		for i := range 16 {
			if i >= 8 && i < 8+dead {
				s.again(1, 2)
				continue
			}
			s.opens(1, 0.5, true)
			s.helo("mail.example.org").see(Observation{Kind: KindTLSName, Hash: uint32(i + 1)})
			s.judge()
		}
		if s.p.has(TLSNames) != many || (s.won >= verdict.Likely) != many {
			t.Errorf("%d of 16 dead: names %v, %s", dead, !many, s.won)
		}
	}
}
