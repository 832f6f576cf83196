package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestFirstMails: the verdicts after the first few mails of a source with as many networks.
func TestFirstMails(t *testing.T) {
	begun := func() *scene {
		return newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(6, 25, 1, true)
	}
	for _, c := range []struct {
		name string
		s    *scene
		want verdict.Level
	}{
		{"a server with one domain, two recipients of six unknown", begun().from(1, true).from(1, true).from(1, false).from(1, false).from(1, false).from(1, false), verdict.Suspect},
		{"a server with many domains, all taken", begun().from(1, false).from(2, false).from(3, false).from(4, false).from(5, false).from(6, false), verdict.Suspect},
		{"a server with many domains, one refused", begun().from(1, false).from(2, false).from(3, true).from(4, false).from(5, false).from(6, false), verdict.Suspect},
		{"a bot with a proper name, two of five refused", begun().from(1, false).from(2, true).from(3, false).from(4, true).from(5, false), verdict.Likely},
		{"a server with many domains that speaks oddly, one refused", begun().odd(OldHello|NoGoodbye).from(1, false).from(2, false).from(3, true).from(4, false).from(5, false), verdict.Likely},
		{"two senders in turn", begun().from(1, false).from(2, true).from(1, false).from(2, true).from(1, false), verdict.Suspect},
	} {
		if c.s.won != c.want {
			v := c.s.p.Judge(&c.s.n, c.s.now)
			t.Errorf("%s: %s (score %.1f), want %s", c.name, c.s.won, v.Score, c.want)
		}
	}
}
