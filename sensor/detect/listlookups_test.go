package detect

import (
	"testing"

	"spamsensor/sensor/lookups"
)

func TestListLookups(t *testing.T) {
	asks := func(resolver bool) *scene {
		s, l := newScene(), &lookups.Log{}
		l.Asked(lookups.List, 0, "2.0.0.127.zen.example", 1, s.now)
		if resolver {
			l.Resolver = true
		}
		s.see(Observation{Kind: KindLookups, Lookups: l})
		return s
	}
	check(t, ListLookups,
		row{"a workstation", asks(false), true},
		row{"a resolver", asks(true), false})
}
