package detect

import (
	"testing"
)

// TestHeloToProviders: names given to a provider do not count, except a bare address: no mail
// client writes it so.
func TestHeloToProviders(t *testing.T) {
	for name, want := range map[string]bool{"ANNAS-PC": false, "[192.168.1.7]": false, "localhost": false, "192.168.1.7": true} {
		for _, abroad := range []bool{false, true} {
			s := newScene()
			s.see(Observation{Kind: KindHelo, Text: []byte(name), Hash: 1, Port: 587, External: abroad})
			if s.p.has(HeloName) != (want && abroad) {
				t.Errorf("%s to a provider (%v): counts %v", name, abroad, !want)
			}
		}
	}
}
