package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"spamsensor/bench/golden"
	"strings"
	"testing"
)

// recording is the truth about a capture of testdata, as its driver and Postfix logged it; see
// testdata/dialogues.py.
type recording struct {
	Sessions []struct {
		Name, Client, Server string
		ClientPort           int `json:"client_port"`
		ServerPort           int `json:"server_port"`
		Outcome              string
		Replies              []int
		Helo                 string
		Senders              []string
		Rcpts                int
		Auth                 []int
		TLS                  bool
		SNI                  string
		MessagesClear        int `json:"messages_clear"`
	}
	Sources map[string]struct{ Attempts, Handshakes, Refused, Unreachable, Silent int }
}

func recordings(t *testing.T) map[string]recording {
	t.Helper()
	b, err := os.ReadFile("testdata/truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]recording
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecorded(t *testing.T) {
	for name, want := range recordings(t) {
		events, code, stderr := readEvents(t, "--set", "evidence.mail_from=full", filepath.Join("testdata", name))
		if code != exitOK {
			t.Fatalf("%s: exit code %d: %s", name, code, stderr)
		}
		sessions := map[string]emitted{}
		for _, e := range ofType(events, "session") {
			sessions[fmt.Sprintf("%s:%d %s:%d", e.Src, e.SrcPort, e.Dest, e.DestPort)] = e
		}
		for _, s := range want.Sessions {
			key := fmt.Sprintf("%s:%d %s:%d", s.Client, s.ClientPort, s.Server, s.ServerPort)
			e, ok := sessions[key]
			if ok != (s.Outcome == "handshake") {
				t.Errorf("%s, %s: the attempt was %s, and a session is there: %v", name, s.Name, s.Outcome, ok)
			}
			if !ok {
				continue
			}
			codes := map[string]int{}
			for _, c := range s.Replies {
				codes[fmt.Sprint(c)]++
			}
			m := &e.SMTP
			got := fmt.Sprintf("helo %q from %q rcpts %d messages %d sni %q codes %v auth %s", m.Helo, m.MailFrom, m.Rcpts, m.Messages, m.SNI, m.Codes, m.Auth)
			wanted := fmt.Sprintf("helo %q from %q rcpts %d messages %d sni %q codes %v auth %s", s.Helo, nonNil(s.Senders), s.Rcpts, s.MessagesClear, s.SNI, codes, authOf(s.Auth, m.Auth))
			if got != wanted {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, s.Name, got, wanted)
			}
			if s.TLS && m.TLS == "none" {
				t.Errorf("%s, %s: TLS was established, and none is seen", name, s.Name)
			}
		}
		sources := map[string]*sourceFields{}
		for _, e := range ofType(events, "source") {
			sources[e.Src] = e.Source
		}
		for addr, w := range want.Sources {
			s := sources[addr]
			if s == nil || s.Attempts != w.Attempts || s.Sessions != w.Handshakes || s.Refused != w.Refused || s.Unreachable != w.Unreachable || s.Silent != w.Silent {
				t.Errorf("%s, %s: %+v, want %+v", name, addr, s, w)
			}
		}
	}
}

// authOf returns the expected field for an authentication that the server ended with these codes;
// otherwise is the value for sessions without one.
func authOf(codes []int, otherwise string) string {
	if len(codes) == 0 {
		if otherwise == "offered" {
			return otherwise
		}
		return "none"
	}
	if slices.Contains(codes, 235) {
		return "ok"
	}
	return "failed"
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// TestNoCredentials checks that no credential and no part of a message is in the output, in any
// form and at any verbosity.
func TestNoCredentials(t *testing.T) {
	for _, mode := range []string{"full", "domain", "none"} {
		var out, errs bytes.Buffer
		run(context.Background(), []string{"read", "--events", "-", "-v", "--set", "evidence.mail_from=" + mode, "testdata/auth.pcap"}, strings.NewReader(""), &out, &errs)
		if out.Len() < 10_000 {
			t.Fatalf("only %d bytes came out", out.Len())
		}
		// The user, the password, and their base64 forms at any alignment.
		for _, canary := range []string{"canaryuser", "canarypass", "7731", "9942", "Y2FuYXJ5", "NhbmFyeX", "jYW5hcn"} {
			if strings.Contains(out.String()+errs.String(), canary) {
				t.Errorf("%q is in the output", canary)
			}
		}
	}
}

// TestGolden compares the events of the bot's capture, line by line. `go test ./sensor -run Golden
// -update` rewrites them; read the difference.
func TestGolden(t *testing.T) {
	events, report, code := readWhole("testdata/bot.pcap")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, report)
	}
	golden.Compare(t, "testdata/bot.events.golden", events)
	golden.Compare(t, "testdata/bot.report.golden", report)
}

// readWhole reads a capture with a fixed name of the sensor, and returns its events and its report
// without the duration of the run, which is no result.
func readWhole(path string, options ...string) (events, report string, code int) {
	var out, errs bytes.Buffer
	args := append([]string{"read", "--events", "-", "--set", "sensor.name=sensor"}, options...)
	code = run(context.Background(), append(args, path), strings.NewReader(""), &out, &errs)
	var b strings.Builder
	for line := range strings.Lines(errs.String()) {
		if !strings.HasPrefix(line, "Read in") {
			b.WriteString(line)
		}
	}
	return out.String(), b.String(), code
}

func TestFailOn(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--fail-on", "likely", "testdata/bot.pcap"}, exitFindings},
		{[]string{"--fail-on", "suspect", "testdata/deliveries.pcap"}, exitOK},
		{[]string{"--fail-on", "sure", "testdata/bot.pcap"}, exitUsage},
		{[]string{"--fail-on", "likely", "--mail-server", "192.168.77.66", "testdata/bot.pcap"}, exitFindings}, // no server does that
	} {
		var out, errs bytes.Buffer
		if got := run(context.Background(), append([]string{"read", "-q"}, c.args...), strings.NewReader(""), &out, &errs); got != c.want {
			t.Errorf("%v: exit code %d, want %d: %s", c.args, got, c.want, errs.String())
		}
	}
}

// TestFileNamesAreSafeToPrint checks that file names, which others may choose, are printed safely.
func TestFileNamesAreSafeToPrint(t *testing.T) {
	whole, err := os.ReadFile("testdata/bot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, end := range []int{len(whole) - 100, 10} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("x\x1b[31m\n{}\u202e%d.pcap", end)), whole[:end], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{dir}, {"--events", "-", dir}, {filepath.Join(dir, "no\x1b[31m")}, {filepath.Join(dir, "x\x1b[31m\n{}\u202e10.pcap")}} {
		var stdout, stderr bytes.Buffer
		run(context.Background(), append([]string{"read", "--no-progress"}, args...), strings.NewReader(""), &stdout, &stderr)
		all := stdout.String() + stderr.String()
		if !strings.Contains(all, `\x1b[31m`) || strings.ContainsAny(all, "\x1b\u202e") || strings.Contains(all, "\n{}") {
			t.Errorf("%q:\n%q", args, all)
		}
	}
}

// A fault of the input is reported in one line, with a hint where there is one, and everything
// readable is analysed.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile("testdata/bot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.pcap")
	os.WriteFile(cut, whole[:len(whole)-100], 0o600)
	text := filepath.Join(dir, "text.pcap")
	os.WriteFile(text, []byte("Dear reader, this is no capture.\n"), 0o600)
	os.Mkdir(filepath.Join(dir, "empty"), 0o700)
	for _, c := range []struct {
		name    string
		args    []string
		code    int
		says    string
		reports bool
	}{
		{"missing", []string{filepath.Join(dir, "nowhere.pcap")}, exitUsage, "there is no such file", false},
		{"directory without captures", []string{filepath.Join(dir, "empty")}, exitUsage, "holds no capture", false},
		{"text", []string{text}, exitPartial, "no capture file", false},
		{"cut", []string{cut}, exitPartial, "the file ends inside a record", true},
		{"one of three missing", []string{"testdata/bot.pcap", filepath.Join(dir, "nowhere.pcap"), text}, exitPartial, "no such file", true},
		{"a directory with a cut one", []string{dir}, exitPartial, "cut.pcap", true},
		{"nothing named", nil, exitUsage, "name capture files or directories", false},
		{"unknown option", []string{"--nonsense", cut}, exitUsage, "unknown flag", false},
		{"unknown setting", []string{"--set", "evidence.mailfrom=full", cut}, exitUsage, `did you mean "mail_from"?`, false},
		{"wrong value", []string{"--set", "evidence.mail_from=some", cut}, exitUsage, "none of full, domain, hash, none", false},
		{"wrong network", []string{"--home", "10.0.0.0/40", cut}, exitUsage, "is not a network", false},
		{"output that cannot be written", []string{"--events", filepath.Join(dir, "no", "where"), cut}, exitFailed, "cannot write events", false},
	} {
		var out, errs bytes.Buffer
		code := run(context.Background(), append([]string{"read"}, c.args...), strings.NewReader(""), &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: exit code %d, want %d\n%s", c.name, code, c.code, errs.String())
		}
		if found := strings.Contains(out.String(), "192.168.77.66"); found != c.reports {
			t.Errorf("%s: the bot is reported: %v", c.name, found)
		}
	}
}

func TestConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spamsensor.yaml")
	put := func(text string) { os.WriteFile(file, []byte(text), 0o600) }
	check := func() (int, string) {
		var out, errs bytes.Buffer
		code := run(context.Background(), []string{"run", "-T", "-c", file}, strings.NewReader(""), &out, &errs)
		return code, errs.String()
	}
	put("home_net: [10.0.0.0/8, 2001:db8::/32]\nsmtp_servers:\n  - ip: 10.0.0.25\n    name: mail.example.org\n  - ip: 10.0.0.30\n    role: bulk\nignore:\n  - {ip: 10.0.7.0/24, why: lab, until: 2027-01-31}\ncapture:\n  interfaces: [lo]\n  buffer: 128MiB\n  ports: [25, 465, 587, 2525-2530]\ndetect:\n  fast_time: 5m\nevidence:\n  mail_from: domain\noutput:\n  sessions: evidence\n")
	if code, errs := check(); code != exitOK {
		t.Errorf("a good file: %d %s", code, errs)
	}
	put("detect:\n  fast_time: 5x\n")
	if code, errs := check(); code != exitUsage || !strings.Contains(errs, "spamsensor.yaml:2:14: \"5x\" is not a duration") || !strings.Contains(errs, ">  2 |") {
		t.Errorf("a wrong duration: %d\n%s", code, errs)
	}
	put("home_net: [10.0.0.0/8]\nhome_nett: [10.0.0.0/8]\n")
	if code, errs := check(); code != exitUsage || !strings.Contains(errs, "spamsensor.yaml:2:1: there is no setting \"home_nett\"") || !strings.Contains(errs, `did you mean "home_net"?`) {
		t.Errorf("an unknown key: %d\n%s", code, errs)
	}
	put("home_net: [10.0.0.0/8]\nhome_net: [10.0.0.0/8]\n")
	if code, errs := check(); code != exitUsage || !strings.Contains(errs, ":2:1:") {
		t.Errorf("a doubled key: %d\n%s", code, errs)
	}
	put("smtp_servers:\n  - ip: 10.0.0.30\n    role: postman\nignore:\n  - ip: 10.0.7.7\n    until: soon\n")
	if code, errs := check(); code != exitUsage || !strings.Contains(errs, "none of mailserver, bulk") || !strings.Contains(errs, "why is missing") || !strings.Contains(errs, "is not a day") {
		t.Errorf("a wrong role and a wrong entry to ignore: %d\n%s", code, errs)
	}
	put("home_net: [10.0.0.0/8, nonsense]\ncapture:\n  ports: [25, 70000]\n  workers: -1\n")
	if code, errs := check(); code != exitUsage || strings.Count(errs, "spamsensor.yaml:") != 3 {
		t.Errorf("three faults are told together: %d\n%s", code, errs)
	}
}
