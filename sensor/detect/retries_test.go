package detect

import (
	"testing"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

func TestRetries(t *testing.T) {
	retries := func(deferrals int, after float64) *scene {
		s := newScene()
		for range deferrals {
			s.tries(1, 25, 0, true)
			s.see(Observation{Kind: KindDeferred, Addr: mix(s.dest)})
			s.wait(after).tries(1, 25, 1, false)
		}
		return s
	}
	check(t, Retries,
		row{"after half an hour", retries(3, 1800), true},
		row{"two deferrals", retries(2, 1800), false},
		row{"at once", retries(10, 10), false})
}

// rejected is n attempts at new servers, one every interval, which a firewall rejects. Each is made
// again so often, one interval after the other.
func rejected(n, again int, interval float64) *scene {
	s := newScene()
	l := &lookups.Log{}
	for i := range n {
		l.Asked(lookups.MX, uint32(i), "", uint32(i+1), s.now)
		s.see(Observation{Kind: KindLookups, Lookups: l})
		s.tries(1, 25, 0, true)
		for j := range again + 1 {
			if j > 0 {
				s.wait(interval).tries(1, 25, 0, false)
			}
			net := mix(s.dest + 1<<20)
			s.p.ConfirmNetwork(net)
			s.see(Observation{Kind: KindRefused, Addr: mix(s.dest), Net: net, Port: 25})
			s.judge()
		}
	}
	return s
}

// TestRejectedQueue: a mail server that looks up its destinations, and whose connections a provider
// has begun to reject, comes back to each of them; a bot goes on to the next one.
func TestRejectedQueue(t *testing.T) {
	for _, c := range []struct {
		name  string
		again int
		pause float64
		want  verdict.Level
	}{
		{"a bot", 0, 0, verdict.Likely},
		{"a bot that tries twice at once", 1, 1, verdict.Likely},
		{"a queue", 3, 600, verdict.NoLevel},
	} {
		s := rejected(12, c.again, c.pause)
		if v := s.p.Judge(&s.n, s.now); v.Level != c.want {
			t.Errorf("%s: %s (score %.1f)", c.name, v.Level, v.Score)
		}
	}
}

// TestSilentQueue: behind a firewall that drops everything a queue comes back to its providers, by
// any of their servers; a bot goes on, or does not wait.
func TestSilentQueue(t *testing.T) {
	dropped := func(providers, rounds int, servers uint32, pause float64) *scene {
		s := newScene()
		for round := range rounds {
			for i := range providers {
				s.dest = uint32(i)
				for server := range servers {
					o := Observation{Kind: KindSYN, Net: mix(s.dest), Port: 25, External: true,
						Addr: mix(1000*server + uint32(1000*1000*round) + s.dest)}
					s.see(o)
					for range 2 { // 1 s and 2 s later
						o.Kind, o.After = KindRetransmit, second
						s.see(o)
					}
					s.judge()
				}
			}
			s.wait(pause)
		}
		return s
	}
	check(t, Retries,
		row{"a queue", dropped(5, 4, 1, 1800), true},
		row{"a queue that tries three servers of each provider", dropped(5, 4, 3, 1800), true},
		row{"a bot that goes on", dropped(60, 1, 1, 1800), false},
		row{"a bot that does not wait", dropped(5, 40, 1, 20), false})
}
