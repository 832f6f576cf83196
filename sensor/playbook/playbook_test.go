package playbook

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

// at is a time of the tests, in minutes behind the first one.
func at(minutes int64) report.Time {
	return report.Time(time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC).UnixNano() + minutes*60e9)
}

// sample is a model with a finding of each class.
func sample() *report.Model {
	m := &report.Model{Version: "1", Period: report.Period{First: at(0), Last: at(600)}}
	m.Site = report.Site{PublicIP: "203.0.113.77", Blocklists: []report.Blocklist{
		{Name: "bl.spamcop.net", First: at(20), Last: at(30), Count: 2},
		{Name: "zen.spamhaus.org", First: at(10), Last: at(50), Count: 40}}}
	m.Servers = []report.Server{{IP: netip.MustParseAddr("192.0.2.25"), Declared: true}}
	for c := range verdict.Classes {
		f := report.Finding{ID: c.String() + "-10.20.4.37-1796047200", Class: c,
			Title: "confirmed " + strings.ReplaceAll(c.String(), "_", " "), Severity: "critical", Open: true, OnLink: true,
			LastSign: at(90), Egress: "open"}
		f.Host = report.Host{IP: netip.MustParseAddr("10.20.4.37"), Role: "workstation", Level: "confirmed",
			MAC: "3c:52:82:11:22:33", VLAN: []uint16{20}, First: at(0), Last: at(95),
			Counts:       report.Counts{Attempts: 812, DestIPs: 640, DestNets: 410},
			Ports:        []report.Port{{Port: 587, N: 12}, {Port: 25, N: 800}},
			Destinations: []report.Destination{{Server: netip.MustParseAddrPort("192.0.2.25:25"), Name: "mail.example.org"}}}
		f.Decided.At = at(2)
		if c == verdict.NotSMTP {
			f.Ports = f.Ports[1:]
		}
		if c >= verdict.OpenRelay || c == verdict.OnBlocklist {
			f.IP, f.Role, f.Ports, f.Destinations = netip.MustParseAddr("192.0.2.25"), "mailserver", nil, nil
			f.ID = c.String() + "-192.0.2.25-1796047200"
		}
		if c >= verdict.OpenRelay {
			f.First = f.Decided.At // of a finding about a mail server
			f.Proof = []report.Session{{Client: netip.MustParseAddr("198.51.100.9"), Server: netip.MustParseAddrPort("192.0.2.25:25"),
				Helo: "evil.example", Start: at(40)}}
		}
		m.Findings = append(m.Findings, f)
	}
	return m
}

// TestGolden compares the playbook of each class with a file, in both languages.
func TestGolden(t *testing.T) {
	m := sample()
	for c := range verdict.Classes {
		for _, language := range []string{lang.English, lang.French} {
			name := filepath.Join("testdata", c.String()+"."+language+".golden")
			p := lang.New(language)
			var b bytes.Buffer
			x := New(m, &m.Findings[c], Options{Lang: p, Zone: time.UTC})
			if err := x.Write(&b, Layout{Lang: p, Zone: time.UTC}); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil || b.String() != string(want) {
				t.Errorf("%s (%v; -update writes it):\n%s", name, err, b.String())
			}
			if len(x.Steps) < 3 {
				t.Errorf("%s has %d steps", c, len(x.Steps))
			}
		}
	}
}

// TestSince: a playbook says since when there are signs of the finding, as a report does, and reads the
// logs of the latest period of signs.
func TestSince(t *testing.T) {
	m := sample()
	f := &m.Findings[verdict.Spambot]
	f.Periods = []report.Period{{First: at(10), Last: at(20)}, {First: at(80), Last: at(90)}}
	x := New(m, f, Options{Zone: time.UTC})
	var b bytes.Buffer
	if err := x.Write(&b, Layout{Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); x.Since != f.Since() || !strings.Contains(text, "Since 2026-11-30 14:10:00, last sign 2026-11-30 15:30:00") ||
		!strings.Contains(text, "15:15:00") {
		t.Errorf("since %d, want %d:\n%s", x.Since, f.Since(), text)
	}
}

// TestHostile fills each text of a model with what a shell would run: none of it may be in a
// command.
func TestHostile(t *testing.T) {
	const evil = "x'\"`$(touch /tmp/owned)`;|&\n\u202e<script>"
	m := sample()
	for i := range m.Findings {
		f := &m.Findings[i]
		f.Also = []netip.Addr{netip.MustParseAddr("fe80::1").WithZone("eth0;reboot"), netip.MustParseAddr("::ffff:10.1.2.3")}
		f.Proof = append(f.Proof, report.Session{Client: netip.MustParseAddr("fe80::2%$(reboot)")})
		class := f.Class
		poison(reflect.ValueOf(f).Elem(), evil)
		f.Class, f.Level = class, "confirmed"
	}
	poison(reflect.ValueOf(&m.Site).Elem(), evil)
	poison(reflect.ValueOf(&m.Servers).Elem(), evil)
	m.Site.Blocklists[0].Name = "zen.spamhaus.org" + evil
	n := 0
	for i := range m.Findings {
		for _, s := range New(m, &m.Findings[i], Options{}).Steps {
			for _, c := range s.Commands {
				n++
				for _, bad := range []string{"touch", "owned", "reboot", "script", "\u202e", "\n", "`"} {
					if strings.Contains(c.Line, bad) {
						t.Errorf("%s: %q", m.Findings[i].Class, c.Line)
					}
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d commands were looked at", n)
	}
}

// poison sets all texts in a value.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() || v.Type() == reflect.TypeFor[netip.AddrPort]() {
			return
		}
		for i := range v.NumField() {
			poison(v.Field(i), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	}
}

// TestSystems checks that --os leaves commands for other systems out, and no others.
func TestSystems(t *testing.T) {
	m := sample()
	count := func(o Options) map[string]int {
		n := map[string]int{}
		for _, s := range New(m, &m.Findings[verdict.Spambot], o).Steps {
			for _, c := range s.Commands {
				n[c.OS]++
			}
		}
		return n
	}
	all := count(Options{})
	for _, os := range Systems {
		some := count(Options{OS: os})
		for place, n := range all {
			want := n
			if place != os && (place == windows || place == macos || place == linux) {
				want = 0
			}
			if some[place] != want {
				t.Errorf("--os %s: %d commands for %s, want %d", os, some[place], place, want)
			}
		}
		if some[os] == 0 {
			t.Errorf("--os %s: no command", os)
		}
	}
}

// TestLabels checks that each place of a command has a name.
func TestLabels(t *testing.T) {
	m := sample()
	for i := range m.Findings {
		for _, s := range New(m, &m.Findings[i], Options{}).Steps {
			for _, c := range s.Commands {
				if labels[c.OS] == "" {
					t.Errorf("%s has no name", c.OS)
				}
			}
		}
	}
}

// TestJSON checks the form that other programs read.
func TestJSON(t *testing.T) {
	m := sample()
	text, err := json.Marshal(New(m, &m.Findings[0], Options{}))
	var x struct {
		Finding, IP, Class string
		Steps              []struct {
			Title, Why string
			Commands   []struct{ OS, Line string }
		}
	}
	if err != nil || json.Unmarshal(text, &x) != nil || x.Finding == "" || x.IP != "10.20.4.37" || x.Class != "spambot" ||
		len(x.Steps) < 5 || x.Steps[0].Title == "" || x.Steps[0].Why == "" || x.Steps[0].Commands[0].Line == "" {
		t.Errorf("%v %s", err, text)
	}
}

// TestFind checks that a finding is found by its id, and by an address of its machine.
func TestFind(t *testing.T) {
	m := sample()
	m.Findings[0].Also = []netip.Addr{netip.MustParseAddr("2001:db8::5")}
	for name, want := range map[string]string{"scanner-10.20.4.37-1796047200": "scanner-10.20.4.37-1796047200",
		"10.20.4.37": m.Findings[0].ID, "::ffff:10.20.4.37": m.Findings[0].ID, "2001:db8::5": m.Findings[0].ID, "10.0.0.1": "", "x": ""} {
		got := ""
		if f := Find(m, name); f != nil {
			got = f.ID
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestShell checks that a shell reads each command for one, and that quotes and brackets of the
// others are closed.
func TestShell(t *testing.T) {
	m := sample()
	for i := range m.Findings {
		m.Findings[i].Also = []netip.Addr{netip.MustParseAddr("2001:db8::5")}
		for _, s := range New(m, &m.Findings[i], Options{}).Steps {
			for _, c := range s.Commands {
				switch c.OS {
				case web, cisco:
				case windows, exchange, dhcp:
					for _, pair := range []string{"{}", "()"} {
						if strings.Count(c.Line, pair[:1]) != strings.Count(c.Line, pair[1:]) {
							t.Errorf("%s: %s", c.OS, c.Line)
						}
					}
					if strings.Count(c.Line, "'")%2+strings.Count(c.Line, `"`)%2 != 0 {
						t.Errorf("%s: %s", c.OS, c.Line)
					}
				case sensor:
					if strings.HasPrefix(c.Line, "smtp_servers:") {
						continue // a line of the configuration
					}
					fallthrough
				default:
					if out, err := exec.Command("sh", "-n", "-c", c.Line).CombinedOutput(); err != nil {
						t.Errorf("%s: %s: %v %s", c.OS, c.Line, err, out)
					}
				}
			}
		}
	}
}

// TestHold checks that the line that puts a client's mail on hold finds the queue ids of this
// client, and no others.
func TestHold(t *testing.T) {
	b := &builder{m: &report.Model{}, f: &report.Finding{}}
	line := b.holdFrom(netip.MustParseAddr("10.20.4.3"))[0].Line
	line = strings.Replace(line, "journalctl -t postfix/smtpd -t postfix/submission/smtpd", "cat", 1)
	cmd := exec.Command("sh", "-c", strings.Replace(line, "postsuper -h -", "cat", 1))
	cmd.Stdin = strings.NewReader(`Nov 30 14:00:00 mail postfix/smtpd[12]: connect from unknown[10.20.4.3]
Nov 30 14:00:00 mail postfix/smtpd[12]: 4F3A21C0: client=unknown[10.20.4.3]
Nov 30 14:00:01 mail postfix/smtpd[12]: 3z9XqF0cXyz1: client=unknown[10.20.4.3], sasl_username=x
Nov 30 14:00:02 mail postfix/smtpd[12]: 4F3A21C2: client=unknown[10.20.4.37]
Nov 30 14:00:03 mail postfix/smtpd[12]: NOQUEUE: reject: RCPT from unknown[10.20.4.3]: 550 client=x
Nov 30 14:00:04 mail postfix/smtpd[12]: 4F3A21C3: client=unknown[110.20.4.3]
`)
	if out, err := cmd.Output(); err != nil || string(out) != "3z9XqF0cXyz1\n4F3A21C0\n" {
		t.Errorf("%v %q", err, out)
	}
}

// TestShared checks that the machine behind a router is looked for before anything is cut off.
func TestShared(t *testing.T) {
	m := sample()
	f := &m.Findings[verdict.Spambot]
	f.IP, f.OnLink = netip.MustParseAddr("203.0.113.162"), false
	steps := New(m, f, Options{}).Steps
	if !strings.HasPrefix(steps[0].Title, "If it is a router") || !strings.Contains(steps[1].Why, "cut off the mail of all machines") {
		t.Errorf("%+v", steps[:2])
	}
	f.OnLink = true
	if steps = New(m, f, Options{}).Steps; steps[0].Title != "Stop its mail at the firewall" {
		t.Errorf("%+v", steps[0])
	}
}
