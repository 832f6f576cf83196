package detect

import "testing"

func TestHeloNames(t *testing.T) {
	check(t, HeloNames,
		row{"three names", newScene().helo("a.example").helo("b.example").helo("c.example"), true},
		row{"two names in turn", newScene().helo("a.example").helo("b.example").helo("a.example"), false},
		row{"three names in three days", newScene().helo("a.example").wait(90_000).
			helo("b.example").wait(90_000).helo("c.example"), false})
}

// TestHeloNamesAtRelay checks the names that a source gives to an allowed relay: whatever they are
// they say nothing, unless nearly each mail has another one, and another sender domain.
func TestHeloNamesAtRelay(t *testing.T) {
	relay := func(names, mails, senders int) *scene {
		s := newScene()
		for i := range mails {
			s.see(Observation{Kind: KindHelo, Time: s.now, Text: []byte("pc"), Hash: uint32(1 + i%names), External: true, Relay: true, Port: 25})
			s.see(Observation{Kind: KindSender, Time: s.now, Hash: uint32(100 + i%senders), External: true})
			s.wait(10)
		}
		return s
	}
	check(t, HeloNames,
		row{"a bot", relay(40, 40, 40), true},
		row{"an office behind a gateway", relay(12, 200, 12), false},
		row{"programs of one firm", relay(40, 40, 2), false},
		row{"six names", relay(6, 6, 6), false})
	if s := relay(40, 40, 40); s.p.has(HeloName) || s.p.reasons[HeloNames].Weight != familyCap[Identity] {
		t.Errorf("%+v", s.p.reasons)
	}
}
