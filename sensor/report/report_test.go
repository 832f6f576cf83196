package report

import (
	"testing"

	"spamsensor/sensor/finding"
)

// A readable session replaces one that is not, and the first ones stay.
func TestKeep(t *testing.T) {
	var list []session
	for i := range 4 {
		list = keep(list, session{start: int64(i), tls: "implicit"})
	}
	for i := 4; i < 12; i++ {
		if settled(list) != (i >= 9) {
			t.Errorf("session %d: settled reports %v", i, settled(list))
		}
		list = keep(list, session{start: int64(i), refused: finding.RefusalText{Code: 550}})
	}
	list = keep(list, session{start: 12, tls: "implicit"})
	if len(list) != maxSessions {
		t.Fatalf("%d sessions", len(list))
	}
	for i, s := range list {
		if s.start != int64(4+i) {
			t.Errorf("place %d: session %d", i, s.start)
		}
	}
}
