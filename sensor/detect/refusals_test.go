package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestRefusalsOnTheWay: three refused sessions of five are a beginning. With accepted sessions
// after them they must not make a bot of a server for three days.
func TestRefusalsOnTheWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     *scene
		has   bool
		class verdict.Class
	}{
		{"three of five", newScene().helo("mail.example.org").tries(12, 25, 20, true).sessions(2, false).sessions(3, true), true, verdict.Spambot},
		{"and then 20 taken", newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(12, 25, 20, true).sessions(2, false).sessions(3, true).sessions(20, false), false, verdict.UndeclaredServer},
		{"a decision stands", newScene().helo("mail.example.org").tries(12, 25, 20, true).sessions(6, true).sessions(20, false), true, verdict.Spambot},
	} {
		v := c.s.p.Judge(&c.s.n, c.s.now)
		if c.s.p.has(Refusals) != c.has || v.Class != c.class {
			t.Errorf("%s: refusals %v, %s", c.name, !c.has, v.Class)
		}
	}
}

// TestOneServerRepeats: a server that refuses a client says it once, however often the client comes
// back. Another sender, another message and another server say something new.
func TestOneServerRepeats(t *testing.T) {
	refused := Observation{Refused: true}
	content := Observation{Refused: true, About: AboutContent}
	unknown := Observation{Refused: true, About: AboutRecipient}
	later := Observation{Refused: true, Later: true}
	for _, c := range []struct {
		name string
		s    *scene
		want bool // whether the test decides
	}{
		{"a server that dislikes the address", newScene().decided(1000, refused), false},
		{"a deferral and its retries", newScene().decided(1000, later), false},
		{"five messages", newScene().decided(5, content), false},
		{"six messages", newScene().decided(6, content), true},
		{"six servers", newScene().sessions(6, true), true},
		{"six senders", newScene().decided(6, Observation{Refused: true, NewFrom: true}), true},
		{"recipients that do not exist, all", newScene().decided(20, unknown), true},
		{"three recipients in ten", newScene().thirds(300, unknown), false},
	} {
		if got := c.s.p.refusalsDecided(); got != c.want {
			t.Errorf("%s: decided %v (%.1f)", c.name, got, c.s.p.refusalTest.LLR)
		}
	}
}

// thirds is ten times n mails to one server, of which three in ten are decided as o.
func (s *scene) thirds(n int, o Observation) *scene {
	for range n {
		s.decided(2, Observation{}).decided(1, o).decided(2, Observation{}).decided(1, o).decided(3, Observation{}).decided(1, o)
	}
	return s
}

// TestRefusalsForgotten: a provider that goes on refusing is one fact on the next day, too, and a
// new one after a month without mail to it.
func TestRefusalsForgotten(t *testing.T) {
	for days, want := range map[float64]bool{1: false, 29: false, 31: true} {
		s := newScene()
		for range 6 {
			s.decided(3, Observation{Refused: true}).wait(days * 86400)
		}
		if s.p.refusalsDecided() != want {
			t.Errorf("every %.0f days: %.1f", days, s.p.refusalTest.LLR)
		}
	}
}

// TestRevoked: a transaction that counted as refused, and whose message was accepted for other
// recipients, counts as accepted.
func TestRevoked(t *testing.T) {
	s := newScene()
	for range 100 {
		s.sessions(1, true).decided(1, Observation{Revoked: true})
	}
	if r := s.p.refusalTest; s.p.refusalsDecided() || r.Refused != 0 || r.Sessions != 100 || r.Total != 100 || r.Accepted != 100 {
		t.Errorf("%+v", r)
	}
}

// TestOneListRepeats: servers that ask one blocklist say one thing of a source with one full name.
func TestOneListRepeats(t *testing.T) {
	for _, c := range []struct {
		name string
		helo string
		list func(i uint32) uint32
		want bool
	}{
		{"one list", "mail.example.org", func(uint32) uint32 { return 7 }, false},
		{"a list each", "mail.example.org", func(i uint32) uint32 { return i + 7 }, true},
		{"no list", "mail.example.org", func(uint32) uint32 { return 0 }, true},
		{"no full name", "localhost", func(uint32) uint32 { return 7 }, true},
	} {
		s := newScene().helo(c.helo)
		s.sees(12, 1, func(i uint32) Observation {
			return Observation{Kind: KindDecided, Refused: true, Listed: true, Net: mix(i),
				Hash: c.list(i)}
		})
		if got := s.p.refusalsDecided(); got != c.want {
			t.Errorf("%s: decided %v (%.1f)", c.name, got, s.p.refusalTest.LLR)
		}
	}
}
