package report

import (
	"testing"

	"spamsensor/sensor/lang"
)

// TestServerState checks the verdict about a mail server: what is wrong comes first, and what cannot be said is not called usual.
func TestServerState(t *testing.T) {
	usual := 20.0
	good := Server{Sent: 500, Counted: 500, Sessions: 400, Failed: 3, Usual: &usual, Relay: Relay{Denied: 2, Known: true}}
	for _, c := range []struct {
		want   string
		change func(*Server)
	}{
		{"it sends as usual; it does not relay for strangers.", func(*Server) {}},
		{"it sends as usual; no stranger tried to have it relay.", func(s *Server) { s.Relay.Denied = 0 }},
		{"it sends as usual; whether it relays for strangers is not tested.", func(s *Server) { s.Relay = Relay{} }},
		{"there is a finding about it; it relays for strangers.", func(s *Server) { s.Finding, s.Relay.Relayed = "x", 1 }},
		{"it sends bounces to forged senders; it does not relay for strangers.", func(s *Server) { s.Backscatter = true }},
		{"most of its deliveries failed for a time; it does not relay for strangers.", func(s *Server) { s.Outage = &Outage{} }},
		{"its mail waits because of a blocklist; it does not relay for strangers.", func(s *Server) { s.Queue.Listed = 1 }},
		{"much of its mail was refused or deferred; it does not relay for strangers.", func(s *Server) { s.Deferred = 60 }},
		{"it did not always send as usual; it does not relay for strangers.", func(s *Server) { s.Hours = []ServerHour{{Known: true, Z: -4}} }},
		{"whether it sends as usual is not known yet; it does not relay for strangers.", func(s *Server) { s.Usual = nil }},
		{"no finding is about it, but 390 of its 400 sessions are encrypted: look in its log; it does not relay for strangers.", func(s *Server) { s.Encrypted = 390 }},
		{"it sent nothing; it does not relay for strangers.", func(s *Server) { *s = Server{Relay: s.Relay} }},
	} {
		s := good
		c.change(&s)
		for _, tag := range []string{lang.English, lang.French} {
			got := NewWords(lang.New(tag), false, nil).ServerState(&s)
			if tag == lang.English && got != c.want || tag == lang.French && got == c.want {
				t.Errorf("%s: %q, want %q", tag, got, c.want)
			}
		}
	}
	few := Server{Counted: 5, Sessions: 5, Failed: 2, Usual: &usual}
	if got := NewWords(nil, false, nil).ServerState(&few); got != "it sends as usual; whether it relays for strangers is not tested." {
		t.Errorf("two refusals: %q", got)
	}
}
