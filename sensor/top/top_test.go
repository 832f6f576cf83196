package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/lang/langtest"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
	"spamsensor/sensor/verdict"
)

// start is the time of the first packet of the models of tests.
var start = time.Date(2026, 11, 21, 20, 32, 49, 0, time.UTC)

// address is the nth address of an internal network.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) }

// finding is a finding about a host.
func finding(h report.Host) report.Finding {
	h.Level, h.Finding = "confirmed", "spambot-"+h.IP.String()
	f := report.Finding{Host: h, ID: h.Finding, Class: verdict.Spambot, Title: "confirmed spambot",
		What: "is a confirmed spambot", Severity: "critical", Open: true, OnLink: true,
		Decided: report.Decision{At: h.First + 2e9, Attempts: 4}, LastSign: h.Last,
		Advice: "Find out what it is. Block outgoing port 25 for all but your mail servers.",
		Blind:  []string{"of 48 sessions 1 was encrypted from the first byte"}}
	for i := range 5 {
		f.Reasons = append(f.Reasons, report.Reason{Weight: 3 - float64(i)/10, Text: fmt.Sprintf("Reason number %d.", i)})
	}
	for i := range 4 {
		f.Proof = append(f.Proof, report.Session{Start: h.First, Client: h.IP, Server: netip.MustParseAddrPort("198.18.3.17:25"),
			Helo: fmt.Sprintf("helo-%d", i), MailFrom: []string{"...@bank.example"}, TLS: "none", Code: 554, Reply: "5.7.1 blocked using list.example"})
	}
	return f
}

// answerOf is what a sensor says that has seen hosts, the first of them with findings.
func answerOf(findings, hosts int) *answer {
	first := report.Time(start.UnixNano())
	a := &answer{at: start.Add(time.Hour)}
	m := &a.model
	m.Live, m.Version, m.HostCount = true, "0.1.0", hosts
	m.Period = report.Period{First: first, Last: first + 3600e9}
	m.Headline = report.Headline{Alarm: report.Green, Sentence: "No host sends spam, as far as could be seen"}
	for i := range hosts {
		h := report.Host{IP: address(i), Role: "workstation", Level: "none", MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255),
			Input: "eth1", First: first, Last: first + report.Time(i)*1e9, Counts: report.Counts{Attempts: uint32(10 * (i + 1)),
				Sessions: uint32(i), DestIPs: 2, DestNets: 1 + i%3, Messages: uint32(hosts - i), Rejected: uint32(i % 7)}}
		if i < findings {
			f := finding(h)
			m.Findings = append(m.Findings, f)
			h = f.Host
		}
		m.Hosts = append(m.Hosts, h)
	}
	if findings > 0 {
		m.Headline = report.Headline{Alarm: report.Red, Sentence: "1 host sends spam: 10.1.0.0", More: []string{"For information: 10.1.0.1"}}
	}
	a.status = status.Status{Run: "r", Now: start.Add(time.Hour), Frames: 1000,
		Interfaces: []status.Interface{{Name: "eth1", Frames: 1000, KernelDrops: 3, InterfaceDrops: 4}}}
	return a
}

// shown is a view on a simulated screen.
type shown struct {
	*view
	t      testing.TB
	screen tcell.SimulationScreen
}

func show(t testing.TB, a *answer, w, h int, o Options) *shown {
	t.Helper()
	screen := tcell.NewSimulationScreen("")
	if err := screen.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(screen.Fini)
	screen.SetSize(w, h)
	o.Zone = time.UTC
	if o.Sensor == nil {
		o.Sensor = &fake{answer: a}
	}
	s := &shown{newView(&o), t, screen}
	s.now = func() time.Time { return start.Add(time.Hour + 12*time.Second) }
	s.update(a)
	return s
}

// press presses keys: letters, or the named keys of a field of its own, as in "j <enter>".
func (s *shown) press(keys string) *shown {
	named := map[string]tcell.Key{"<enter>": tcell.KeyEnter, "<esc>": tcell.KeyEscape, "<down>": tcell.KeyDown, "<up>": tcell.KeyUp,
		"<right>": tcell.KeyRight, "<end>": tcell.KeyEnd, "<home>": tcell.KeyHome, "<pgdn>": tcell.KeyPgDn, "<bs>": tcell.KeyBackspace2}
	s.text()
	for f := range strings.FieldsSeq(keys) {
		if k, ok := named[f]; ok {
			s.key(tcell.NewEventKey(k, 0, tcell.ModNone))
			s.text()
			continue
		}
		for _, r := range f {
			s.key(tcell.NewEventKey(tcell.KeyRune, r, tcell.ModNone))
			s.text()
		}
	}
	return s
}

// lines are what is on the screen.
func (s *shown) lines() []string {
	w, h := s.screen.Size()
	s.SetRect(0, 0, w, h)
	s.screen.Clear()
	s.Draw(s.screen)
	s.screen.Show()
	return screenLines(s.screen)
}

func screenLines(screen tcell.SimulationScreen) []string {
	cells, w, h := screen.GetContents()
	list := make([]string, h)
	for y := range h {
		var b strings.Builder
		for x := 0; x < w; x++ {
			c := string(cells[y*w+x].Runes)
			b.WriteString(c)
			x += max(width(c)-1, 0) // a wide character has two cells
		}
		list[y] = strings.TrimRight(b.String(), " ")
	}
	return list
}

func (s *shown) text() string { return strings.Join(s.lines(), "\n") }

// want checks that texts are on the screen.
func (s *shown) want(texts ...string) *shown {
	s.t.Helper()
	screen := s.text()
	for _, x := range texts {
		if !strings.Contains(screen, x) {
			s.t.Errorf("no %q on the screen:\n%s", x, screen)
		}
	}
	return s
}

// wantNot checks that texts are not on the screen.
func (s *shown) wantNot(texts ...string) *shown {
	s.t.Helper()
	screen := s.text()
	for _, x := range texts {
		if strings.Contains(screen, x) {
			s.t.Errorf("%q on the screen:\n%s", x, screen)
		}
	}
	return s
}

// order are the hosts of the table, as far as they are on the screen.
func (s *shown) order() (list []string) {
	for _, r := range s.hosts.shown {
		list = append(list, strings.TrimPrefix(r.name, "10.1."))
	}
	return list
}

// TestTenSeconds: which host, since when, why and what to do are on the first screen, without a key.
func TestTenSeconds(t *testing.T) {
	s := show(t, answerOf(1, 3), 80, 24, Options{})
	s.want(" ALARM ", "1 host sends spam: 10.1.0.0", "Mirror eth1, 7 packets lost, no problem known", "3 hosts, the worst first",
		"10.1.0.0 confirmed       10", "confirmed spambot", "10.1.0.0 is a confirmed spambot, severity critical", "MAC 02:00:00:00:00:00",
		"2026-11-21 20:32:49, last seen 20:32:49; decided after 4 attempts", "Why      - Reason number 0.", "and 3 more reasons (key e)",
		"Do       - Find out what it is.", "- Block outgoing port 25", "Proof    - 2026-11-21 20:32:49 to server 198.18.3.17:25 as helo-0",
		"q quit  ? help  Enter pane  e evidence")
	if n := len(s.lines()); n != 24 {
		t.Errorf("%d lines", n)
	}
	// The hosts without a finding come in the order of the model.
	if got := fmt.Sprint(s.order()); got != "[0.0 0.1 0.2]" {
		t.Errorf("order: %s", got)
	}
	s.press("<down>").want("10.1.0.1: nothing that suffices for a finding", "20 attempts, 2 servers, 2 networks, 1 session",
		"spamsensor explain 10.1.0.1 says").wantNot("is a confirmed spambot")
}

func TestNoHosts(t *testing.T) {
	s := show(t, answerOf(0, 0), 80, 24, Options{})
	s.want(" NO ALARM ", "0 hosts, the worst first", "No host has opened a connection to a mail port.").
		press("<down> <enter> e x s r 3 <enter> <end> / x <enter>").want("No host matches.")
}

// TestSort: each key sorts by its column, the same key again in reverse; s goes through all.
func TestSort(t *testing.T) {
	s := show(t, answerOf(1, 4), 140, 40, Options{})
	for _, c := range []struct{ keys, order, heading string }{
		{"", "[0.0 0.1 0.2 0.3]", "#▲"},
		{"1", "[0.3 0.2 0.1 0.0]", "#▼"},
		{"2", "[0.0 0.1 0.2 0.3]", "Host▲"},
		{"3", "[0.3 0.2 0.1 0.0]", "Attempts▼"},
		{"3", "[0.0 0.1 0.2 0.3]", "Attempts▲"},
		{"4", "[0.2 0.1 0.0 0.3]", "Networks▼"},
		{"5", "[0.3 0.2 0.1 0.0]", "Sessions▼"},
		{"6", "[0.0 0.1 0.2 0.3]", "Accepted▼"},
		{"7", "[0.3 0.2 0.1 0.0]", "Refusals▼"},
		{"8", "[0.3 0.2 0.1 0.0]", "Seen▼"},
		{"r", "[0.0 0.1 0.2 0.3]", "Seen▲"},
		{"s", "[0.0 0.1 0.2 0.3]", "#▲"},
		{"s s", "[0.3 0.2 0.1 0.0]", "Attempts▼"},
	} {
		s.press(c.keys).want(c.heading)
		if got := fmt.Sprint(s.order()); got != c.order {
			t.Errorf("key %q: order %s, want %s", c.keys, got, c.order)
		}
	}
	s.want("sorted by attempts").press("9 0").want("Attempts▼")
}

// TestFilter: what is typed filters at once; networks too; Esc and x show all.
func TestFilter(t *testing.T) {
	s := show(t, answerOf(2, 600), 80, 24, Options{})
	for _, c := range []struct {
		keys string
		n    int
	}{{"/ 10.1.2. <enter>", 88}, {"<esc>", 600}, {"/ CONFIRM", 2}, {"<esc>", 600}, {"/ 10.1.1.0/24 <enter>", 256}, {"<esc>", 600},
		{"/ 02:00:00:00:01:2b <enter>", 1}, {"/ <bs> <enter>", 16}, {"<esc> / spambot <enter>", 2}, {"<esc> / [red] <enter>", 0}} {
		if s.press(c.keys); len(s.hosts.shown) != c.n {
			t.Errorf("after %q %d hosts, want %d:\n%s", c.keys, len(s.hosts.shown), c.n, s.text())
		}
	}
	s.want(`hosts shown: 0 of 600 with "[red]" (Esc: all)`, "No host matches.")
}

// TestPane: Enter closes and opens the pane; e shows all evidence, and scrolls.
func TestPane(t *testing.T) {
	s := show(t, answerOf(1, 3), 80, 24, Options{})
	s.press("<enter>").wantNot("Why", "Do  ").press("<enter>").want("Why")
	s.press("e").want("Reason number 4.").wantNot("#▲", "Limits").press("<end>").want("Limits   - of 48 sessions 1 was", "10 attempts, 2 servers").
		wantNot("is a confirmed spambot").press("g").want("is a confirmed spambot").press("j").wantNot("is a confirmed spambot").
		press("<esc>").want("#▲", "is a confirmed spambot")
	s.press("?").want("open or close the pane", "1 #, 2 Host, 3 Attempts", "Any key: back").press("q").want("#▲")
	quit := false
	s.quit = func() { quit = true }
	if s.press("q"); !quit {
		t.Error("q does not quit")
	}
}

// TestExplain: x asks the sensor what speaks for and against the host.
func TestExplain(t *testing.T) {
	sensor := &fake{answer: answerOf(1, 3)}
	s := show(t, sensor.answer, 80, 24, Options{Sensor: sensor})
	s.press("<down> x").want("Host          10.1.0.1", "nothing that suffices for a finding, score -2.5", "-1.0  [red]It is quiet.", "Esc back").
		press("<esc>").want("#▲")
	sensor.set(nil, errors.New("cannot ask the sensor"))
	s.press("x").want("cannot ask the sensor").press("q").want("#▲")
	s.apart = func(func()) {} // it takes long
	s.press("x").want("The sensor is asked about 10.1.0.1.").press("x").want("#▲")
}

// TestFollow: the selection follows the host that was chosen; nobody's choice is the worst host.
func TestFollow(t *testing.T) {
	s := show(t, answerOf(0, 3), 80, 24, Options{})
	worse := answerOf(0, 3)
	worse.model.Findings = []report.Finding{finding(worse.model.Hosts[2])}
	s.update(worse)
	s.want("10.1.0.2 is a confirmed spambot")
	s.press("<down>").want("10.1.0.0: nothing")
	s.update(answerOf(0, 3))
	s.want("10.1.0.0: nothing").press("<end>").want("10.1.0.2: nothing")
	s.update(worse)
	s.want("10.1.0.2 is a confirmed spambot")
	s.update(answerOf(0, 1)) // it is gone
	s.want("10.1.0.0: nothing")
}

// TestSizes: at each size nothing is drawn outside, and the most important columns are there.
func TestSizes(t *testing.T) {
	a := answerOf(1, 50)
	h := &a.model.Hosts[1]
	h.IP = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	long := netip.MustParseAddr("fd00:1111:2222:3333:4444:5555:6666:7777")
	a.model.Hosts[0].IP, a.model.Findings[0].IP = long, long
	for _, w := range []int{1, 39, 40, 41, 60, 79, 80, 100, 200} {
		for _, h := range []int{1, 9, 10, 11, 12, 24, 50} {
			s := show(t, a, w, h, Options{Color: true})
			s.lines()
			s.press("e <end> <esc> x <end> q ? q / x <esc>")
		}
	}
	s := show(t, a, 80, 24, Options{})
	s.want("2001:db8:1111:2222:3333:4444:5555:6666", long.String(), "Attempts", "confirmed spambot\n").wantNot("Networks")
	s.press("4").want("Networks▼").wantNot("Sessions", "Seen")
	show(t, a, 140, 40, Options{}).want("Networks", "Sessions", "Accepted", "Refusals", "Seen", "Finding")
	show(t, a, 30, 24, Options{}).want("The terminal is too small.")
}

// TestResize: a screen that changes its size is drawn for the new one.
func TestResize(t *testing.T) {
	s := show(t, answerOf(1, 50), 80, 24, Options{})
	s.wantNot("Networks")
	s.screen.SetSize(140, 40)
	s.want("Networks")
	s.screen.SetSize(80, 24)
	s.wantNot("Networks").want("q quit")
}

// TestHostile: texts from the wire are drawn as they are: no tag of tview has an effect, and no
// control character moves anything.
func TestHostile(t *testing.T) {
	for _, text := range []string{"[red]", "[red[]", "[::b]", "[:::http://evil.example/]", "[:::http://[x]", `["region"]x[""]`, "[-:-:-]", "[", "[]", "]]",
		"<script>alert(1)</script>", "%s%d%!", "a\u202eb", "日本語のサーバー", "e\u0301", "👩‍👩‍👧", "[#ff0000:blue]x"} {
		a := answerOf(1, 1)
		f := &a.model.Findings[0]
		f.Proof[0].Helo, f.Reasons[0].Text, f.Input = text, text, text
		a.model.Hosts[0].Input = "eth1"
		s := show(t, a, 100, 40, Options{Color: true})
		want := strings.NewReplacer("\u202e", "").Replace(text)
		if got := strings.Count(s.text(), want); got < 3 {
			t.Errorf("%q is %d times on the screen:\n%s", text, got, s.text())
		}
		if strings.ContainsRune(s.text(), '\u202e') {
			t.Errorf("%q: its direction has an effect", text)
		}
		cells, _, _ := s.screen.GetContents()
		for _, c := range cells {
			if fg, bg, attr := c.Style.Decompose(); bg != tcell.ColorDefault && bg != tcell.ColorMaroon || fg == tcell.ColorRed ||
				attr&tcell.AttrUnderline != 0 {
				t.Fatalf("%q changes a style", text)
			}
		}
		s.press("e").want(want)
	}
	a := answerOf(1, 1)
	long := strings.Repeat("x", 253)
	a.model.Findings[0].Proof[0].Helo, a.model.Findings[0].Title, a.model.Sensor = long, long, long
	a.status.Interfaces[0].Name, a.model.Headline.Sentence = long, long
	a.status.Health = []status.Health{{Text: long, Hint: long}}
	show(t, a, 80, 24, Options{}).want("…\n", " PROBLEM ", "q quit")
}

// TestNotes: what is wrong with the sensor, the files or the answer is said above the table.
func TestNotes(t *testing.T) {
	a := answerOf(1, 3)
	a.status.Health = []status.Health{{Check: "no_packets", Text: "no packet has come for 60 s", Hint: "Look at the mirror port."}, {Text: "x"}}
	a.status.Interfaces[0].Problem = "is down"
	a.model.Input.Problems = []string{"x.pcap: cut off"}
	a.model.HostCount, a.model.MoreFindings = 10, 1
	show(t, a, 44, 24, Options{}).want("packet has come for 60 s – Look a…\n UNREAD ", "10.1.0.0 is a confirmed spambot, severity\ncritical\n")
	s := show(t, a, 120, 40, Options{})
	s.want("Mirror eth1 (is down), 7 packets lost, 2 problems", " PROBLEM ", "no packet has come for 60 s – Look at the mirror port.",
		"(and 1 more: spamsensor status)", " UNREAD  x.pcap: cut off", "and 7 others that are not shown", "and 1 finding that are not shown")
	b := answerOf(1, 3)
	b.status.Now, b.status.Frames = b.status.Now.Add(2*time.Second), 4000
	s.update(b)
	s.want("Mirror eth1, 1,500 packets/s, 7 packets lost, no problem known  21:32:51 UTC")
	s.press("p").want(" PAUSED  at 21:32:51; key p goes on").press("p").wantNot("PAUSED")
	s.dead = errors.New("cannot ask the sensor on /x: no sensor runs there")
	s.want(" NO ANSWER ", "since 21:32:49 (12 s)", "no sensor runs there")
	s.update(b)
	s.wantNot("NO ANSWER")
	b.model.Live, s.o.Files = false, []string{"a.pcap"}
	b.model.Input.Frames = 979
	s.want("Capture a.pcap: 979 packets, 2026-11-21 20:32:49 – 21:32:49 UTC")
	s.o.Files[0] = strings.Repeat("x", 200)
	s.want("xxx…: 979 packets, 2026-11-21 20:32:49 – 21:32:49 UTC\n")
}

// TestServers: findings about a mail server, findings that are ignored or acknowledged, and a host
// that is known from its finding only.
func TestServers(t *testing.T) {
	a := answerOf(0, 2)
	m := &a.model
	f := finding(m.Hosts[1])
	f.Class, f.Title, f.What, f.Severity = verdict.OpenRelay, "open relay", "relays mail for external clients", "high"
	f.Ack = &report.Ack{By: "anna", Why: "is on it", At: m.Period.Last}
	f.Proof[0].Client = netip.MustParseAddr("198.51.100.9")
	second := finding(m.Hosts[1])
	only := finding(report.Host{IP: netip.MustParseAddr("10.9.9.9")})
	only.Over = true
	m.Findings = []report.Finding{f, second, only}
	g := finding(m.Hosts[0])
	g.Ignored = &report.Ignored{Why: "test machine", Until: m.Period.Last}
	m.Ignored = []report.Finding{g}
	m.Servers = []report.Server{{IP: m.Hosts[1].IP, Sent: 1200, Failed: 7}}
	m.Hosts = append(m.Hosts, m.Hosts[0])
	m.Hosts[0].VLAN, m.Hosts[2].VLAN = []uint16{3}, []uint16{4}
	s := show(t, a, 140, 60, Options{})
	s.want("open relay, somebody looks after it (+1)", "confirmed spambot, no sign for 24 hours", "confirmed spambot, ignored",
		"Mail server 10.1.0.1 relays mail", "by anna since 2026-11-21 21:32:49: is on it", "from client 198.51.100.9",
		"10.1.0.1 is a confirmed spambot", "as a mail server: 1,200 messages sent, 0 received, 7 failed",
		"10.1.0.0 VLAN 3", "10.1.0.0 VLAN 4", "4 hosts")
	if got := fmt.Sprint(s.order()); got != "[0.1 10.9.9.9 0.0 VLAN 3 0.0 VLAN 4]" {
		t.Errorf("order: %s", got)
	}
	s.press("<end>").want("test machine (until 2026-11-21 21:32:49)")
}

// TestFrench: nothing that this package writes stays English.
func TestFrench(t *testing.T) {
	p := lang.New(lang.French)
	a := answerOf(1, 3)
	s := show(t, a, 80, 24, Options{Lang: p})
	s.want(" ALERTE ", p.Sentence(a.model.Headline.Sentence), "Port miroir eth1, 7 paquets perdus, aucun problème connu", "Machine", "Tentatives",
		"confirmé", "gravité critique", "Pourquoi", "À faire", "Bloquez le port 25 sortant", "q quitter", "s trier")
	s.press("?").want("ouvrir ou fermer le volet", "réponses qui ont refusé", "Une touche\u00a0: retour")
	for _, p := range []*lang.Printer{nil, p} {
		s.o.Lang, s.mode = p, browsing
		if l := s.lines(); strings.Contains(l[len(l)-1], "…") {
			t.Errorf("the keys do not fit: %s", l[len(l)-1])
		}
	}
}

// TestColor: without colours there are none, and the words are the same.
func TestColor(t *testing.T) {
	for _, color := range []bool{true, false} {
		s := show(t, answerOf(1, 3), 80, 24, Options{Color: color})
		s.lines()
		found := false
		cells, _, _ := s.screen.GetContents()
		for _, c := range cells {
			fg, bg, _ := c.Style.Decompose()
			found = found || fg != tcell.ColorDefault || bg != tcell.ColorDefault
		}
		if found != color {
			t.Errorf("color %v: colours on the screen: %v", color, found)
		}
	}
}

// fake is a sensor that answers, or not.
type fake struct {
	mu     sync.Mutex
	answer *answer
	err    error
	asked  int
}

func (f *fake) Get(_ context.Context, path string, result any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.err != nil {
		return f.err
	}
	var x any = &f.answer.model
	switch {
	case path == "status":
		x = &f.answer.status
	case strings.HasPrefix(path, "explain/"):
		x = map[string]any{"ip": path[8:], "hosts": []json.RawMessage{json.RawMessage(`{"src_ip":"` + path[8:] +
			`","finding":{"action":"explained","level":"none","score":-2.5,"reasons":[{"code":"x","weight":-1,"text":"[red]It is quiet."}]}}`)}}
	}
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, result)
}

func (f *fake) set(a *answer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.err = a, err
}

// drawn keeps what was drawn last.
type drawn struct {
	tcell.SimulationScreen
	text atomic.Pointer[string]
}

// Show implements tcell.Screen.
func (d *drawn) Show() {
	d.SimulationScreen.Show()
	text := strings.Join(screenLines(d), "\n")
	d.text.Store(&text)
}

// TestRun runs the whole: a sensor answers, finds something, dies, comes back; q ends it.
func TestRun(t *testing.T) {
	sensor := &fake{answer: answerOf(0, 3)}
	screen := &drawn{SimulationScreen: tcell.NewSimulationScreen("")}
	done := make(chan error, 1)
	go func() {
		done <- Run(t.Context(), Options{Sensor: sensor, Zone: time.UTC, Screen: screen, Every: 10 * time.Millisecond})
	}()
	wait := func(want string) {
		t.Helper()
		var text string
		for range 500 {
			if s := screen.text.Load(); s != nil {
				if text = *s; strings.Contains(text, want) {
					return
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("no %q on the screen:\n%s", want, text)
	}
	wait("NO ALARM")
	sensor.set(answerOf(1, 3), nil)
	wait("1 host sends spam")
	sensor.set(nil, errors.New("gone"))
	wait("NO ANSWER")
	sensor.set(answerOf(1, 2), nil)
	wait("2 hosts")
	screen.InjectKey(tcell.KeyRune, 'p', tcell.ModNone)
	wait("PAUSED")
	sensor.set(answerOf(1, 5), nil)
	screen.InjectKey(tcell.KeyRune, 'p', tcell.ModNone)
	wait("5 hosts")
	screen.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestEnd: the end of the context ends it, and a sensor that never answered is an error.
func TestEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{Sensor: &fake{answer: answerOf(0, 3)}, Zone: time.UTC, Screen: tcell.NewSimulationScreen("")})
	}()
	time.Sleep(50 * time.Millisecond)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
	want := errors.New("no sensor")
	if err := Run(t.Context(), Options{Sensor: &fake{err: want}, Screen: tcell.NewSimulationScreen("")}); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// BenchmarkDraw draws 5,000 hosts; BenchmarkUpdate takes an answer about them.
func BenchmarkDraw(b *testing.B) {
	s := show(b, answerOf(20, 5000), 140, 40, Options{Color: true})
	s.SetRect(0, 0, 140, 40)
	for b.Loop() {
		s.screen.Clear()
		s.Draw(s.screen)
		s.screen.Show()
	}
}

func BenchmarkUpdate(b *testing.B) {
	a := answerOf(20, 5000)
	s := show(b, a, 140, 40, Options{Color: true, Lang: lang.New(lang.French)})
	for b.Loop() {
		s.update(a)
	}
}

// TestTranslated: every text that the package gives a Printer has a French one, and so have those of
// its tables.
func TestTranslated(t *testing.T) {
	known := langtest.Translations(t, "../lang/fr")
	var list []string
	for _, k := range keyTexts {
		list = append(list, k.text)
	}
	for a := range alarmColor {
		list = append(list, a.Word())
	}
	list = append(list, "Do", "Why", "Proof", "Limits", "suspect", "likely", "confirmed", "info", "low", "medium", "high", "critical")
	takes := map[string]bool{"Text": true, "Sprintf": true, "Plural": true, "number": true, "field": true, "item": true, "note": true, "badge": true}
	langtest.Walk(t, func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || !takes[langtest.Called(call)] {
			return
		}
		for _, a := range call.Args {
			if s, ok := langtest.Literal(a); ok && s != "" {
				list = append(list, s)
			}
		}
	})
	if len(list) < 80 {
		t.Fatalf("only %d texts", len(list))
	}
	for _, s := range list {
		if _, ok := known[s]; !ok {
			t.Errorf("no French for %q", s)
		}
	}
}

// TestCut: a text is cut to columns, not to characters, and says that it was.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		text      string
		n         int
		cut, more string
	}{{"abc", 3, "abc", "ab…"}, {"abcd", 3, "ab…", "ab…"}, {"abc", 5, "abc", "abc …"}, {"日本語", 6, "日本語", "日本…"},
		{"日本語", 5, "日本…", "日本…"}, {"日本語", 4, "日…", "日…"}, {"", 3, "", " …"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…", "e\u0301…"}} {
		if got := cut(c.text, c.n); got != c.cut || width(got) > c.n {
			t.Errorf("cut(%q, %d) = %q, want %q", c.text, c.n, got, c.cut)
		}
		if got := ellipsis(c.text, c.n); got != c.more || width(got) > c.n {
			t.Errorf("ellipsis(%q, %d) = %q, want %q", c.text, c.n, got, c.more)
		}
	}
}
