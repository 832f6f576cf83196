package detect

import (
	"testing"

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
	if s.p.has(Failures) || s.p.contacts.worked != 20 {
		t.Errorf("%d failed, %d worked", s.p.contacts.failed, s.p.contacts.worked)
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
		s.see(Observation{Kind: KindSYNACK, Addr: mix(s.dest - i), Port: 25})
	}
	if s.p.has(Failures) || s.p.contacts.failed != 0 || s.p.contacts.worked != 7 {
		t.Errorf("%d failed, %d worked, still a reason: %v",
			s.p.contacts.failed, s.p.contacts.worked, s.p.has(Failures))
	}
}
