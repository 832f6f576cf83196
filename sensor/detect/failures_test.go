package detect

import (
	"testing"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/verdict"
)

// TestOneDirection: where one direction is seen, a client that completes its handshake was
// answered.
func TestOneDirection(t *testing.T) {
	s := newScene()
	for range 20 {
		s.tries(1, 587, 0, true)
		s.see(Observation{Kind: KindEstablished, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: 587})
		s.wait(30)
		s.p.ExpireContacts(&s.cfg, s.now)
		s.judge()
	}
	if s.p.has(Failures) || s.p.contacts.Worked() != 20 {
		t.Errorf("%d failed, %d worked", s.p.contacts.Failed(), s.p.contacts.Worked())
	}
	if s.won != verdict.Suspect {
		t.Errorf("%s", s.won)
	}
}

// TestLateAnswers: first contacts that failed and are answered later take the reason back.
func TestLateAnswers(t *testing.T) {
	s := newScene()
	for range 7 {
		s.tries(1, 25, 0, true)
		s.see(Observation{Kind: KindRetransmit, Addr: mix(s.dest), Net: mix(s.dest + 1<<20),
			Hash: mix(s.dest + 1<<21), After: second})
	}
	if !s.p.has(Failures) {
		t.Fatal("seven first contacts without an answer are no reason")
	}
	for i := range uint32(7) {
		s.see(Observation{Kind: KindSYNACK, Addr: mix(s.dest - i), Net: mix(s.dest - i + 1<<20), Port: 25})
	}
	if s.p.has(Failures) || s.p.contacts.Failed() != 0 || s.p.contacts.Worked() != 7 {
		t.Errorf("%d failed, %d worked, still a reason: %v",
			s.p.contacts.Failed(), s.p.contacts.Worked(), s.p.has(Failures))
	}
}

// TestEgressUnseen: a firewall is known to drop connections only where an answer would be seen, or
// where a TCP goes on asking.
func TestEgressUnseen(t *testing.T) {
	answered := newScene().tries(1, 587, 0, true)
	answered.see(Observation{Kind: KindSYNACK, Addr: mix(answered.dest), Port: 587})
	for name, c := range map[string]struct {
		s    *scene
		want contacts.Egress
	}{
		"SYNs alone":               {newScene().tries(40, 25, 1, true), contacts.Unknown},
		"SYNs that are repeated":   {newScene().again(40, 10), contacts.Drop},
		"answers on another port":  {answered.tries(40, 25, 1, true), contacts.Drop},
		"a few that are repeated":  {newScene().again(4, 10).tries(40, 25, 1, true), contacts.Unknown},
		"few attempts, no verdict": {newScene().again(8, 10), contacts.Unknown},
	} {
		if got := c.s.p.Egress(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
