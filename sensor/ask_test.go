package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/status"
)

// asked runs a command that asks, and returns its exit code and what it prints.
func asked(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, diagnostics strings.Builder
	code = run(t.Context(), args, nil, &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

// TestAskCapture: the commands that ask answer for a capture, and a host below the threshold of a
// finding is explained as well.
func TestAskCapture(t *testing.T) {
	const file = "testdata/bot.pcap"
	for _, x := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"status"}, 0, []string{"findings are open, 1 of them confirmed", "70 attempts"}},
		{[]string{"sources"}, 0, []string{"192.168.77.66 confirmed", "192.168.77.25 none"}},
		{[]string{"sources", "--limit", "1"}, 0, []string{"192.168.77.66", "2 more hosts"}},
		{[]string{"sources", "--limit", "0"}, 2, []string{"limit: want 1 to"}},
		{[]string{"sources", "-o", "csv"}, 0, []string{"\n192.168.77.66,confirmed,workstation,66,"}},
		{[]string{"findings"}, 0, []string{"critical confirmed spambot-192.168.77.66", "closed: superseded", "open"}},
		{[]string{"finding", "spambot-192.168.77.66-1795293169"}, 0, []string{"Against it", "Do "}},
		{[]string{"finding", "x"}, 2, []string{"no finding with this id"}},
		{[]string{"explain", "192.168.77.25"}, 0, []string{"nothing that suffices for a finding",
			"Against it    +0.7", "Limits"}},
		{[]string{"explain", "192.168.77.66", "-o", "json"}, 0, []string{`"action":"explained"`}},
		{[]string{"explain", "192.0.2.1"}, 0, []string{"no connection of it to a mail port is known, from 2026-11-21", "outside of the home networks"}},
		{[]string{"explain", "192.168.77.99"}, 0, []string{"in a home network: it is judged when it sends"}},
		{[]string{"explain", "192.0.2.1", "-o", "json"}, 0, []string{`"hosts":[],"findings":[],"declared":[],"in_home_net":false`}},
		{[]string{"explain", "x\x1b[1m"}, 2, []string{"is no IP address"}},
		{[]string{"explain", "192.0.2.1", "-o", "csv"}, 2, []string{"no table"}},
	} {
		code, stdout, stderr := asked(t, append(x.args, "-r", file)...)
		for _, w := range x.want {
			if !strings.Contains(stdout+stderr, w) {
				t.Errorf("%q prints no %q:\n%s%s", x.args, w, stdout, stderr)
			}
		}
		if code != x.code || strings.Contains(stdout+stderr, "\x1b") {
			t.Errorf("%q: exit code %d, want %d; %q", x.args, code, x.code, stderr)
		}
	}
}

// TestExplainDeclared checks that the entries of the configuration about a host are named with their
// places, whether or not it was seen.
func TestExplainDeclared(t *testing.T) {
	name := written(t, t.TempDir()+"/a.yaml", "smtp_servers:\n  - 192.168.77.25\n  - {ip: 192.168.77.9, role: bulk}\n  - {ip: 192.168.77.9, role: nat}\n"+
		"allowed_relays: [192.0.2.0/24]\nignore: [{ip: 192.168.77.0/24, why: old, until: 2020-01-01}, {ip: 192.168.77.66, why: lab, until: 2200-01-31}]\n")
	for _, x := range []struct {
		ip   string
		want []string
	}{
		{"192.168.77.25", []string{"For it        it is declared as a mail server (" + name + ":2)"}},
		{"192.168.77.66", []string{"For it        its findings are for information until 2200-01-31: lab (" + name + ":6)"}},
		{"192.168.77.9", []string{"For it        it is declared with the role nat (" + name + ":4)"}},
		{"192.0.2.7", []string{"For it        our hosts may send to it: it is an allowed relay (" + name + ":5)"}},
		{"192.168.77.7", []string{"For it        it is declared as a mail server (--mail-server)"}},
	} {
		code, stdout, stderr := asked(t, "explain", x.ip, "-c", name, "--mail-server", "192.168.77.7", "-r", "testdata/bot.pcap")
		text := strings.Join(strings.Fields(stdout), " ")
		for _, want := range x.want {
			if !strings.Contains(text, strings.Join(strings.Fields(want), " ")) || strings.Count(stdout, "For it") != 1 {
				t.Errorf("%s: no %q in %s", x.ip, want, stdout)
			}
		}
		if code != exitOK {
			t.Errorf("%s: exit code %d: %s", x.ip, code, stderr)
		}
	}
}

// TestAskRunning: a running sensor answers within 2 s of a finding, also a second one with a socket
// of its own, and the socket is gone at the end.
func TestAskRunning(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "sub", "control.sock")
	listen := func() *process {
		return launch(t, nil, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set",
			"control.socket="+socket, "--set", "state.dir="+t.TempDir()))
	}
	p := listen()
	ask := func(path string, answer any) error {
		return status.NewClient(socket).Get(t.Context(), path, answer)
	}
	var s status.Status
	for range 50 {
		if err = ask("status", &s); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil || s.PID != p.Process.Pid || len(s.Interfaces) != 1 ||
		s.Interfaces[0].Name != "v1" {
		t.Fatalf("status %+v, %v; %s", s, err, p.stderr.String())
	}
	replay(t, ns, "testdata/bot.pcap")
	deadline := time.Now().Add(2 * time.Second)
	var l status.FindingList
	for l.Total == 0 && time.Now().Before(deadline) {
		if err := ask("findings", &l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	var x status.Explanation
	if err := ask("explain/192.168.77.66", &x); err != nil || len(x.Hosts) != 1 || l.Total == 0 {
		t.Errorf("%d findings, explanation %+v, %v", l.Total, x, err)
	}
	var e status.Event
	if err := json.Unmarshal(x.Hosts[0], &e); err != nil || e.Finding.Level != "confirmed" ||
		e.Interface != "v1" {
		t.Errorf("%s, %v", x.Hosts, err)
	}
	if code, stdout, stderr := asked(t, "rules", "nftables", "--socket", socket); code != exitOK ||
		!strings.Contains(stdout, "192.168.77.66, # confirmed spambot") ||
		!strings.Contains(stdout, "192.168.77.66  ") {
		t.Errorf("rules: %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := asked(t, "playbook", "192.168.77.66", "--socket", socket); code != exitOK ||
		!strings.Contains(stdout, "iptables -I FORWARD 1 -s 192.168.77.66 ") {
		t.Errorf("playbook: %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := asked(t, "verify", "192.168.77.66", "--socket", socket); code != exitFindings ||
		!strings.Contains(stdout, "66 in the last hour, 66 in 24 hours") {
		t.Errorf("verify: %d\n%s%s", code, stdout, stderr)
	}
	acknowledge(t, socket, &l)
	if second := listen(); second.code() != exitFailed ||
		!strings.Contains(second.stderr.String(), "another process answers there") {
		t.Errorf("a second sensor with the same socket: %s", second.stderr.String())
	}
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if err := ask("status", &s); err == nil || !strings.Contains(err.Error(), "no sensor runs there") {
		t.Errorf("after the end: %v", err)
	}
}

// TestAskWithAWrongConfiguration: a wrong configuration may be why somebody asks, so that the socket
// that it names is asked all the same.
func TestAskWithAWrongConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	text := "control: {socket: /no/such/socket}\ndetect: {many_network: 12}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, said := asked(t, "status", "-c", file)
	if code != exitFailed || !strings.Contains(said, "warning: the configuration is wrong") ||
		!strings.Contains(said, "cannot ask the sensor on /no/such/socket") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// acknowledge acknowledges the first finding: the next answer has it, and a wrong id is refused.
func acknowledge(t *testing.T, socket string, l *status.FindingList) {
	t.Helper()
	var e status.Event
	if err := json.Unmarshal(l.Findings[0], &e); err != nil {
		t.Fatal(err)
	}
	ack := func(id string, more ...string) (int, string) {
		code, out, said := asked(t, append([]string{"ack", id, "--socket", socket}, more...)...)
		return code, out + said
	}
	if code, said := ack(e.Finding.ID, "--why", "ticket \x1b[1m 4711"); code != exitOK {
		t.Errorf("ack: %d, %s", code, said)
	}
	var now struct {
		Finding struct {
			Action string
			Ack    struct{ By, Why string }
		}
	}
	if err := status.NewClient(socket).Get(t.Context(), "findings/"+e.Finding.ID, &now); err != nil ||
		now.Finding.Action != "acknowledged" || !strings.HasPrefix(now.Finding.Ack.Why, "ticket") ||
		strings.Contains(now.Finding.Ack.Why, "\x1b") || now.Finding.Ack.By == "" {
		t.Errorf("after ack: %+v, %v", now, err)
	}
	if code, said := ack("x", "--why", "y"); code != exitUsage || !strings.Contains(said, "no open finding x") {
		t.Errorf("ack of no finding: %d, %s", code, said)
	}
	if code, said := ack(e.Finding.ID); code != exitUsage || !strings.Contains(said, "--why is missing") {
		t.Errorf("ack without why: %d, %s", code, said)
	}
}

// TestAcksSurvive: an acknowledgement survives a restart, ends with its finding, and a damaged file
// costs the acknowledgements alone.
func TestAcksSurvive(t *testing.T) {
	dir := t.TempDir()
	var said strings.Builder
	log := zerolog.New(&said)
	k := openAcks(dir, log)
	f := func(action string) *finding.Finding { return &finding.Finding{ID: "a", Action: action} }
	opened := f(finding.Opened)
	k.attach(opened)
	if _, err := k.acknowledge(opened, finding.Ack{By: "me", Why: "known"}); err != nil {
		t.Fatal(err)
	}
	k = openAcks(dir, log)
	resumed := f(finding.Resumed)
	if k.attach(resumed); resumed.Ack == nil || resumed.Ack.Why != "known" {
		t.Errorf("after a restart: %+v", resumed.Ack)
	}
	closed := f(finding.Closed)
	if k.attach(closed); closed.Ack == nil {
		t.Error("the last event lacks the acknowledgement")
	}
	again := f(finding.Opened)
	if k.attach(again); again.Ack != nil {
		t.Error("a finding that came back is acknowledged")
	}
	if err := os.WriteFile(filepath.Join(dir, "acks.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said.Len() > 0 {
		t.Errorf("said %s", said.String())
	}
	if k = openAcks(dir, log); len(k.acks) != 0 || !strings.Contains(said.String(), "cannot be read") {
		t.Errorf("a damaged file: said %s", said.String())
	}
}
