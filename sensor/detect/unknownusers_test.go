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

// TestForgedSenders checks a relay that accepts every mail of a source: with another sender domain
// for each and some unknown recipients it is a bot, on one connection, too. Who forwards mail takes
// it in, and meets the same domains again.
func TestForgedSenders(t *testing.T) {
	source := func(mails, domains, unknownOf10 int, serves bool) *scene {
		s := newScene()
		if serves {
			for i := range 3 {
				s.see(Observation{Kind: KindServed, Hash: uint32(i + 1)})
			}
		}
		s.see(Observation{Kind: KindEstablished, Addr: 1, Net: 1, Port: 25})
		s.see(Observation{Kind: KindAttested})
		for i := range mails {
			s.see(Observation{Kind: KindSender, Hash: mix(uint32(i % domains)), External: true})
			for r := range 2 {
				s.see(Observation{Kind: KindRecipientReply, Unknown: (2*i+r)%10 < unknownOf10})
			}
			s.see(Observation{Kind: KindDecided, Net: 1})
			s.judge()
			s.wait(1)
		}
		return s
	}
	for _, c := range []struct {
		name string
		s    *scene
		want verdict.Level
	}{
		{"a bot", source(60, 60, 1, false), verdict.Likely},
		{"all recipients exist", source(60, 60, 0, false), verdict.NoLevel},
		{"customers of a web server", source(60, 20, 1, false), verdict.NoLevel},
		{"a server that forwards", source(60, 60, 1, true), verdict.NoLevel},
	} {
		if got := c.s.p.Judge(&c.s.n, c.s.now).Level; got != c.want && !(c.want == verdict.NoLevel && got == verdict.Suspect) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
