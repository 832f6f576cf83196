package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestUnknownRecipients: two unknown recipients of the first ten happen to one honest server in
// fifty. A source that works off a list has many more.
func TestUnknownRecipients(t *testing.T) {
	for _, c := range []struct {
		name    string
		unknown []int // of each row of ten
		want    verdict.Level
	}{
		{"two of ten", []int{2}, verdict.Suspect},
		{"two of ten, and none of ninety", []int{2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, verdict.Suspect},
		{"six of ten", []int{6}, verdict.Likely},
		{"a quarter, all the time", []int{2, 3, 2, 3, 2, 3, 2, 3, 2, 3}, verdict.Likely},
	} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(40, 25, 20, true)
		s.sessions(8, false).sessions(2, true)
		for i := range 6 {
			s.see(Observation{Kind: KindTLSName, Hash: uint32(i + 1)})
		}
		for _, n := range c.unknown {
			for i := range 10 {
				s.see(Observation{Kind: KindRecipientReply, Unknown: i >= 10-n})
				s.judge()
			}
		}
		if s.won != c.want {
			v := s.p.Judge(&s.n, s.now)
			t.Errorf("%s: %s (score %.1f, %s), want %s", c.name, s.won, v.Score, v.Class, c.want)
		}
	}
}
