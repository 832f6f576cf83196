package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestRefusalsOnTheWay: three refused sessions of five are a beginning. With accepted sessions
// after them they must not make a bot of a server for three days.
func TestRefusalsOnTheWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     *scene
		has   bool
		class verdict.Class
	}{
		{"three of five", newScene().helo("mail.example.org").tries(12, 25, 20, true).sessions(2, false).sessions(3, true), true, verdict.Spambot},
		{"and then 20 taken", newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(12, 25, 20, true).sessions(2, false).sessions(3, true).sessions(20, false), false, verdict.UndeclaredServer},
		{"a decision stands", newScene().helo("mail.example.org").tries(12, 25, 20, true).sessions(6, true).sessions(20, false), true, verdict.Spambot},
	} {
		v := c.s.p.Judge(&c.s.n, c.s.now)
		if c.s.p.has(Refusals) != c.has || v.Class != c.class {
			t.Errorf("%s: refusals %v, %s", c.name, !c.has, v.Class)
		}
	}
}
