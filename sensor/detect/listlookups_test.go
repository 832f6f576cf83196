package detect

import "testing"

func TestListLookups(t *testing.T) {
	asks := func(resolver bool) *scene {
		s, l := newScene(), &Lookups{}
		l.Asked(AsksList, 0, "2.0.0.127.zen.example", 1, s.now)
		if resolver {
			l.ServesOthers()
		}
		s.see(Observation{Kind: KindLookups, Lookups: l})
		return s
	}
	check(t, ListLookups,
		row{"a workstation", asks(false), true},
		row{"a resolver", asks(true), false})
}
