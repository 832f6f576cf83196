package detect

import (
	"testing"

	"spamsensor/sensor/behaviour"
	"spamsensor/sensor/verdict"
)

// TestUplinkOutage: a server that has delivered three mails before the uplink goes down is no bot.
// A source that no server ever answered may be one.
func TestUplinkOutage(t *testing.T) {
	for _, c := range []struct {
		delivered int
		want      verdict.Level
	}{{0, verdict.Likely}, {3, verdict.Suspect}} {
		s := newScene()
		for range c.delivered {
			s.tries(1, 25, 0, true)
			s.see(Observation{Kind: KindSYNACK, Addr: mix(s.dest), Port: 25})
			s.helo("mail.example.org").wait(600)
		}
		if s.again(20, 300); s.won != c.want {
			v := s.p.Judge(&s.n, s.now)
			t.Errorf("%d delivered: %s (score %.1f), want %s", c.delivered, s.won, v.Score, c.want)
		}
	}
}

// TestListedServer: refusals that name a blocklist do not make a bot of a host to which others
// bring mail, whichever of the two comes first; other refusals do.
func TestListedServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		served int // before the refusals, 1 and behind them, 2
		listed bool
		level  verdict.Level
		atLast verdict.Class
	}{
		{"nobody brings it mail", 0, true, verdict.Likely, verdict.Spambot},
		{"a server", 1, true, verdict.Suspect, verdict.UndeclaredServer},
		{"it shows late", 2, true, verdict.Likely, verdict.UndeclaredServer},
		{"a server that sends spam", 1, false, verdict.Likely, verdict.Spambot},
	} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(40, 25, 20, true).sessions(10, false)
		serve := func() {
			s.see(Observation{Kind: KindServed, Hash: 1})
			s.see(Observation{Kind: KindServed, Hash: 2})
			s.judge()
		}
		if c.served == 1 {
			serve()
		}
		s.listed()
		for i := range uint32(20) {
			s.see(Observation{Kind: KindDecided, Refused: true, Listed: c.listed, Net: mix(i)})
			s.judge()
		}
		if c.served == 2 {
			serve()
		}
		if last := s.p.Judge(&s.n, s.now); s.won < c.level || s.won > c.level && c.level < verdict.Likely || last.Class != c.atLast {
			t.Errorf("%s: %s, at last %s (score %.1f), want %s and %s", c.name, s.won, last.Class, last.Score, c.level, c.atLast)
		}
	}
}

// TestForwarder: a server that forwards mail is refused for some of it; only a decision of the test
// makes a bot of it.
func TestForwarder(t *testing.T) {
	for refused, want := range map[int]verdict.Class{3: verdict.UndeclaredServer, 8: verdict.Spambot} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(12, 25, 20, true)
		s.see(Observation{Kind: KindServed, Hash: 1})
		s.see(Observation{Kind: KindServed, Hash: 2})
		s.sessions(2, false).sessions(refused, true)
		if v := s.p.Judge(&s.n, s.now); v.Class != want {
			t.Errorf("%d refused: %s, want %s", refused, v.Class, want)
		}
	}
}

// TestServerNamesInTLS: a server with one name names in TLS the servers that it looked up. If
// it does not reach all of them, that is not known before it has given its name for a while.
func TestServerNamesInTLS(t *testing.T) {
	for n, want := range map[int]verdict.Level{4: verdict.Likely, 20: verdict.Suspect} {
		s := newScene()
		for range n {
			s.tries(1, 25, 1, true).helo("mail.example.org")
		}
		s.again(2, 20).tries(8, 25, 20, true)
		for i := range 12 {
			s.see(Observation{Kind: KindTLSName, Hash: uint32(i + 1)})
			s.judge()
		}
		if v := s.p.Judge(&s.n, s.now); v.Level != want {
			t.Errorf("%d sessions: %s (score %.1f), want %s", n, v.Level, v.Score, want)
		}
	}
}

// ways has the SYNs of a scene come from machines behind it, by their TTL in turn.
func (s *scene) ways(ttl ...uint8) *scene {
	for i, t := range ttl {
		s.p.behaviour.TTL[i] = behaviour.TTLCount{uint32(t), 1000}
	}
	return s
}

// TestMitigations: each case has a name of its own and weakens reasons that add to the score.
func TestMitigations(t *testing.T) {
	names := map[string]bool{}
	for _, m := range append(beforeSum[:], othersQueries, lateAnswers, acceptedMail, listedServer) {
		if m.name == "" || names[m.name] || m.when == nil || m.weakens == 0 {
			t.Errorf("%q weakens %v", m.name, m.weakens)
		}
		names[m.name] = true
		for set := m.weakens; set != 0; set = set.rest() {
			if code := set.first(); code.Family() == Mitigating {
				t.Errorf("%s weakens %s, which speaks for the source", m.name, code)
			}
		}
	}
}
