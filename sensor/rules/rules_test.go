package rules

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
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
		got, name := write(t, office(), dialect, nil), filepath.Join("testdata", strings.ToLower(dialect)+".golden")
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

// TestNothingKnown checks rules without a mail server, and of a network that was not seen.
func TestNothingKnown(t *testing.T) {
	for _, dialect := range Dialects() {
		text := write(t, &report.Model{Version: "1.0"}, dialect, nil)
		for _, want := range []string{"NO MAIL SERVER IS DECLARED", "Declare yours (--mail-server IP", "No address of your networks was seen", "None: no other host"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", dialect, want, text)
			}
		}
	}
}

// TestMany checks that 900 flagged hosts are elements of sets, and no rules, and that the preamble
// stays readable.
func TestMany(t *testing.T) {
	m := office()
	a := addr("10.7.0.0")
	for range 900 {
		a = a.Next()
		m.Hosts, m.Findings = append(m.Hosts, host(a.String(), 9)), append(m.Findings, bot(a.String()))
	}
	few := map[string]int{"nftables": 40, "iptables": 40, "pf": 10, "RouterOS": 60, "IOS": 60, "OPNsense": 60}
	for _, dialect := range Dialects() {
		text := write(t, m, dialect, nil)
		head, _, _ := strings.Cut(text, "\n\n")
		if n := strings.Count(head, "\n"); n > 90 || !strings.Contains(head, "and 872 more: spamsensor rules -o json has all") {
			t.Errorf("%s: the preamble has %d lines:\n%s", dialect, n, head)
		}
		rest := strings.TrimPrefix(text, head)
		if strings.Count(rest, "10.7.3.132") < 1 {
			t.Errorf("%s lacks the last host", dialect)
		}
		others := 0 // lines that are neither elements nor comments
		for l := range strings.Lines(rest) {
			l = strings.TrimSpace(l)
			if !strings.Contains(l, "10.7.") && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "!") {
				others++
			}
		}
		if limit := few[dialect] + strings.Count(write(t, office(), dialect, nil), "\n"); others > limit {
			t.Errorf("%s has %d lines of rules", dialect, others)
		}
	}
}

// TestHostile checks that no text of the configuration or of the network gets out of a comment, and
// that the dialects of routers get no character that their command lines act on.
func TestHostile(t *testing.T) {
	const bad = "x\nreboot\r\n\u2028reboot\u0085reboot \\\t\"$(reboot)` ?`reboot` \u202e\x1b[2J é"
	m := office()
	m.Ignored[0].Ignored.Why = bad
	m.Findings[0].Title, m.Version, m.Hosts[1].Role, m.Hosts[0].Role = bad, bad, bad, bad
	m.Findings[0].MAC = "02:00:00:00:00:66"
	for _, dialect := range Dialects() {
		for _, p := range []*lang.Printer{nil, lang.New(lang.French)} {
			text, clean := write(t, m, dialect, p), write(t, office(), dialect, p)
			for l := range strings.Lines(text) {
				if trimmed := strings.TrimSpace(l); strings.HasPrefix(trimmed, "reboot") || strings.HasSuffix(trimmed, `\`) || strings.ContainsAny(l, "\t\x1b\u202e\u2028\u0085\r") {
					t.Errorf("%s: %q", dialect, l)
				}
				if i := strings.Index(l, "reboot"); i >= 0 && !strings.ContainsAny(l[:i], "#!") && !strings.Contains(l[:i], `comment="`) {
					t.Errorf("%s: not in a comment: %q", dialect, l)
				}
			}
			if n := strings.Count(text, "\n") - strings.Count(clean, "\n"); n < 0 || n > 12 {
				t.Errorf("%s: %d more lines", dialect, n)
			}
			if dialect != "RouterOS" && dialect != "IOS" {
				continue
			}
			for _, r := range text {
				if r > '~' || r == '?' || r < ' ' && r != '\n' {
					t.Errorf("%s has the character %q", dialect, r)
				}
			}
			for l := range strings.Lines(text) {
				if _, quoted, ok := strings.Cut(l, `comment="`); ok && !strings.HasPrefix(l, "#") {
					if inside, _, _ := strings.Cut(quoted, `"`); strings.ContainsAny(inside, "$[") {
						t.Errorf("%s: %q", dialect, l)
					}
				}
			}
		}
	}
}

// TestOddAddresses checks that rules have the addresses of hosts alone, in one form.
func TestOddAddresses(t *testing.T) {
	m := &report.Model{Version: "1.0"}
	m.Input.HomeSeen = true
	m.Input.Home = []netip.Prefix{{}, netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("::ffff:192.168.1.0/120"), netip.MustParsePrefix("ff02::/16"), netip.MustParsePrefix("fd00::1/8")}
	for _, a := range []string{"::ffff:192.0.2.25", "fe80::25%eth0", "0.0.0.0", "::1", "ff02::1", "255.255.255.255", "224.0.0.1", "192.0.2.25"} {
		m.Declared = append(m.Declared, report.Declared{IP: addr(a), Role: "mailserver"})
	}
	for _, a := range []string{"::ffff:10.0.0.66", "fe80::66%eth0"} {
		m.Findings, m.Hosts = append(m.Findings, bot(a)), append(m.Hosts, host(a, 4))
	}
	m.Findings = append(m.Findings, report.Finding{Host: report.Host{Level: "likely"}, Class: verdict.Spambot, Title: "likely spambot"})
	s := New(m)
	got := fmt.Sprint(s.Local, s.Servers, s.LeftOut)
	want := "[10.0.0.0/8 192.0.2.25/32 192.168.1.0/24 fd00::/8] [{192.0.2.25 true 0 0 }] [0.0.0.0 224.0.0.1 255.255.255.255 ::1 fe80::25 fe80::66 ff02::1]"
	if got = strings.NewReplacer("][", "] [").Replace(got); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if len(s.Quarantine) != 1 || s.Quarantine[0].IP != addr("10.0.0.66") {
		t.Errorf("quarantine: %v", s.Quarantine)
	}
	for _, dialect := range Dialects() {
		_, text, _ := strings.Cut(write(t, m, dialect, nil), "\n\n")
		for _, bad := range []string{"ffff:", "%eth0", "fe80", "invalid", "ff02", " 0.0.0.0/"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s:\n%s", dialect, bad, text)
			}
		}
	}
	m.Input.Home = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	if text := write(t, m, "nftables", nil); !strings.Contains(text, "0.0.0.0/0 is the whole Internet") {
		t.Error(text)
	}
}

// TestStandings checks which findings put a host into quarantine.
func TestStandings(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*report.Finding, *report.Model)
		want  int
	}{
		{"a bot", func(*report.Finding, *report.Model) {}, 1},
		{"at the end of a capture", func(f *report.Finding, _ *report.Model) { f.Open, f.CloseReason = false, "end_of_input" }, 1},
		{"a suspect", func(f *report.Finding, _ *report.Model) { f.Level = "suspect" }, 0},
		{"quiet for a day", func(f *report.Finding, _ *report.Model) { f.Over = true }, 0},
		{"quiet for a day, with attempts on port 25", goingOn, 1},
		{"closed as quiet, with attempts on port 25", func(f *report.Finding, m *report.Model) {
			goingOn(f, m)
			f.Open, f.CloseReason = false, "quiet"
		}, 1},
		{"closed as quiet, without attempts", func(f *report.Finding, m *report.Model) {
			goingOn(f, m)
			f.Open, f.CloseReason, f.Last = false, "quiet", 20*hours
		}, 0},
		{"quiet for a day, with mail through its server", func(f *report.Finding, m *report.Model) {
			goingOn(f, m)
			f.Ports = []report.Port{{Port: 25, N: 40}, {Port: 587, N: 60}}
		}, 0},
		{"another address now", func(f *report.Finding, _ *report.Model) { f.CloseReason = "address_changed" }, 0},
		{"a device that sends directly", func(f *report.Finding, _ *report.Model) { f.Class = verdict.DirectSMTP }, 0},
		{"an open relay", func(f *report.Finding, _ *report.Model) { f.Class = verdict.OpenRelay }, 0},
		{"a declared mail server", func(f *report.Finding, m *report.Model) {
			m.Declared = []report.Declared{{IP: f.IP, Role: "mailserver"}}
		}, 0},
		{"one that accepts mail, too", func(f *report.Finding, m *report.Model) { m.Servers = []report.Server{{IP: f.IP, Received: 7}} }, 1},
	} {
		m := &report.Model{Version: "1.0", Findings: []report.Finding{bot("10.0.0.66")}}
		c.spoil(&m.Findings[0], m)
		s := New(m)
		if len(s.Quarantine) != c.want {
			t.Errorf("%s: %v", c.name, s.Quarantine)
		}
		if declared := strings.HasPrefix(c.name, "a declared"); declared != (len(s.Servers) == 1) || declared && s.Servers[0].Finding == "" {
			t.Errorf("%s: servers %v", c.name, s.Servers)
		}
	}
}

const hours = 60 * minute

// goingOn makes a finding one about a bot without a sign for 30 hours that tries port 25 outside.
func goingOn(f *report.Finding, m *report.Model) {
	m.Period.Last = 50 * hours
	f.Over, f.LastSign, f.Last, f.Outside = true, 20*hours, 45*hours, true
	f.Counts.Attempts, f.Ports = 100, []report.Port{{Port: 25, N: 60}, {Port: 587, N: 40}}
}

// TestLeftOut checks that a host is not called unflagged whose finding a short report lacks.
func TestLeftOut(t *testing.T) {
	m := office()
	m.Hosts[0].Finding, m.Findings, m.MoreFindings = "spambot-10.0.0.66", nil, 1
	for _, x := range New(m).Cut {
		if (x.Missing != "") != (x.IP == addr("10.0.0.66")) {
			t.Errorf("%v lacks the finding %q", x.IP, x.Missing)
		}
	}
	text := write(t, m, "nftables", nil)
	check, missing, host := strings.Index(text, "CHECK (3 hosts): not flagged"), strings.Index(text, "CHECK (1 host): their findings are left out"), strings.Index(text, "10.0.0.66 ")
	if check < 0 || missing < check || host < missing || !strings.Contains(text, "finding spambot-10.0.0.66\n") {
		t.Errorf("hosts at %d and %d, the bot at %d:\n%s", check, missing, host, text)
	}
}

// TestPast checks that a host that sent spam and is not in quarantine is not listed among those that
// were never flagged.
func TestPast(t *testing.T) {
	m := office()
	m.Findings[0].Open, m.Findings[0].Over = false, true
	for _, x := range New(m).Cut {
		if flagged := x.IP == addr("10.0.0.66"); x.Past != flagged || x.Flagged {
			t.Errorf("%v: flagged %v, before %v", x.IP, x.Flagged, x.Past)
		}
	}
	text := write(t, m, "nftables", nil)
	check, past, host := strings.Index(text, "CHECK (3 hosts)"), strings.Index(text, "Not in quarantine any more (1 host)"), strings.Index(text, "10.0.0.66 ")
	if check < 0 || past < check || host < past {
		t.Errorf("hosts at %d and %d, the bot at %d:\n%s", check, past, host, text)
	}
	const another = "Another machine may have the address"
	if strings.Contains(text, another) || strings.Contains(text, "quiet for") {
		t.Errorf("it is not known to be quiet:\n%s", text)
	}
	m.Findings[0].Last, m.Period.Last = 10*hours, 40*hours
	text = write(t, m, "nftables", nil)
	if flat := strings.ReplaceAll(text, "\n#  ", ""); !strings.Contains(flat, another) || !strings.Contains(flat, "confirmed spambot, quiet for 30.0 hours") {
		t.Errorf("it was quiet at the end:\n%s", text)
	}
}

// TestNAT checks that a flagged gateway is said to be one.
func TestNAT(t *testing.T) {
	m := office()
	m.Findings[0].Role = "nat"
	for _, dialect := range Dialects() {
		text := write(t, m, dialect, nil)
		if !strings.Contains(text, "10.0.0.66 is a gateway (NAT): ") || !strings.Contains(text, "NAT: all machines behind it") {
			t.Errorf("%s:\n%s", dialect, text)
		}
	}
}

// TestFrench checks that the comments of French rules are French.
func TestFrench(t *testing.T) {
	english := regexp.MustCompile(`(?i)\b(the|your|hosts|with|without|mail to|servers|rules|dropped)\b`)
	for _, dialect := range Dialects() {
		for _, m := range []*report.Model{office(), {Version: "1.0"}} {
			for l := range strings.Lines(write(t, m, dialect, lang.New(lang.French))) {
				l = strings.TrimSpace(l)
				if strings.HasPrefix(l, "#") || strings.HasPrefix(l, "!") {
					l = strings.NewReplacer("the lab, ticket", "", "spamsensor rules", "").Replace(l)
					if m := english.FindString(l); m != "" && !strings.Contains(l, "ipset destroy") && !strings.Contains(l, "-F rules") && !strings.Contains(l, "-s rules") && !strings.Contains(l, "for n in") {
						t.Errorf("%s: %q in %q", dialect, m, l)
					}
				}
			}
		}
	}
}
