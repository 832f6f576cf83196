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
