package detect

import (
	"testing"
)

func TestSilent(t *testing.T) {
	var n Counters
	for i := range 20 {
		n.Observe(&Observation{Kind: KindSYN, Time: begin + int64(i)*second, Addr: uint32(i + 1), Net: 1, Port: 25})
	}
	n.Sessions, n.Refused = 3, 2
	if silent := n.Silent(begin + 19*second); silent != 15-6 {
		t.Errorf("%d silent while six still wait, want 9", silent)
	}
	if silent := n.Silent(begin + hour); silent != 15 {
		t.Errorf("%d silent in the end, want 15", silent)
	}
}
