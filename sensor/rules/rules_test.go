package rules

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const minute = report.Time(60e9)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// host is a host that tried port 25 outside.
func host(ip string, attempts uint32) report.Host {
	return report.Host{IP: addr(ip), Role: "workstation", Level: "none", Outside: true,
		Ports: []report.Port{{Port: 25, N: attempts}}, Counts: report.Counts{Attempts: attempts, Sessions: attempts, Messages: attempts / 2}}
}

// bot is a finding about a host that sends spam.
func bot(ip string) report.Finding {
	return report.Finding{Host: report.Host{IP: addr(ip), Level: "confirmed", First: 10 * minute, MAC: "02:00:00:00:00:66"}, ID: "spambot-" + ip,
		Class: verdict.Spambot, Title: "confirmed spambot", OnLink: true, Open: true}
}

// office is a network with declared and observed mail servers, a bot with two addresses, and hosts
// that send directly.
func office() *report.Model {
	m := &report.Model{Version: "1.0", Period: report.Period{First: minute, Last: 60 * minute},
		Declared: []report.Declared{{IP: addr("192.0.2.25"), Role: "mailserver"}, {IP: addr("2001:db8:1::25"), Role: "bulk"}, {IP: addr("10.0.0.9"), Role: "probe"}},
		Relays:   []netip.Prefix{netip.MustParsePrefix("203.0.113.128/28"), netip.MustParsePrefix("2001:db8:ffff::/64")},
		Servers:  []report.Server{{IP: addr("192.0.2.25"), Declared: true, Received: 9}, {IP: addr("10.0.0.26"), Received: 3}},
		Hosts:    []report.Host{host("10.0.0.66", 500), host("10.0.0.7", 12), host("10.0.0.8", 40), host("192.0.2.25", 90), host("2001:db8:1::66", 7)},
		Findings: []report.Finding{bot("10.0.0.66")}, HostCount: 5}
	m.Input.Home = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fc00::/7")}
	m.Input.HomeSeen = true
	m.Hosts[4].MAC = "02:00:00:00:00:66"
	m.Findings[0].Also = []netip.Addr{addr("2001:db8:1::66"), addr("10.0.0.8")}
	m.Ignored = []report.Finding{{Host: report.Host{IP: addr("10.0.0.7")}, Ignored: &report.Ignored{Why: "the lab, ticket 4711"}}}
	return m
}

func write(t *testing.T, m *report.Model, dialect string, p *lang.Printer) string {
	t.Helper()
	var b strings.Builder
	if err := New(m).Write(&b, dialect, Options{Lang: p}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden compares the rules of an office in all dialects.
func TestGolden(t *testing.T) {
	for _, dialect := range Dialects() {
		got, name := write(t, office(), dialect, nil), filepath.Join("testdata", dialect+".golden")
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil || got != string(want) {
			t.Errorf("%s differs (-update rewrites it): %v\n%s", name, err, got)
		}
	}
}

// TestWho checks who may send, who is in quarantine, and who would have been cut.
func TestWho(t *testing.T) {
	s := New(office())
	got := fmt.Sprintln(s.Local) + fmt.Sprintln(s.Relays)
	for _, x := range s.Servers {
		got += fmt.Sprintln("server", x.IP, x.Declared, x.Received)
	}
	for _, x := range s.Quarantine {
		got += fmt.Sprintln("quarantine", x.IP, x.Of)
	}
	for _, x := range s.Cut {
		got += fmt.Sprintln("cut", x.IP, x.Attempts, x.Messages, x.Flagged, x.Why)
	}
	// 10.0.0.8 was an address of the bot, and has another MAC now: another machine.
	want := `[10.0.0.0/8 192.0.2.0/24 2001:db8:1::/64 fc00::/7]
[203.0.113.128/28 2001:db8:ffff::/64]
server 192.0.2.25 true 9
server 2001:db8:1::25 true 0
server 10.0.0.26 false 3
quarantine 10.0.0.66 invalid IP
quarantine 2001:db8:1::66 10.0.0.66
cut 10.0.0.8 40 20 false 
cut 10.0.0.7 12 6 false the lab, ticket 4711
cut 10.0.0.66 500 250 true 
cut 2001:db8:1::66 7 3 true 
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
