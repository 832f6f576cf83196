package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/report"
)

// TestReadOutputs: the forms of a report name the same hosts, and one may go to standard output.
func TestReadOutputs(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var stdout, stderr strings.Builder
	args := []string{"read", "testdata/bot.pcap", "--html", at("a.html"), "--json", "-", "--csv", at("a.csv"), "--no-progress"}
	if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var m report.Model
	if err := json.Unmarshal([]byte(stdout.String()), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Findings) != 2 || m.Findings[0].IP.String() != "192.168.77.66" {
		t.Errorf("findings %v", m.Findings)
	}
	if len(m.Findings[0].Hours) == 0 || len(m.Activity.Minutes.Flagged) == 0 {
		t.Errorf("no attempts over time: %+v", m.Activity)
	}
	if !strings.Contains(stderr.String(), "1 host sends spam") {
		t.Errorf("no report on standard error: %s", stderr.String())
	}
	if page := readText(t, at("a.html")); !strings.Contains(page, "192.168.77.66") {
		t.Error("the HTML does not name the bot")
	}
	rows, err := csv.NewReader(strings.NewReader(readText(t, at("a.csv")))).ReadAll()
	if err != nil || len(rows) != 1+m.HostCount || rows[1][0] != "192.168.77.66" {
		t.Errorf("CSV %v: %v", rows, err)
	}
}

// TestReadOutputToPipe: a report goes through a named pipe, and one that nobody reads does not keep
// the command from ending.
func TestReadOutputToPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	wait := pipeReaderWait
	t.Cleanup(func() { pipeReaderWait = wait })
	args := []string{"read", "testdata/bot.pcap", "-q", "--html", pipe}
	pipeReaderWait = 100 * time.Millisecond
	if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != exitLost {
		t.Errorf("without a reader: exit code %d, want %d", code, exitLost)
	}
	pipeReaderWait = wait
	text := make(chan string)
	go func() {
		b, _ := os.ReadFile(pipe)
		text <- string(b)
	}()
	if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if page := <-text; !strings.HasSuffix(page, "</html>\n") || !strings.Contains(page, "192.168.77.66") {
		t.Errorf("%d bytes came through the pipe", len(page))
	}
}

// TestReadOutputsProtected: no report destroys an input, whatever its name, or another output.
func TestReadOutputsProtected(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	capture := readText(t, "testdata/bot.pcap")
	for _, name := range []string{"in.pcap", "x.html.tmp"} {
		if err := os.WriteFile(at(name), []byte(capture), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("in.pcap"), at("linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("in.pcap"), at("symlinked")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--html", at("in.pcap")}, exitUsage},
		{[]string{"--json", at("linked")}, exitUsage},
		{[]string{"--csv", at("symlinked")}, exitUsage},
		{[]string{at("x.html.tmp"), "--html", at("x.html")}, exitUsage},
		{[]string{"--html", "-", "--json", "-"}, exitUsage},
		{[]string{"--html", at("y"), "--events", at("y")}, exitUsage},
		{[]string{"--html", dir}, exitUsage},
		{[]string{"--html", at("none/y")}, exitFailed},
		{[]string{"--csv", "/dev/full"}, exitLost},
		{[]string{"--csv", "/dev/null"}, exitOK},
	} {
		var stderr strings.Builder
		args := append([]string{"read", at("in.pcap"), "-q"}, c.args...)
		if code := run(t.Context(), args, nil, &strings.Builder{}, &stderr); code != c.code {
			t.Errorf("%v: exit code %d, want %d: %s", c.args, code, c.code, stderr.String())
		}
		for _, name := range []string{"in.pcap", "x.html.tmp"} {
			if readText(t, at(name)) != capture {
				t.Fatalf("%v destroyed %s", c.args, name)
			}
		}
	}
}
