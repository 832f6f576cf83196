package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// from is a mail in the name of a domain, in a session that is refused or not.
func (s *scene) from(domain uint32, refused bool) *scene {
	s.h.Sender(&s.cfg, mix(domain), true, s.now)
	s.h.SessionDecided(&s.cfg, refused, false, s.now)
	s.judge()
	return s.wait(2)
}

// odd is two sessions that are spoken so.
func (s *scene) odd(o Oddity) *scene {
	s.h.Dialect(o, s.now)
	s.h.Dialect(o, s.now)
	return s
}

// What is said of the first few mails of a host that has contacted as many networks.
func TestFirstMails(t *testing.T) {
	begun := func() *scene {
		return newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(6, 25, 1, true)
	}
	for _, c := range []struct {
		name string
		s    *scene
		want verdict.Level
	}{
		{"a server with one domain, two recipients of six unknown", begun().from(1, true).from(1, true).from(1, false).from(1, false).from(1, false).from(1, false), verdict.Suspect},
		{"a server with many domains, all taken", begun().from(1, false).from(2, false).from(3, false).from(4, false).from(5, false).from(6, false), verdict.Suspect},
		{"a server with many domains, one refused", begun().from(1, false).from(2, false).from(3, true).from(4, false).from(5, false).from(6, false), verdict.Suspect},
		{"a bot with a proper name, two of five refused", begun().from(1, false).from(2, true).from(3, false).from(4, true).from(5, false), verdict.Likely},
		{"a server with many domains that speaks oddly, one refused", begun().odd(OldHello|NoGoodbye).from(1, false).from(2, false).from(3, true).from(4, false).from(5, false), verdict.Likely},
		{"two senders in turn", begun().from(1, false).from(2, true).from(1, false).from(2, true).from(1, false), verdict.Suspect},
	} {
		if c.s.won != c.want {
			v := c.s.h.Judge(&c.s.f, c.s.now)
			t.Errorf("%s: %s (score %.1f), want %s", c.name, c.s.won, v.Score, c.want)
		}
	}
}

// A server that has delivered three mails when the line goes down is no bot because nobody answers;
// who never was let in may be.
func TestLineDown(t *testing.T) {
	for _, c := range []struct {
		delivered int
		want      verdict.Level
	}{{0, verdict.Likely}, {3, verdict.Suspect}} {
		s := newScene()
		for range c.delivered {
			s.tries(1, 25, 0, true)
			s.h.Answered(&s.cfg, mix(s.dest), 25, s.now)
			s.helo("mail.example.org").wait(600)
		}
		if s.again(20, 300); s.won != c.want {
			v := s.h.Judge(&s.f, s.now)
			t.Errorf("%d delivered: %s (score %.1f), want %s", c.delivered, s.won, v.Score, c.want)
		}
	}
}

// Half a dozen providers at once are no mail client; so many in the course of minutes may be its
// people's.
func TestNamesInABurst(t *testing.T) {
	for _, c := range []struct {
		n       int
		every   float64
		many    bool
		seconds string
	}{{5, 0.1, false, ""}, {6, 0.1, true, "20 s"}, {6, 5, false, ""}, {9, 30, false, ""}, {10, 30, true, "ten minutes"}} {
		s := newScene()
		for i := range c.n {
			s.h.TLSServerNamed(&s.cfg, uint32(i+1), s.now)
			s.wait(c.every)
		}
		if s.h.has(TLSNames) != c.many || c.many && namesSpan(&s.h.reasons[TLSNames]) != c.seconds {
			t.Errorf("%d names every %.1f s: %v %s", c.n, c.every, !c.many, namesSpan(&s.h.reasons[TLSNames]))
		}
	}
}

// Names given to a provider say nothing, but for a bare address: no mail client writes it so.
func TestHeloToProviders(t *testing.T) {
	for name, want := range map[string]bool{"ANNAS-PC": false, "[192.168.1.7]": false, "localhost": false, "192.168.1.7": true} {
		for _, abroad := range []bool{false, true} {
			s := newScene()
			s.h.Helo(&s.cfg, []byte(name), 1, false, abroad, s.now)
			if s.h.has(HeloName) != (want && abroad) {
				t.Errorf("%s to a provider (%v): counts %v", name, abroad, !want)
			}
		}
	}
}

// Two unknown recipients of the first ten happen to one honest server in fifty; who works off a
// list of addresses has many more.
func TestUnknownRecipients(t *testing.T) {
	for _, c := range []struct {
		name    string
		unknown []int // of each row of ten
		want    verdict.Level
	}{
		{"two of ten", []int{2}, verdict.Suspect},
		{"two of ten, and none of ninety", []int{2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, verdict.Suspect},
		{"six of ten", []int{6}, verdict.Likely},
		{"a quarter, all the time", []int{2, 3, 2, 3, 2, 3, 2, 3, 2, 3}, verdict.Likely},
	} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(40, 25, 20, true)
		s.sessions(8, false).sessions(2, true)
		for i := range 6 {
			s.h.TLSServerNamed(&s.cfg, uint32(i+1), s.now)
		}
		for _, n := range c.unknown {
			for i := range 10 {
				s.h.RecipientAnswered(&s.cfg, i >= 10-n, s.now)
				s.judge()
			}
		}
		if s.won != c.want {
			v := s.h.Judge(&s.f, s.now)
			t.Errorf("%s: %s (score %.1f, %s), want %s", c.name, s.won, v.Score, v.Class, c.want)
		}
	}
}

// Refusals that name a blocklist do not make a bot of a host to which others bring mail, whichever
// of the two is seen first; other refusals do.
func TestListedServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		served int // before the refusals, 1 and behind them, 2
		listed bool
		level  verdict.Level
		atLast verdict.Class
	}{
		{"nobody brings it mail", 0, true, verdict.Likely, verdict.Spambot},
		{"a server", 1, true, verdict.Suspect, verdict.UndeclaredServer},
		{"it shows late", 2, true, verdict.Likely, verdict.UndeclaredServer},
		{"a server that sends spam", 1, false, verdict.Likely, verdict.Spambot},
	} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(40, 25, 20, true).sessions(10, false)
		serve := func() {
			s.h.Served(1, s.now)
			s.h.Served(2, s.now)
			s.judge()
		}
		if c.served == 1 {
			serve()
		}
		s.listed()
		for range 20 {
			s.h.SessionDecided(&s.cfg, true, c.listed, s.now)
			s.judge()
		}
		if c.served == 2 {
			serve()
		}
		if last := s.h.Judge(&s.f, s.now); s.won < c.level || s.won > c.level && c.level < verdict.Likely || last.Class != c.atLast {
			t.Errorf("%s: %s, at last %s (score %.1f), want %s and %s", c.name, s.won, last.Class, last.Score, c.level, c.atLast)
		}
	}
}

// Three of five refused is a beginning, and no more when those that follow are taken; it must not
// make a bot of a server for three days.
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
		v := c.s.h.Judge(&c.s.f, c.s.now)
		if c.s.h.has(Refusals) != c.has || v.Class != c.class {
			t.Errorf("%s: refusals %v, %s", c.name, !c.has, v.Class)
		}
	}
}

// A server with one name names in TLS whom it has looked up; before it has given its name for a
// while that is not known.
func TestServerNamesInTLS(t *testing.T) {
	for n, want := range map[int]verdict.Level{4: verdict.Likely, 20: verdict.Suspect} {
		s := newScene()
		for range n {
			s.tries(1, 25, 1, true).helo("mail.example.org")
		}
		s.tries(10, 25, 20, true)
		for i := range 12 {
			s.h.TLSServerNamed(&s.cfg, uint32(i+1), s.now)
			s.judge()
		}
		if v := s.h.Judge(&s.f, s.now); v.Level != want {
			t.Errorf("%d sessions: %s (score %.1f), want %s", n, v.Level, v.Score, want)
		}
	}
}

// Three of eight refused in the clear are no reason to count its lookups against who gave one name
// in twenty sessions, most of which went over to TLS.
func TestLookupsOfOneName(t *testing.T) {
	for n, want := range map[int]bool{5: true, 20: false} {
		s := newScene()
		for range n {
			s.tries(1, 25, 30, true).helo("mail.example.org")
		}
		s.sessions(2, false).sessions(1, true).sessions(2, false).sessions(1, true).sessions(1, false).sessions(1, true)
		l := &Lookups{}
		for i := range 5 {
			l.Asked(AsksMX, uint32(i), "", uint32(i+1), s.now)
		}
		s.h.LookedUp(&s.cfg, l, s.now)
		s.h.Judge(&s.f, s.now)
		if s.h.has(MXLookups) != want {
			t.Errorf("%d sessions: lookups count %v, want %v", n, !want, want)
		}
	}
}

// Four domains looked up one after the other may be accounts that are set up, five are not.
func TestAccountsAreSetUp(t *testing.T) {
	for n, want := range map[int]verdict.Level{4: verdict.Suspect, 5: verdict.Likely} {
		s := newScene().again(4, 20)
		l := &Lookups{}
		for i := range n {
			l.Asked(AsksMX, uint32(i), "", uint32(i+1), s.now)
		}
		s.h.LookedUp(&s.cfg, l, s.now)
		if v := s.h.Judge(&s.f, s.now); v.Level != want {
			t.Errorf("%d domains: %s (score %.1f), want %s", n, v.Level, v.Score, want)
		}
	}
}

// A server that forwards what others bring it is refused for some of it; only a decision makes a
// bot of it.
func TestForwarder(t *testing.T) {
	for refused, want := range map[int]verdict.Class{3: verdict.UndeclaredServer, 8: verdict.Spambot} {
		s := newScene().helo("mail.example.org").helo("mail.example.org").helo("mail.example.org").tries(12, 25, 20, true)
		s.h.Served(1, s.now)
		s.h.Served(2, s.now)
		s.sessions(2, false).sessions(refused, true)
		if v := s.h.Judge(&s.f, s.now); v.Class != want {
			t.Errorf("%d refused: %s, want %s", refused, v.Class, want)
		}
	}
}
