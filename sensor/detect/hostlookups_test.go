package detect

import (
	"strings"
	"testing"

	"spamsensor/sensor/lookups"
)

func TestHostLookups(t *testing.T) {
	asks := func(n int, interval float64) *scene {
		s, l := newScene(), &lookups.Log{}
		for i := range uint32(n) {
			l.Asked(lookups.Host, mix(i), "mail.example.org", i+1, s.now)
			s.see(Observation{Kind: KindLookups, Lookups: l})
			s.wait(interval)
		}
		return s
	}
	check(t, HostLookups,
		row{"six domains in a burst", asks(6, 1), true},
		row{"ten in ten minutes", asks(10, 50), true},
		row{"nine in ten minutes", asks(9, 50), false},
		row{"fifty in a day", asks(50, 1800), false})
}

// TestOneExample: two reasons about lookups do not tell the same example.
func TestOneExample(t *testing.T) {
	s := newScene()
	s.p.lookups = &lookups.Log{Linked: "mx.example.org", LinkedAfter: second}
	s.p.raise(HostLookups, s.now, 8, 8, 3)
	if text := s.p.Text(HostLookups, &s.n); !strings.Contains(text, "mx.example.org") {
		t.Errorf("no example: %s", text)
	}
	s.p.raise(MXLookups, s.now, 8, 8, 3)
	if a, b := s.p.Text(HostLookups, &s.n), s.p.Text(MXLookups, &s.n); strings.Contains(a, "mx.example.org") || !strings.Contains(b, "mx.example.org") {
		t.Errorf("%s %s", a, b)
	}
}
