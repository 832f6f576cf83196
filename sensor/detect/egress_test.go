package detect

import (
	"testing"
)

// TestEgressUnseen: a firewall is known to drop connections only where an answer would be seen, or
// where a TCP goes on asking.
func TestEgressUnseen(t *testing.T) {
	answered := newScene().tries(1, 587, 0, true)
	answered.see(Observation{Kind: KindSYNACK, Addr: mix(answered.dest), Port: 587})
	for name, c := range map[string]struct {
		s    *scene
		want Egress
	}{
		"SYNs alone":               {newScene().tries(40, 25, 1, true), unknownEgress},
		"SYNs that are repeated":   {newScene().again(40, 10), dropEgress},
		"answers on another port":  {answered.tries(40, 25, 1, true), dropEgress},
		"a few that are repeated":  {newScene().again(4, 10).tries(40, 25, 1, true), unknownEgress},
		"few attempts, no verdict": {newScene().again(8, 10), unknownEgress},
	} {
		if got := c.s.p.Egress(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
