package detect

import (
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
