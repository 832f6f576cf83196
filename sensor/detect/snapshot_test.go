package detect

import (
	"testing"

	"spamsensor/sensor/providers"
)

// TestSnapshotIsApart: what a profile sees later does not change its snapshot.
func TestSnapshotIsApart(t *testing.T) {
	s := newScene().tries(3, 25, 1, true)
	s.see(Observation{Kind: KindNamed, Net: mix(1 + 1<<20), Hash: 7, Origin: providers.Resolved})
	snap := s.p.Snapshot(&s.n)
	s.see(Observation{Kind: KindNamed, Net: mix(1 + 1<<20), Hash: 9, Origin: providers.Greeted})
	s.see(Observation{Kind: KindNamed, Net: mix(2 + 1<<20), Hash: 8, Origin: providers.Resolved})
	l := &snap.profile.providers
	if l.Origin(mix(1+1<<20)) != providers.Resolved || l.IsNamed(mix(2+1<<20)) {
		t.Error("the snapshot follows the profile")
	}
	if !s.p.KnowsServer(mix(1+1<<20), providers.Greeted) {
		t.Error("the profile does not know the greeting")
	}
}
