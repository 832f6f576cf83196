package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// dense is n attempts at the addresses of networks, each of them with so many.
func (s *scene) dense(n, each int, o Observation) *scene {
	o.Kind, o.Port = KindSYN, 25
	for i := range uint32(n) {
		o.Addr, o.Net, o.Time = mix(i+1), mix(i/uint32(each)+1<<24), s.now
		s.see(o)
		s.judge()
		s.wait(0.1)
	}
	return s
}

// TestSweep: many addresses of few networks make a scanner, whoever owns them; as many addresses of
// many networks do not, and nor do servers that answer or mail that is sent.
func TestSweep(t *testing.T) {
	outside := Observation{External: true}
	answered := func(n int) *scene {
		s := newScene()
		for i := range uint32(n) {
			s.see(Observation{Kind: KindSYN, Port: 25, Addr: mix(i + 1), Net: 1})
			s.see(Observation{Kind: KindSYNACK, Port: 25, Addr: mix(i + 1)})
		}
		return s
	}
	mails := newScene()
	mails.see(Observation{Kind: KindSessionEnd, Mail: true})
	for _, c := range []struct {
		name  string
		s     *scene
		level verdict.Level
		class verdict.Class
	}{
		{"254 addresses of ours", newScene().dense(254, 254, Observation{}), verdict.Suspect, verdict.Scanner},
		{"19 of them", newScene().dense(19, 254, Observation{}), verdict.NoLevel, verdict.Scanner},
		{"300 addresses outside", newScene().dense(300, 254, outside), verdict.Suspect, verdict.Scanner},
		{"16 of each network", newScene().dense(320, 16, outside), verdict.Suspect, verdict.Scanner},
		{"eight of each network", newScene().dense(320, 8, outside), verdict.Suspect, verdict.Spambot},
		{"300 networks", newScene().tries(300, 25, 0.1, true), verdict.Suspect, verdict.Spambot},
		{"60 servers of ours that answer", answered(60), verdict.NoLevel, verdict.Scanner},
		{"after mail", mails.dense(254, 254, Observation{}), verdict.NoLevel, verdict.Spambot},
	} {
		if v := c.s.p.Judge(&c.s.n, c.s.now); v.Level != c.level || v.Class != c.class {
			t.Errorf("%s: %s %s (score %.1f), want %s %s", c.name, v.Class, v.Level, v.Score, c.class, c.level)
		}
	}
}

// TestLikelyIsNoScanner: a source that is likely is no scanner because nobody answers it any more.
func TestLikelyIsNoScanner(t *testing.T) {
	for found, want := range map[bool]verdict.Class{false: verdict.Scanner, true: verdict.Spambot} {
		s := newScene()
		if found {
			s.helo("10.0.0.36").tries(12, 25, 1, true).sessions(6, true)
		} else {
			s.tries(12, 25, 1, true)
		}
		for range 40 {
			s.see(Observation{Kind: KindHalfOpen})
		}
		if v := s.p.Judge(&s.n, s.now); v.Class != want {
			t.Errorf("found before %v: %s %s", found, v.Class, v.Level)
		}
	}
}
