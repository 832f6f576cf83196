package detect

import (
	"strings"
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

// TestBlocklistNames: a link names the operator of a list and no list of its own, whichever comes
// first, and the sentence counts servers, not refusals.
func TestBlocklistNames(t *testing.T) {
	for _, c := range []struct{ lists, want string }{
		{"zen.spamhaus.org", "A receiving server refused it and named the blocklist zen.spamhaus.org: \""},
		{"zen.spamhaus.org spamhaus.org", "2 receiving servers refused it and named the blocklist zen.spamhaus.org: \""},
		{"spamhaus.org zen.spamhaus.org spamhaus.org", "3 receiving servers refused it and named the blocklist zen.spamhaus.org: \""},
		{"spamhaus.org", "A receiving server refused it and named the blocklist spamhaus.org: \""},
		{"dnsbl.example.net spam.dnsbl.example.net", "2 receiving servers refused it and named the blocklists dnsbl.example.net, spam.dnsbl.example.net: \""},
	} {
		s := newScene()
		for i, name := range strings.Fields(c.lists) {
			for range 2 { // the second refusal of a server counts no further one
				s.see(Observation{Kind: KindListed, Addr: uint32(i + 1), Listing: &Listing{name, "see " + name, refusal.Blocklisted}})
			}
		}
		if got := s.p.Text(Blocklisted, &s.n); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.lists, got, c.want)
		}
	}
	s := newScene()
	for i := range 40 {
		s.see(Observation{Kind: KindListed, Addr: uint32(i), Listing: &Listing{"bl.example.net", "see bl.example.net", refusal.Blocklisted}})
	}
	if got := s.p.Text(Blocklisted, &s.n); !strings.HasPrefix(got, "At least 16 receiving servers refused it") {
		t.Errorf("40 servers: %s", got)
	}
}
