package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// TestTerminal checks the lines for a person: a headline for each finding, reasons and advice for
// those that matter, none for one that another replaces.
func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	screen := &terminal{out: &out, width: 60}
	f := &finding.Finding{ID: "a", Action: finding.Opened, Class: verdict.Spambot,
		Level: verdict.Likely, Severity: verdict.High, Advice: "Take it off the network.",
		Reasons: []finding.ReasonText{{Text: strings.Repeat("many words ", 12)}, {Text: "two"},
			{Text: "three"}, {Text: "four"}}}
	screen.finding(f)
	s := out.String()
	for _, want := range []string{"very likely sends spam", "- many words", "- three", "and 1 more reason,", "Do: Take it off"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing:\n%s", want, s)
		}
	}
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, " ") && len(line) > 61 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	out.Reset()
	f.Action, f.CloseReason = finding.Closed, "superseded"
	if screen.finding(f); out.Len() > 0 {
		t.Errorf("a replaced finding is shown: %s", out.String())
	}
	f.CloseReason = "quiet"
	if screen.finding(f); !strings.Contains(out.String(), "is closed (quiet)") {
		t.Errorf("the end is not shown: %s", out.String())
	}
	(*terminal)(nil).finding(f) // standard output is no terminal
}

// The lines are in the language of the user.
func TestTerminalFrench(t *testing.T) {
	var out bytes.Buffer
	screen := &terminal{out: &out, words: lang.New(lang.French)}
	f := &finding.Finding{ID: "a", Action: finding.Opened, Class: verdict.Spambot, Level: verdict.Likely, Severity: verdict.High,
		Advice:  "Block outgoing port 25 for all but your mail servers.",
		Reasons: []finding.ReasonText{{Text: "The machine is infected although its mail is blocked."}, {}, {}, {}, {}}}
	f.Source.Counters.Attempts, f.Source.DestNets = 4, 1
	screen.finding(f)
	screen.heartbeat(0, "listening: 12345 frames of mail, DNS and connections, 2 connections to mail servers since the last line; "+
		"1 finding is open, the highest severity is high; 1 health check raised")
	screen.heartbeat(0, "listening: 1 frames of mail, DNS and connections, 2 connections to mail servers since the last line; no finding is open")
	s := strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(out.String())
	for _, want := range []string{" envoie très probablement du spam (4 tentatives vers 1 réseau)\n", "- La machine est infectée, même si", "- et 2 autres raisons, dans les événements\n",
		"          À faire : Bloquez le port 25", "à l'écoute : 12 345 trames", "dernière ligne ; ouverts : 1 constat, gravité la plus haute : élevée ; 1 contrôle de santé en alerte\n",
		"dernière ligne ; aucun constat n'est ouvert\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing:\n%s", want, s)
		}
	}
}

// TestHeartbeat checks that a line comes once an hour in the log, and once a minute on a terminal,
// with the findings that are open.
func TestHeartbeat(t *testing.T) {
	for _, onTerminal := range []bool{false, true} {
		var log, screen bytes.Buffer
		p := &pipeline{messages: &healthLog{log: (&app{stderr: &log}).logger(&config{})},
			open: &openFindings{}, engine: engine.New(engine.Config{Live: true}, engine.Output{})}
		if onTerminal {
			p.terminal = &terminal{out: &screen}
		}
		p.open.follow(&finding.Finding{ID: "a", Action: finding.Opened, Severity: verdict.High})
		p.open.follow(&finding.Finding{ID: "b", Action: finding.Opened})
		p.open.follow(&finding.Finding{ID: "b", Action: finding.Closed})
		for m := range 121 {
			p.heartbeat(int64(1e18) + int64(m)*int64(time.Minute))
		}
		want, lines, other := 2, log.String(), screen.String()
		if onTerminal {
			want, lines, other = 120, other, lines
		}
		if n := strings.Count(lines, "listening: 0 frames"); n != want || other != "" ||
			strings.Count(lines, "1 finding is open, the highest severity is high") != want {
			t.Errorf("on a terminal %v: %d lines: %s%s", onTerminal, n, lines[:min(400, len(lines))], other)
		}
		if n := strings.Count(lines, `"hosts":0,"lost_frames":0,"lost_share":0`); !onTerminal && n != want {
			t.Errorf("%d lines of the log have the numbers: %s", n, lines)
		}
	}
}

// TestRunOnATerminal checks that standard output has no JSON if it is a terminal, and the finding
// as lines for a person.
func TestRunOnATerminal(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script is not installed")
	}
	var said locked
	c := exec.Command("ip", "netns", "exec", ns, "script", "-qec", "exec "+name+" run -i v1", "/dev/null")
	c.Stdout = &said
	in, err := c.StdinPipe() // script ends with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	waitFor(t, "listening", said.String)
	exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--multiplier=8", "testdata/bot.pcap").Run()
	waitFor(t, "192.168.77.66 sends spam", said.String)
	in.Write([]byte{3}) // Ctrl-C
	waitFor(t, "stopped", said.String)
	waitFor(t, "is suspended (shutdown)", said.String)
	if strings.Contains(said.String(), `{"level"`) {
		t.Errorf("there is JSON on the terminal:\n%s", said.String())
	}
}
