package html

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// start is the time of the first packet of the models of tests.
var start = report.Time(time.Date(2026, 11, 21, 20, 32, 49, 0, time.UTC).UnixNano())

// address is the nth address of an internal network.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) }

// model is a model with a number of findings, and hosts without one.
func model(findings, hosts int) *report.Model {
	m := &report.Model{Version: "0.1.0", Period: report.Period{First: start, Last: start + 3600e9},
		Headline: report.Headline{Alarm: report.Green, Sentence: "No host sends spam, as far as could be seen"}}
	for i := range findings {
		m.Findings = append(m.Findings, finding(address(i)))
		m.Hosts = append(m.Hosts, m.Findings[i].Host)
	}
	if findings > 0 {
		m.Headline = report.Headline{Alarm: report.Red, Sentence: "1 host sends spam: 10.1.0.0"}
	}
	for i := range hosts {
		m.Hosts = append(m.Hosts, report.Host{IP: address(findings + i), Role: "internal", Level: "none",
			First: start, Last: start + 60e9, Counts: report.Counts{Attempts: uint32(i), DestIPs: 1, DestNets: 1, Sessions: uint32(i)}})
	}
	m.HostCount = len(m.Hosts)
	if m.HostCount > 0 {
		furnish(m)
	}
	return m
}

// furnish adds to a model what a capture of a day has beside hosts.
func furnish(m *report.Model) {
	m.Period.Last = start + 20*3600e9
	m.Input = report.Input{Names: []string{"monday.pcap.gz"}, Frames: 1234567, Bytes: 987654321, Attempts: 1000, Took: 2345e6,
		Account:  "1234567 frames received = 1234567 processed + 0 refused + 0 dropped by the kernel + 0 by the interface",
		HomeSeen: true, Home: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Settings: []string{"--home", "10.0.0.0/8"},
		Sums: []report.Sum{{Name: "monday.pcap.gz", SHA256: strings.Repeat("0a", 32)}}}
	s := &m.Activity.Minutes
	*s = report.Stack{Start: start, Width: 60}
	for i := range 20 * 60 {
		s.Servers, s.Others = append(s.Servers, uint32(i%7)), append(s.Others, uint32(i%11/10))
		s.Flagged = append(s.Flagged, uint32(i%300/200*i%13))
	}
	m.Replies = []report.Reply{{Group: "servers", Hosts: 1, Accepted: 3000, Deferred: 40, Rejected: 12, Recipients: 5},
		{Group: "flagged", Hosts: len(m.Findings), Accepted: 8, Deferred: 3, Rejected: 70, Recipients: 27}, {Group: "others", Hosts: 2, Accepted: 3}}
	m.Site = report.Site{PublicIP: "203.0.113.77", Quoted: 3, Blocklists: []report.Blocklist{{Name: "zen.spamhaus.org", Count: 5, First: start,
		Last: start + 5e9, Sample: "blocked"}}}
	usual := 120.0
	server := report.Server{IP: netip.MustParseAddr("10.0.0.25"), Declared: true, First: start, Sent: 3000, Counted: 3000, Received: 12000,
		Recipients: 4000, Sessions: 2500, Bytes: 1e8, Failed: 12, Deferred: 40, AuthOK: 12, AuthFailed: 3, Usual: &usual,
		FailedAt: []report.Cause{{Name: "a recipient", N: 12}}, FailedWhy: []report.Cause{{Name: "spam", N: 10}, {Name: "on a blocklist", N: 2}},
		Queue: report.Queue{Estimate: 4, Destinations: 2, Oldest: 3600e9}, Relay: report.Relay{Denied: 7, DeniedLast: start, Strangers: 3, Known: true}}
	for i := range 20 {
		server.Hours = append(server.Hours, report.ServerHour{At: start + report.Time(i)*3600e9, N: float64(100 + i*i%40), Known: i > 4, Usual: 120,
			Z: float64(i%5) - 2})
	}
	other := server
	other.IP, other.Declared, other.Usual, other.Hours = netip.MustParseAddr("2001:db8:aaaa:bbbb:cccc:dddd:eeee:25"), false, nil, nil
	m.Servers = []report.Server{server, other}
	m.Limits = report.Limits{Encrypted: 12345, Gaps: 7}
	m.Hints = []string{"If 10.1.0.9 is a mail server of yours: --mail-server 10.1.0.9"}
	if len(m.Findings) < 3 {
		return
	}
	relay := &m.Findings[1]
	relay.IP, relay.Class, relay.Title, relay.What = server.IP, verdict.OpenRelay, "likely open relay", "relays mail for external clients"
	relay.Level, relay.Severity, relay.First, relay.MAC = "likely", "high", 0, ""
	info := &m.Findings[2]
	info.Class, info.Title, info.What, info.Severity = verdict.DirectSMTP, "direct mail", "sends mail directly to the Internet", "info"
	info.Proof, info.Blind, info.Reasons = nil, nil, info.Reasons[:1]
}

func finding(a netip.Addr) report.Finding {
	f := report.Finding{Host: report.Host{IP: a, Role: "internal", Level: "confirmed", Score: 20, MAC: "02:00:00:00:77:66",
		Input: "bot.pcap", First: start, Last: start + 60e9, Finding: "run/" + a.String(),
		Counts: report.Counts{Attempts: 66, Sessions: 48, Messages: 8, Rejected: 20, DestIPs: 64, DestNets: 56}},
		ID: "run/" + a.String(), Class: verdict.Spambot, Title: "confirmed spambot", What: "is a confirmed spambot",
		Severity: "critical", Open: true, OnLink: true, Decided: report.Decision{At: start + 2e9, Attempts: 4}, LastSign: start + 60e9,
		Mode: "clear", Egress: "open", Advice: "Find out what it is. Block outgoing port 25 for all but your mail servers.",
		Blind: []string{"of 48 sessions 1 was encrypted from the first byte"}}
	for _, text := range []string{"It made 66 attempts to connect to 56 different mail networks in 35 s; a workstation normally uses one or two.",
		"It contacted 56 different mail networks, at least 25 of them within one hour.",
		"Receiving servers refused 7 of its first 9 mails that they accepted or refused.",
		"It introduced itself as \"localhost\", which is not its own name; a mail server gives its full name.",
		"It contacted at least 6 different networks within an hour to submit mail (ports 465, 587, 2525); a mail client has one to three providers.",
		"At least 4 servers refused to relay for it or asked for a login; a client that uses its own server hears that from one at most, so it tries " +
			"foreign servers.",
		"It introduced itself with 9 different names, at least 8 of them within a day (\"10.0.0.74\", \"10.0.0.61\", \"10.0.0.36\", \"10.0.0.45\", ...).",
		"It sends in the name of 11 domains, at least 10 of them within a day; a workstation uses one or two.",
		"A receiving server refused it and named the blocklist zen.spamhaus.org: \"5.7.1 Client host [203.0.113.77] blocked using zen.spamhaus.org\".",
		"It sent 20 commands a second in 3 sessions.", "Its recipients are in at least 20 domains."} {
		f.Reasons = append(f.Reasons, report.Reason{Code: "x", Weight: 3, Text: text})
	}
	f.Advice += " If it is a mail server, leave it running, find in its log and queue the account or the script that sends, lock that, and " +
		"change its password. When the cause is stopped, ask the blocklist to remove your address."
	for i := range 20 {
		f.Hours = append(f.Hours, report.Hour{At: start + report.Time(i)*3600e9, N: uint32(i * 7 % 13)})
	}
	f.Story = []report.Step{{At: start + 2e9, Action: "opened", Level: "suspect", Attempts: 4}, {At: start + 3e9, Action: "updated", Level: "likely",
		Attempts: 9}, {At: start + 60e9, Action: "closed", Level: "confirmed", Attempts: 66}}
	f.Periods = []report.Period{{First: start, Last: start + 60e9}}
	f.Proof = []report.Session{{Number: 1, Start: start, Client: a, Server: netip.MustParseAddrPort("198.18.3.17:25"), Helo: "10.0.0.74",
		MailFrom: []string{"...@alpine-bank.example"}, Messages: 1, TLS: "none"},
		{Number: 2, Start: start + 1e9, Client: a, Server: netip.MustParseAddrPort("198.18.22.40:25"), Helo: "10.0.0.36",
			MailFrom: []string{"...@direct-loans.example"}, TLS: "none", Code: 554, Phase: "rcpt",
			Reply: "5.7.1 Service unavailable; Client host [203.0.113.77] blocked using zen.spamhaus.org"}}
	f.Proof = append(f.Proof, f.Proof[1], f.Proof[1], f.Proof[1])
	return f
}

// write writes the report of a model.
func write(t *testing.T, tag string, m *report.Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := New(lang.New(tag)).Report(&b, m, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// embeddedText is the text of the model inside a report.
func embeddedText(t *testing.T, page string) string {
	t.Helper()
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="model">`)
	text, _, ok := strings.Cut(rest, "</script>")
	if !ok {
		t.Fatal("no model in the report")
	}
	return text
}

// data is the model inside a report.
func data(t *testing.T, page string) (m report.Model) {
	t.Helper()
	if err := json.Unmarshal([]byte(embeddedText(t, page)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLiveSections: a page of a sensor that runs does not speak of a capture, nor of a next run.
func TestLiveSections(t *testing.T) {
	m := model(3, 10)
	m.Live, m.Unused = true, []string{"ignore[0]"}
	m.Servers = slices.Repeat(m.Servers, 40)
	for i := range m.Servers {
		m.Servers[i].IP = address(i)
	}
	for name, want := range map[string]string{"servers": "they are in the events.", "limits": "Settings that may be missing"} {
		var b bytes.Buffer
		r := New(nil)
		if err := r.Section(&b, name, r.View(m, Options{})); err != nil {
			t.Fatal(err)
		}
		if s := b.String(); !strings.Contains(s, want) || strings.Contains(s, "on this capture") || strings.Contains(s, "JSON of the report") ||
			strings.Contains(s, "Run again") {
			t.Errorf("%s: %s", name, s)
		}
	}
}

// TestServerStates: the headline has the verdict about each declared mail server, and counts those that it has no room for.
func TestServerStates(t *testing.T) {
	m := model(1, 0)
	if list := New(nil).View(m, Options{}).ServerStates(); len(list) != 1 || list[0] != "Mail server 10.0.0.25: it sends as usual; it does not relay for strangers." {
		t.Errorf("%q", list)
	}
	m.Declared = []report.Declared{{IP: m.Servers[0].IP, Role: "mailserver"}, {IP: address(900), Role: "mailserver"}, {IP: address(901), Role: "scanner"},
		{IP: m.Hosts[0].IP, Role: "mailserver"}}
	for hosts, want := range map[int]string{1: "Mail server 10.1.3.132: no mail session of it was seen.|Mail server 10.1.0.0: whether it sends as usual is not known yet.",
		2: "Mail server 10.1.0.0: whether it sends as usual is not known yet."} { // with more hosts than the model has
		m.HostCount = hosts
		if list := New(nil).View(m, Options{}).ServerStates(); strings.Join(list[1:], "|") != want {
			t.Errorf("%d hosts: %q", hosts, list)
		}
	}
	m.Declared = nil
	for i := range 5 {
		s := m.Servers[0]
		s.IP = address(i)
		m.Servers = append(m.Servers, s)
	}
	if list := New(nil).View(m, Options{}).ServerStates(); len(list) != maxStates+1 || list[maxStates] != "and 3 more mail servers" {
		t.Errorf("%q", list)
	}
}

// TestFurtherRows: of many findings the table of the first can be seen at once, and that of the others is folded.
func TestFurtherRows(t *testing.T) {
	for findings, want := range map[int]int{1: 0, 30: 0, 31: 11, 500: 480, 900: 480} {
		v := New(nil).View(model(findings, 0), Options{})
		if n := len(v.FurtherRows()); n != want || len(v.FirstRows())+n != len(v.Rows) {
			t.Errorf("of %d findings %d are folded, want %d", findings, n, want)
		}
	}
}

// TestFold: advice that an earlier finding has is folded, and nothing of it is lost.
func TestFold(t *testing.T) {
	m := model(3, 0)
	for i, advice := range []string{"Find a. Block it. Clean it. Ask x.", "Find b. Block it. Clean it. Ask x.", "Find b. Block it. Find c. Block it. Clean it. End."} {
		m.Findings[i].Advice = advice
	}
	v := New(nil).View(m, Options{})
	for i, want := range []string{"1-4 as 0: Find a. Block it. Clean it. Ask x.", "1-1 as 0: Find b. | 2-4 as 1: Block it. Clean it. Ask x.",
		"1-3 as 0: Find b. Block it. Find c. | 4-5 as 1: Block it. Clean it. | 6-6 as 0: End."} {
		var parts []string
		for _, g := range v.Cards[i].StepGroups() {
			parts = append(parts, fmt.Sprintf("%d-%d as %d: %s", g.First, g.Last, g.Same, strings.Join(g.Steps, " ")))
		}
		if got := strings.Join(parts, " | "); got != want {
			t.Errorf("finding %d: %s, want %s", i+1, got, want)
		}
	}
	if groups := v.Card(m.Findings[1].ID).StepGroups(); len(groups) != 1 {
		t.Errorf("a finding alone on its page has %v", groups)
	}
}

// TestTogether: no line ends between a number and its unit.
func TestTogether(t *testing.T) {
	for text, want := range map[string]string{"in 35 s; a": "in 35\u00a0s; a", "1.5 MB.": "1.5\u00a0MB.", "2 servers": "2 servers", "5 % of": "5\u00a0% of", "(1,5 Mo)": "(1,5\u00a0Mo)", "port 25 so": "port 25 so"} {
		if got := together(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSize: a report of a big network is small enough to send, and says what it leaves out.
func TestSize(t *testing.T) {
	for _, c := range []struct{ findings, hosts, most int }{{0, 0, 20 << 10}, {1, 5000, 100 << 10}, {900, 0, 300 << 10}} {
		page := write(t, lang.English, model(c.findings, c.hosts))
		size := len(page)
		if c.hosts > 0 { // the model inside has a bound of its own
			size -= min(len(embeddedText(t, page)), maxData)
		}
		if size > c.most {
			t.Errorf("%d findings, %d hosts: %d bytes, want at most %d", c.findings, c.hosts, size, c.most)
		}
		m := data(t, page)
		if got := len(m.Findings) + m.MoreFindings; got != c.findings || m.HostCount != c.findings+c.hosts {
			t.Errorf("%d findings, %d hosts: the model inside has %d and %d", c.findings, c.hosts, got, m.HostCount)
		}
	}
}

// BenchmarkReport writes the report of a big network.
func BenchmarkReport(b *testing.B) {
	m := model(1, 5000)
	r := New(nil)
	for b.Loop() {
		if err := r.Report(io.Discard, m, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFast: a report of a big network is made in 50 ms. Other work on the machine counts only if it
// disturbs every attempt.
func TestFast(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes its own time")
	}
	r, m, best := New(nil), model(1, 5000), time.Hour
	for range 10 {
		began := time.Now()
		if err := r.Report(io.Discard, m, Options{}); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	if best > 50*time.Millisecond {
		t.Errorf("%v, want at most 50 ms", best)
	}
}

// TestResultOfSession: a session of which a message was accepted and a recipient refused says both.
func TestResultOfSession(t *testing.T) {
	m := model(1, 0)
	m.Findings[0].Proof[0].Code, m.Findings[0].Proof[0].Reply = 550, "no such user"
	for tag, want := range map[string]string{lang.English: "1 message accepted; refused with 550: <q><bdi>no such user</bdi></q>",
		lang.French: "1 message accepté\u00a0; refusé avec 550\u00a0: <q><bdi>no such user</bdi></q>"} {
		if page := write(t, tag, m); !strings.Contains(page, want) {
			t.Errorf("%s: the page lacks %q", tag, want)
		}
	}
}
