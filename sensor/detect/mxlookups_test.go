package detect

import (
	"testing"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// TestLookupsOfOneName: three of eight sessions refused in the clear are no reason to count the
// lookups of a server with one name in twenty sessions, most of them in TLS.
func TestLookupsOfOneName(t *testing.T) {
	for n, want := range map[int]bool{5: true, 20: false} {
		s := newScene()
		for range n {
			s.tries(1, 25, 30, true).helo("mail.example.org")
		}
		s.sessions(2, false).sessions(1, true).sessions(2, false).sessions(1, true).sessions(1, false).sessions(1, true)
		l := &lookups.Log{}
		for i := range 5 {
			l.Asked(lookups.MX, uint32(i), "", uint32(i+1), s.now)
		}
		s.see(Observation{Kind: KindLookups, Lookups: l})
		s.p.Judge(&s.n, s.now)
		if s.p.has(MXLookups) != want {
			t.Errorf("%d sessions: lookups count %v, want %v", n, !want, want)
		}
	}
}

// TestAccountsAreSetUp: four domains looked up one after the other may be new accounts, five are
// not.
func TestAccountsAreSetUp(t *testing.T) {
	for n, want := range map[int]verdict.Level{4: verdict.Suspect, 5: verdict.Likely} {
		s := newScene().again(4, 20)
		l := &lookups.Log{}
		for i := range n {
			l.Asked(lookups.MX, uint32(i), "", uint32(i+1), s.now)
		}
		s.see(Observation{Kind: KindLookups, Lookups: l})
		if v := s.p.Judge(&s.n, s.now); v.Level != want {
			t.Errorf("%d domains: %s (score %.1f), want %s", n, v.Level, v.Score, want)
		}
	}
}
