package detect

import (
	"testing"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// forge is n spoofed attempts with the host's source address, each with a retransmitted SYN, and
// all with one initial sequence number.
func (s *scene) forge(n int, isn uint32) *scene {
	for range n {
		s.tries(1, 25, 0, true)
		s.see(Observation{Kind: KindRetransmit, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Hash: isn, After: second})
		s.judge()
		s.wait(0.5)
	}
	return s
}

// waits is a flood of attempts at the servers of one network, with retransmitted SYNs to n of them.
func (s *scene) waits(n int) *scene {
	s.tries(1000, 25, 0.1, true)
	for i := range n {
		s.see(Observation{Kind: KindRetransmit, Addr: mix(uint32(i)), Net: 1, Hash: uint32(i)*7919 + 1, After: second})
		s.judge()
	}
	return s
}

// TestForgedSYNs: SYNs that another machine sends with the address of a source make it suspect and
// no more, whatever sessions it has of its own.
func TestForgedSYNs(t *testing.T) {
	asked := func() *scene {
		s := newScene()
		l := &lookups.Log{}
		l.Asked(lookups.Host, 1, "smtp.example.org", 1, s.now)
		s.see(Observation{Kind: KindLookups, Lookups: l})
		return s
	}
	for name, c := range map[string]struct {
		s    *scene
		want verdict.Level
	}{
		"who did nothing":                                        {newScene().tries(10_000, 25, 0.1, true), verdict.Suspect},
		"who has three providers":                                {newScene().mine(3).tries(10_000, 25, 0.1, true), verdict.Suspect},
		"who has three providers, in a second":                   {newScene().mine(3).tries(10_000, 25, 0.0001, true), verdict.Suspect},
		"who looked up its provider":                             {asked().tries(10_000, 25, 0.1, true), verdict.Suspect},
		"who has a provider, by a program that sends SYNs again": {newScene().mine(1).forge(1000, 4711), verdict.Suspect},
		"nobody: a TCP waits for six servers of one provider":    {newScene().waits(6), verdict.Likely},
		"who waits for five of its provider's":                   {newScene().waits(5), verdict.Suspect},
		"nobody: a TCP chooses its numbers":                      {newScene().mine(1).again(20, 20), verdict.Likely},
	} {
		if c.s.won != c.want {
			v := c.s.p.Judge(&c.s.n, c.s.now)
			t.Errorf("%s: %s (score %.1f, %d networks), want %s", name, c.s.won, v.Score, len(c.s.p.guard.Networks()), c.want)
		}
	}
}
