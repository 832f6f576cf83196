package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// hands is mail of strangers to a server of ours, for n domains, with a name.
func (s *scene) hands(n int, certain bool, name string) *scene {
	s.see(Observation{Kind: KindEstablished, Addr: 1, Net: 1, Port: 25})
	s.see(Observation{Kind: KindBothSides, Net: 1})
	s.see(Observation{Kind: KindAttested})
	for i := range uint32(n) {
		s.see(Observation{Kind: KindHelo, Text: []byte(name), Hash: 1, Port: 25, External: true, Own: true})
		s.see(Observation{Kind: KindSender, Hash: mix(i), External: true, Own: true})
		s.see(Observation{Kind: KindRecipient, Hash: mix(i + 1<<10), External: true, Own: true})
		s.see(Observation{Kind: KindDecided, External: true, Own: true})
	}
	s.see(Observation{Kind: KindHanded, Text: []byte("10.0.0.25"), Reach: n, Certain: certain})
	s.wait(2 * 3600)
	return s
}

// TestForeignMail: with configured domains the mail alone convicts, else a name that is none of a
// server is needed as well. To be accepted by the own server is no welcome, and hours later the
// verdict is the same.
func TestForeignMail(t *testing.T) {
	for _, c := range []struct {
		n       int
		certain bool
		name    string
		want    verdict.Level
	}{
		{24, true, "pc7.firm.example", verdict.Suspect},
		{25, true, "pc7.firm.example", verdict.Likely},
		{32, false, "pc7.firm.example", verdict.Suspect},
		{20, false, "srv.firm.local", verdict.Likely},
		{20, false, "localhost", verdict.Likely},
	} {
		s := newScene().hands(c.n, c.certain, c.name)
		if got := s.level(); got != c.want || s.p.Through() != "10.0.0.25" || s.p.has(OneName) || s.p.has(Welcome) {
			v := s.p.Verdict()
			t.Errorf("%d domains, certain %v, %s: %s (%.1f), want %s", c.n, c.certain, c.name, got, v.Score, c.want)
		}
	}
}

// TestPassesOn: a server that sends what others bring is no spambot, whatever the mail; one that
// sends much more than they bring is.
func TestPassesOn(t *testing.T) {
	for _, c := range []struct {
		taken int
		want  verdict.Class
	}{{10, verdict.UndeclaredServer}, {9, verdict.Spambot}} {
		s := newScene().names(30, "mail.firm.example").spam(30).
			sees(c.taken, 1, func(uint32) Observation { return Observation{Kind: KindTaken} })
		if v := s.p.Judge(&s.n, s.now); v.Class != c.want {
			t.Errorf("%d messages for 30 sessions: %s, want %s", c.taken, v.Class, c.want)
		}
	}
}
