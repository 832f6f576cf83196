package peer

import (
	"fmt"
	"testing"

	"spamsensor/flowtable"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// TestRepeatedRefusals asks for each text several times, as it is and with a redacted part. Answers
// from the cache have the reason, and all of the citation.
func TestRepeatedRefusals(t *testing.T) {
	secret := flowtable.Secret{1, 2}
	cache := RefusalCache{Secret: &secret}
	type answer struct {
		text, shown string
		want        string
	}
	list := []answer{
		{"Client host [203.0.113.7] blocked using zen.spamhaus.org", "", "zen.spamhaus.org [203.0.113.7]"},
		{"Client host [203.0.113.8] blocked using zen.spamhaus.org", "", "zen.spamhaus.org [203.0.113.8]"},
		{"Client host [203.0.113.7] blocked using zen.spamhaus.org", "Client host [203.0.113.7] blocked using ...", refusal.HiddenList + " [203.0.113.7]"},
		{"User unknown", "", " []"}, {"User anna unknown", "User ... unknown", " []"}, {"", "", " []"},
		{"rejected: 203.0.113.9 has no reverse name", "", " [203.0.113.9]"},
	}
	for round := range 4 {
		for _, a := range list {
			if a.shown == "" {
				a.shown = a.text
			}
			ev := smtpsniff.Event{Code: 550, Text: []byte(a.text), Redacted: []byte(a.shown)}
			reason, cited, text := cache.Reason(nil, &ev)
			if want := refusal.Classify(550, [3]uint16{}, a.text); reason != want {
				t.Errorf("round %d, %s: %s, want %s", round, a.text, reason, want)
			}
			if got := fmt.Sprint(cited.List, " ", cited.Addrs); got != a.want {
				t.Errorf("round %d, %s: cites %s, want %s", round, a.text, got, a.want)
			}
			if cites := a.want != " []"; cites && text != a.shown || !cites && text != "" {
				t.Errorf("round %d, %s: shown as %q", round, a.text, text)
			}
			copy(ev.Text, "the memory of the text is used again")
		}
	}
}
