package engine

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
)

// TestRecipientForms checks that in every notation of an external recipient the first message that
// is forwarded is a proof, and none before.
func TestRecipientForms(t *testing.T) {
	for _, row := range []struct {
		rcpt, leaves string
		taken, left  string // level when it is accepted, and when it has left; "" for none
	}{
		{"v@Victim.EXAMPLE", "v@victim.example", "likely", "confirmed"},
		{"v@victim.example.", "v@victim.example", "likely", "confirmed"},
		{"@corp.example:v@victim.example", "v@victim.example", "likely", "confirmed"},
		{"@a.example,@b.example:v@victim.example", "v@victim.example", "likely", "confirmed"},
		{"v%victim.example@corp.example", "v@victim.example", "", "confirmed"},
		{"v%victim.example@corp.example", "x@elsewhere.example", "", ""},
		{"v%corp.example@backup.example", "v@corp.example", "", ""},
		{"victim.example!v@corp.example", "v@victim.example", "", "confirmed"},
		{`"v@victim.example"@corp.example`, "v@victim.example", "", "confirmed"},
		{"v%victim.example", "v@victim.example", "", "confirmed"},
		{"v@[192.0.2.99]", "v@[192.0.2.99]", "", "confirmed"}, // may be its address behind a NAT
		{"v@[10.0.0.25]", "x@elsewhere.example", "", ""},
		{"bob@CORP.example.", "bob@elsewhere.example", "", ""}, // forwarding
		{"bob@corp.example", "v@victim.example", "", ""},
	} {
		p := newPlay(relayConfig())
		level := func() string {
			if len(p.findings) == 0 {
				return ""
			}
			return p.findings[len(p.findings)-1].Level.String()
		}
		p.conn(stranger, ourServer, 25, message("a@spam.example", row.rcpt, "250 ok", "250 queued"))
		if got := level(); got != row.taken {
			t.Errorf("%s was taken: %q, want %q", row.rcpt, got, row.taken)
		}
		p.conn(ourServer, "192.0.2.99", 25, message("a@spam.example", row.leaves, "250 ok", "250 queued"))
		if got := level(); got != row.left {
			t.Errorf("%s left as %s: %q, want %q", row.rcpt, row.leaves, got, row.left)
		}
	}
}

// TestPercentHackLearnedDomains checks that the percent hack is a proof without configured domains
// as well.
func TestPercentHackLearnedDomains(t *testing.T) {
	p := newPlay(Config{MailServers: []netip.Addr{netip.MustParseAddr(ourServer)}})
	p.conn(stranger, ourServer, 25, message("a@spam.example", "v%victim.example@corp.example", "250 ok", "250 queued"))
	if p.said() != "" {
		t.Fatal(p.said())
	}
	p.conn(ourServer, "192.0.2.99", 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	if want := "10.0.0.25 opened open_relay confirmed"; p.said() != want {
		t.Fatalf("%q, want %q", p.said(), want)
	}
	if text := p.findings[0].Reasons[0].Text; !strings.Contains(text, stranger) || !strings.Contains(text, "victim.example") {
		t.Error(text)
	}
}

// TestLiteralInTheOpen checks a server with a public address that accepts mail for an address
// literal that is not its own.
func TestLiteralInTheOpen(t *testing.T) {
	const server = "198.51.100.25"
	p := newPlay(Config{Home: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, LocalDomains: []string{"corp.example"}, MailServers: []netip.Addr{netip.MustParseAddr(server)}})
	for _, own := range []string{"[198.51.100.25]", "[198.51.100.26]", "[odd"} {
		p.conn(stranger, server, 25, message("a@spam.example", "v@"+own, "250 ok", "250 queued"))
	}
	if p.said() != "" {
		t.Fatal(p.said())
	}
	p.conn(stranger, server, 25, message("a@spam.example", "v@[192.0.2.99]", "250 ok", "250 queued"))
	if want := server + " opened open_relay likely"; p.said() != want {
		t.Fatalf("%q, want %q", p.said(), want)
	}
}

// TestPassingOnIsEvidence checks that live the session in which a relay forwards a message is
// emitted and named by the finding, and that no other session of the server is.
func TestPassingOnIsEvidence(t *testing.T) {
	cfg := relayConfig()
	cfg.Live = true
	p := newPlay(cfg)
	n := uint64(0)
	var events []string
	p.e.out.Session = func(s *finding.Session) uint64 {
		events = append(events, s.Client.Addr().String()+" > "+s.Server.Addr().String())
		n++
		return n
	}
	p.conn(ourServer, "192.0.2.7", 25, message("bob@corp.example", "x@there.example", "250 ok", "250 queued"))
	p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	p.conn(ourServer, "192.0.2.99", 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	p.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "w@victim.example", "250 ok", "250 queued"))
	p.e.Finish("shutdown")
	if want := []string{stranger + " > " + ourServer, ourServer + " > 192.0.2.99"}; !slices.Equal(events, want) {
		t.Errorf("given out: %v, want %v", events, want)
	}
	if last := p.findings[len(p.findings)-1]; !slices.Equal(last.Evidence, []uint64{1, 2}) {
		t.Errorf("evidence: %v", last.Evidence)
	}
}
