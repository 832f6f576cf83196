package detect

import (
	"testing"

	"spamsensor/smtpsniff/refusal"
)

// TestBlocklisted: a list of dynamic addresses has no weight, other lists have.
func TestBlocklisted(t *testing.T) {
	for why, want := range map[refusal.Reason]float64{refusal.Blocklisted: 2.3, refusal.DynamicRange: 0} {
		s := newScene()
		s.see(Observation{Kind: KindListed, Listing: &Listing{"pbl.example.org", "see pbl.example.org", why}})
		if r := &s.p.reasons[Blocklisted]; r.First == 0 || r.Weight != want || len(s.p.Blocklists()) != 1 {
			t.Errorf("%s: %+v, lists %v, want a weight of %.1f", why, *r, s.p.Blocklists(), want)
		}
	}
}
