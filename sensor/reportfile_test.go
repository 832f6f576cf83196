package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gdamore/tcell/v2"

	"spamsensor/sensor/report"
	"spamsensor/sensor/top"
)

// TestReportFile: the commands that ask answer from an HTML and from a JSON report as from the
// capture, where a report has the answer, and else say that it has none.
func TestReportFile(t *testing.T) {
	dir := t.TempDir()
	page, model := filepath.Join(dir, "a.html"), filepath.Join(dir, "a.json")
	if code, _, said := asked(t, "read", "testdata/bot.pcap", "-q", "--html", page, "--json", model); code != exitOK {
		t.Fatal(code, said)
	}
	const bot, capture = "spambot-192.168.77.66-1795293169", "testdata/bot.pcap"
	for _, x := range []struct {
		args string
		code int
		want string // empty is what the capture answers
	}{
		{"playbook " + bot, exitOK, ""},
		{"playbook 192.168.77.66 --lang fr -o json", exitOK, ""},
		{"rules nftables", exitOK, ""},
		{"rules IOS -o json", exitOK, ""},
		{"sources", exitOK, ""},
		{"sources -o csv", exitOK, ""},
		{"findings", exitOK, "spambot-192.168.77.66-1795293169 open"},
		{"findings -o csv", exitOK, bot + ",open,2026-11-21 20:32:50 UTC,192.168.77.66"}, // its first sign
		{"finding " + bot, exitOK, "Judged confirmed spambot, severity critical"},
		{"finding x", exitUsage, "no finding with this id"},
		{"explain 192.168.77.66", exitOK, "56 different mail networks, at least 25 of them"},
		{"explain 192.168.77.10", exitOK, "a report has no reasons of a host without a finding"},
		{"explain 192.0.2.1", exitOK, "no connection of it to a mail port is known, from 2026-11-21"},
		{"explain 192.168.77.66 -o json", exitUsage, "a report has no events; read --json"},
		{"status", exitUsage, "a report does not say how the sensor is"},
		{"verify 192.168.77.66", exitFindings, "Attempts not counted by time"},
		{"verify 192.168.77.25", exitUnknown, "It was watched for 37 s only"},
		{"verify 192.168.77.1", exitUnknown, "The sensor has never seen a connection"},
	} {
		args := strings.Fields(x.args)
		for _, file := range []string{page, model} {
			code, out, said := asked(t, append(args, "-r", file)...)
			if x.want == "" {
				_, x.want, _ = asked(t, append(args, "-r", capture)...)
			}
			if text := strings.Join(strings.Fields(out+said), " "); code != x.code ||
				!strings.Contains(text, strings.Join(strings.Fields(x.want), " ")) {
				t.Errorf("%s: %d %s, want %d %s", x.args, code, text, x.code, x.want)
			}
		}
	}
	// Nothing later than a report is known, which leads nowhere.
	for _, id := range []string{"192.168.77.66", "192.168.77.25"} {
		if _, out, _ := asked(t, "explain", id, "-r", page); !strings.Contains(out, "Judged") || strings.Contains(out, "Counted until") {
			t.Errorf("explain %s: %s", id, out)
		}
	}
	other := written(t, filepath.Join(dir, "b.html"), "<!DOCTYPE html><p>x")
	damaged := written(t, filepath.Join(dir, "c.json"), `{"spamsensor": "1`)
	foreign := written(t, filepath.Join(dir, "d.json"), `{"spamsensor": "9", "findings": [{"class": "x"}]}`)
	empty := strings.Repeat("{},", maxModel/entrySize) + "{}"
	for want, files := range map[string][]string{
		"f.json is too big to be read": {written(t, filepath.Join(dir, "f.json"), `{"spamsensor": "1", "findings": [`+empty+`]}`)},
		"g.html is too big to be read": {written(t, filepath.Join(dir, "g.html"),
			`<!doctype html><script type="application/json" id="model">{"spamsensor": "1"`+strings.Repeat(" ", maxEmbedded)+`}</script>`)},
		"h.json is too big to be read":                           {written(t, filepath.Join(dir, "h.json"), `{"spamsensor": "1"}`+strings.Repeat(" ", maxReport))},
		"b.html is neither a capture nor a report of spamsensor": {other},
		"c.json is damaged":                                      {damaged},
		"which spamsensor 9 wrote, cannot be read":               {foreign},
		"a report cannot be joined with others":                  {capture, page},
	} {
		args := []string{"findings"}
		for _, f := range files {
			args = append(args, "-r", f)
		}
		if code, out, said := asked(t, args...); code != exitUsage || !strings.Contains(said, want) {
			t.Errorf("%v: %d %s%s, want %q", files, code, out, said, want)
		}
	}
}

// TestShortReport: a report that was shortened says so, and does not call a host unseen that it may
// lack.
func TestShortReport(t *testing.T) {
	m := &report.Model{Version: "1.0", LeftOut: &report.LeftOut{Hosts: 7, Servers: 2},
		Hosts: []report.Host{{IP: netip.MustParseAddr("192.0.2.9"), Role: "workstation", Level: "suspect", Outside: true, Finding: "direct_smtp-192.0.2.9-1"}}}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	name := written(t, t.TempDir()+"/short.json", string(text))
	for args, want := range map[string]string{
		"verify 192.0.2.1":            "one of those that are left out",
		"verify 192.0.2.9":            "The finding direct_smtp-192.0.2.9-1 about it is left out",
		"explain 192.0.2.1":           "; the report was shortened, and may lack it",
		"explain 192.0.2.9":           "the finding direct_smtp-192.0.2.9-1 about it was left out when the report was shortened",
		"explain 192.0.2.9 --lang en": "Judged suspect direct smtp, score 0.0",
		"rules nftables":              "CHECK (1 host): their findings are left out of this report",
		"findings":                    "was shortened, and lacks: 7 hosts, 2 mail servers",
		"rules pf":                    "2 mail servers more. Those that are not declared are cut.",
	} {
		_, out, said := asked(t, append(strings.Fields(args), "-r", name)...)
		if all := strings.Join(strings.Fields(strings.ReplaceAll(out+said, "\n#", " ")), " "); !strings.Contains(all, want) {
			t.Errorf("%s: %s, want %q", args, all, want)
		}
	}
	var a app
	a.stderr = t.Output()
	sensor, err := a.fromReport(&askOptions{files: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	shown := shownByTop(t, top.Options{Sensor: sensor, Files: []string{"short.json"}, Report: true})
	for _, want := range []string{"SHORTENED  the report lacks 7 hosts, 2 mail servers", "Report short.json: 0 packets"} {
		if !strings.Contains(shown, want) {
			t.Errorf("top shows no %q:\n%s", want, shown)
		}
	}
}

// TestForgedReport: texts of a report that somebody made up do nothing to the terminal, and get into
// no command.
func TestForgedReport(t *testing.T) {
	page := filepath.Join(t.TempDir(), "a.html")
	if code, _, said := asked(t, "read", "testdata/bot.pcap", "-q", "--html", page); code != exitOK {
		t.Fatal(code, said)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.NewReplacer(`"title":"`, `"title":"\u001b[2J\u202e\n`, `"text":"`, `"text":"\u001b]0;x\u0007`,
		`"helo":"`, `"helo":"\u001b[1m`, `"mac":"`, `"mac":"$(reboot)`, `"role":"`, `"role":"\u001b[31m`).Replace(string(text))
	if err := os.WriteFile(page, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"findings", "sources", "explain 192.168.77.66", "playbook 192.168.77.66", "verify 192.168.77.66", "rules nftables", "rules IOS"} {
		code, out, said := asked(t, append(strings.Fields(args), "-r", page)...)
		if code != exitOK && code != exitFindings || strings.ContainsAny(out+said, "\x1b\a\u202e") {
			t.Errorf("%s: %d %q", args, code, out+said)
		}
		for l := range strings.Lines(out) {
			if strings.Contains(l, "reboot") && args[:4] == "play" {
				t.Errorf("%s: %s", args, l)
			}
		}
	}
}

// TestStateInReport: what became of a finding is as the report has it.
func TestStateInReport(t *testing.T) {
	m := &report.Model{Version: "1.0"}
	for i, x := range []report.Finding{{CloseReason: "evicted"}, {CloseReason: "end_of_input"}, {CloseReason: "mac_changed", Open: true}, {Open: true}} {
		x.IP, x.ID, x.Level, x.Severity = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), fmt.Sprint("spambot-", i), "confirmed", "high"
		m.Findings = append(m.Findings, x)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	name := written(t, t.TempDir()+"/a.json", string(text))
	for i, want := range []string{"spambot-0, closed: evicted", "spambot-1, open", "spambot-2, open", "spambot-3, open"} {
		if _, out, _ := asked(t, "explain", m.Findings[i].IP.String(), "-r", name); !strings.Contains(out, want+"\n") {
			t.Errorf("%s, want %q", out, want)
		}
	}
}

// TestHarmless: texts with control characters are made safe, all else of a JSON text stays.
func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": ["b", 1.50, null], "c\"": "d\\"}`: `{"a": ["b", 1.50, null], "c\"": "d\\"}`,
		`["é", "\u00e9", "x"]`:                   `["é", "é", "x"]`,
		`["\u001b[2J", "y"]`:                     `["\\x1b[2J", "y"]`,
		"[\"\u202e\", \"\x7f\", 7]":              "",
		`17`:                                     `17`,
	} {
		got := string(harmless([]byte(text)))
		if want != "" && got != want || !json.Valid([]byte(got)) || strings.ContainsAny(got, "\x1b\u202e\x7f") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestModelSize: what a model is said to take is no less than what its entries take.
func TestModelSize(t *testing.T) {
	if n := unsafe.Sizeof(report.Finding{}); n > entrySize+objectSize {
		t.Errorf("a finding takes %d bytes", n)
	}
	if n := modelSize([]byte(`{"a": [{}, {"b": [{}, "{\",{"]}]}`)); n != 3*entrySize+6*objectSize+2*valueSize {
		t.Errorf("%d bytes", n)
	}
}

// shownByTop is what top shows once it is drawn.
func shownByTop(t *testing.T, o top.Options) (shown string) {
	t.Helper()
	screen := &drawn{SimulationScreen: tcell.NewSimulationScreen("")}
	o.Screen, o.Zone = screen, time.UTC
	done := make(chan error, 1)
	go func() { done <- top.Run(t.Context(), o) }()
	shown = screen.wait("q quit")
	screen.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
	if err := <-done; err != nil {
		t.Error(err)
	}
	return shown
}
