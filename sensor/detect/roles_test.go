package detect

import (
	"fmt"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
)

// declare is the same scene of a host with a role.
func (s *scene) declare(r Role) *scene { s.p.SetRole(r); return s }

// hops sees attempts to submit mail to n networks, with two hop limits in turn; one in ten attempts
// becomes no session if most is false.
func (s *scene) hops(n int, port uint16, answered bool) *scene {
	for i := range n {
		s.dest++
		ttl := uint8(63 + 64*(i%2))
		a := Observation{Kind: KindSYN, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: port, External: true, TTL: ttl}
		s.see(a)
		if answered {
			s.see(Observation{Kind: KindSYNACK, Addr: a.Addr, Port: port})
			s.see(Observation{Kind: KindEstablished, Addr: a.Addr, Net: a.Net, Port: port})
			s.see(Observation{Kind: KindClientSpoke})
			s.see(Observation{Kind: KindAttested})
		}
		s.judge()
		s.wait(30)
		s.p.ExpireContacts(&s.cfg, s.now)
		s.judge()
	}
	return s
}

// level is the level at the end.
func (s *scene) level() verdict.Level { return s.p.Judge(&s.n, s.now).Level }

// TestPeopleBehindNAT: people behind one address have many providers, whether the address is declared or
// its hop limits show it. What is no success on a port of submission counts.
func TestPeopleBehindNAT(t *testing.T) {
	for _, c := range []struct {
		name     string
		role     Role
		port     uint16
		answered bool
		want     verdict.Level
	}{
		{"people with 20 providers", NoRole, 587, true, verdict.NoLevel},
		{"the same, declared", NAT, 465, true, verdict.NoLevel},
		{"20 networks that do not answer", NAT, 587, false, verdict.Suspect},
		{"20 networks on port 25", NAT, 25, true, verdict.Suspect},
		{"the same of a server", MailServer, 25, true, verdict.NoLevel},
	} {
		if got := newScene().declare(c.role).hops(20, c.port, c.answered).level(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if s := newScene().declare(NAT).hops(20, 587, true); s.won != verdict.NoLevel {
		t.Errorf("declared: %s for a time", s.won)
	}
	if s := newScene().hops(3, 25, true).hops(30, 587, true); s.level() != verdict.NoLevel {
		t.Errorf("three networks on port 25: %s", s.level())
	}
	if s := newScene().hops(4, 25, true).hops(30, 587, true); s.level() == verdict.NoLevel {
		t.Error("four networks on port 25 do not count")
	}
}

// names gives n names to external servers on port 25, each in a session.
func (s *scene) names(n int, format string) *scene {
	for i := range n {
		s.tries(1, 25, 60, true).helo(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return s
}

// spam is n mails in the name of as many domains to as many others, which nearly all refuse.
func (s *scene) spam(n int) *scene {
	for i := range uint32(n) {
		s.see(Observation{Kind: KindSender, Hash: mix(i + 1<<10), External: true})
		s.see(Observation{Kind: KindRecipient, Hash: mix(i + 1<<11), External: true})
		s.see(Observation{Kind: KindRecipientReply, Unknown: i%3 != 0})
		s.see(Observation{Kind: KindDecided, Refused: i%3 != 0})
		s.wait(10)
	}
	return s
}

// TestRoles: a role explains what it says, and what it does not explain is judged. Each pair has
// the honest host, and the same one with a bot.
func TestRoles(t *testing.T) {
	serve := func(s *scene, n int) *scene {
		return s.sees(n, 1, func(uint32) Observation { return Observation{Kind: KindTaken} })
	}
	own := func() *scene { return newScene().declare(MailServer).names(30, "mail.firm.example") }
	for _, c := range []struct {
		name string
		s    *scene
		want verdict.Level
	}{
		{"a server with many networks", own(), verdict.NoLevel},
		{"three servers behind one address", own().names(2, "web%d.firm.example"), verdict.NoLevel},
		{"five names", own().names(4, "web%d.firm.example"), verdict.NoLevel},
		{"six names", own().names(5, "web%d.firm.example"), verdict.Likely},
		{"six full names, bulk", own().names(5, "web%d.firm.example").declare(Bulk), verdict.NoLevel},
		{"four names with words", own().names(3, "word%d"), verdict.Likely},
		{"four names with words, bulk", own().names(3, "word%d").declare(Bulk), verdict.Likely},
		{"a monitor that says localhost", own().names(1, "localhost"), verdict.NoLevel},
		{"a bot that says localhost", own().names(30, "localhost").spam(30), verdict.Likely},
		{"refused in foreign names", own().spam(30), verdict.Suspect},
		{"the same, which others brought", serve(own().spam(30), 20), verdict.NoLevel},
		{"the same, of which others brought little", serve(own().spam(30), 9), verdict.Suspect},
		{"an inventory", newScene().declare(ScannerRole).tries(60, 25, 1, true), verdict.NoLevel},
		{"an inventory that delivers", newScene().declare(ScannerRole).tries(60, 25, 1, true).helo("localhost").
			sees(20, 1, func(i uint32) Observation { return Observation{Kind: KindSender, Hash: mix(i), External: true} }).
			sessions(5, false), verdict.Confirmed},
	} {
		if got := c.s.level(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestRoleNames: each role has a row, and a name of which it is the role.
func TestRoleNames(t *testing.T) {
	for _, name := range RoleNames() {
		r := RoleOf(name)
		if row := &roleRules[r]; r == NoRole || row.about == "" || row.explains == "" || row.remains == "" || row.still == nil {
			t.Errorf("the role %q has no full row", name)
		}
	}
	if len(RoleNames()) != int(roles)-1 || RoleOf("") != NoRole || RoleOf("other") != NoRole {
		t.Error("a role is missing, or one too many")
	}
}
