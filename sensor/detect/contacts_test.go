package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// Where one direction is seen, silence says nothing: a client that goes on with its handshake was
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
	if s.p.has(Failures) || s.p.contacts.worked != 20 {
		t.Errorf("%d failed, %d worked", s.p.contacts.failed, s.p.contacts.worked)
	}
	if s.won != verdict.Suspect {
		t.Errorf("%s", s.won)
	}
}
