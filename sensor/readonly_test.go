package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/report"
)

// readModel runs read and returns its model.
func readModel(t *testing.T, stdin []byte, args ...string) *report.Model {
	t.Helper()
	var stdout, stderr strings.Builder
	args = append([]string{"read", "--json", "-", "--no-progress", "-q"}, args...)
	if code := run(t.Context(), args, bytes.NewReader(stdin), &stdout, &stderr); code != exitOK {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr.String())
	}
	var m report.Model
	if err := json.Unmarshal([]byte(stdout.String()), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// pcapRecords are the records of a little-endian pcap file with microseconds, and its header.
func pcapRecords(t *testing.T, file []byte) (head []byte, records [][]byte) {
	t.Helper()
	if binary.LittleEndian.Uint32(file) != 0xa1b2c3d4 {
		t.Fatal("the file has another form")
	}
	head = file[:24]
	for b := file[24:]; len(b) > 0; {
		n := 16 + int(binary.LittleEndian.Uint32(b[8:]))
		records, b = append(records, b[:n]), b[n:]
	}
	return head, records
}

// findingsText are findings as JSON, whatever file they are from.
func findingsText(t *testing.T, m *report.Model) string {
	t.Helper()
	for i := range m.Findings {
		m.Findings[i].Input = ""
	}
	text, err := json.MarshalIndent(m.Findings, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadSince checks that a part of the time gives the findings of a capture that holds this part
// alone, and that the frames outside are counted, in each form of the input.
func TestReadSince(t *testing.T) {
	file, err := os.ReadFile("testdata/bot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, 11, 21, 20, 33, 0, 0, time.UTC)
	until := since.Add(20 * time.Second)
	head, records := pcapRecords(t, file)
	part, even, odd := bytes.Clone(head), bytes.Clone(head), bytes.Clone(head)
	inside := 0
	for i, r := range records {
		at := time.Unix(int64(binary.LittleEndian.Uint32(r)), 0)
		if !at.Before(since) && at.Before(until) {
			part = append(part, r...)
			inside++
		}
		if i%2 == 0 {
			even = append(even, r...)
		} else {
			odd = append(odd, r...)
		}
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"part/part.pcap": part, "whole/even.pcap": even, "whole/odd.pcap": odd} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := findingsText(t, readModel(t, nil, filepath.Join(dir, "part")))
	if !strings.Contains(want, "spambot") {
		t.Fatal("the part has no finding")
	}
	for name, args := range map[string][]string{"file": {"testdata/bot.pcap"}, "stream": {"-"}, "merged": {filepath.Join(dir, "whole")}} {
		m := readModel(t, file, append(args, "--since", since.Format(time.RFC3339), "--until", until.Format(time.RFC3339))...)
		if got := findingsText(t, m); got != want {
			t.Errorf("%s: other findings: %s\nwant %s", name, got, want)
		}
		if m.Only == nil || int(m.Only.Frames) != len(records)-inside || int(m.Input.Frames) != len(records) {
			t.Errorf("%s: %+v of %d frames, want %d outside of %d", name, m.Only, m.Input.Frames, len(records)-inside, len(records))
		}
		if first := m.Period.First.In(time.UTC); first.Before(since) || !m.Period.Last.In(time.UTC).Before(until) {
			t.Errorf("%s: the period is %v", name, m.Period)
		}
		if !strings.Contains(m.Headline.More[0], "Only a part of the time was judged") {
			t.Errorf("%s: the headline does not say so: %q", name, m.Headline.More)
		}
		if a := m.Input.Account; !strings.Contains(a, fmt.Sprintf("%d outside of the chosen time", len(records)-inside)) {
			t.Errorf("%s: the account is %q", name, a)
		}
	}
	if m := readModel(t, nil, "testdata/bot.pcap", "--until", "2020-01-01"); m.Headline.Alarm != report.Grey {
		t.Errorf("a report of nothing is not grey: %+v", m.Headline)
	}
}

// manyTimes is bot.pcap several times, an hour after the other.
func manyTimes(t *testing.T, n int) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/bot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	head, records := pcapRecords(t, file)
	all := bytes.Clone(head)
	for i := range n {
		for _, r := range records {
			r = bytes.Clone(r)
			binary.LittleEndian.PutUint32(r, binary.LittleEndian.Uint32(r)+uint32(3600*i))
			all = append(all, r...)
		}
	}
	return all
}

// TestReadSinceWindows checks that windows that several goroutines read give the same as a stream,
// and that the table of sessions is bounded.
func TestReadSinceWindows(t *testing.T) {
	const times = 260
	all := manyTimes(t, times)
	name := filepath.Join(t.TempDir(), "many.pcap")
	if err := os.WriteFile(name, all, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--since", "2026-11-22T10:00:00Z", "--until", "2026-12-02T00:00:00Z", "--sessions"}
	a := readModel(t, nil, append(args, name, "--workers", "4")...)
	b := readModel(t, all, append(args, "-", "--workers", "1")...)
	if a.Only.Frames == 0 || a.Only.Frames != b.Only.Frames || a.Input.Frames != b.Input.Frames || a.Period != b.Period {
		t.Errorf("%+v %+v", a.Only, b.Only)
	}
	if x, y := findingsText(t, a), findingsText(t, b); x != y {
		t.Errorf("other findings:\n%s\n%s", x, y)
	}
	m := readModel(t, nil, name, "--sessions")
	if len(m.Sessions) != report.MaxSessions || m.MoreSessions == 0 || !strings.Contains(strings.Join(m.Hints, " "), "more are left out") {
		t.Errorf("%d sessions and %d more, hints %q", len(m.Sessions), m.MoreSessions, m.Hints)
	}
	if len(a.Sessions) == 0 || a.Sessions[0].Start < a.Period.First {
		t.Errorf("%d sessions", len(a.Sessions))
	}
}

// TestReadHost checks that a report about some hosts shows these alone, counts the others, and that
// the exit code is that of what it shows.
func TestReadHost(t *testing.T) {
	m := readModel(t, nil, "testdata/bot.pcap", "--host", "192.168.77.25", "--sessions")
	if len(m.Findings) != 1 || m.Findings[0].IP.String() != "192.168.77.25" || len(m.Hosts) != 1 || m.HostCount != 1 {
		t.Errorf("findings %v, hosts %v", m.Findings, m.Hosts)
	}
	if o := m.Only; o == nil || o.Findings != 1 || o.Hosts != 2 || o.Frames != 0 || len(o.Networks) != 1 {
		t.Errorf("%+v", o)
	}
	for _, s := range m.Sessions {
		if s.Client.String() != "192.168.77.25" && s.Server.Addr().String() != "192.168.77.25" {
			t.Errorf("a session of others: %+v", s)
		}
	}
	for _, c := range []struct {
		args string
		code int
		say  string
	}{
		{"--net 192.168.77.64/27", exitFindings, "1 host sends spam: 192.168.77.66"},
		{"--host 192.168.77.25", exitOK, "1 finding, 2 hosts and 0 servers of others are not shown"},
		{"--host 10.9.9.9", exitOK, "None of the hosts that are shown sends spam"},
		{"--host x", exitUsage, "--host x is no IP address"},
		{"--net 10.0.0.0", exitUsage, "--net 10.0.0.0 is no network"},
		{"--since x", exitUsage, "--since x is no time (try "},
		{"--since 2h --until 3h", exitUsage, "--until 3h is not after --since 2h"},
		{"--since 2026-11-21 --until 2026-11-21", exitFindings, "1 host sends spam"},
		{"--since 30d", exitFindings, "1 host sends spam"},
	} {
		var stdout, stderr strings.Builder
		args := append([]string{"read", "testdata/bot.pcap", "--fail-on", "likely", "--no-progress"}, strings.Fields(c.args)...)
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != c.code ||
			!strings.Contains(strings.Join(strings.Fields(stdout.String()+stderr.String()), " "), c.say) {
			t.Errorf("%s: %d, want %d %q: %s%s", c.args, code, c.code, c.say, stdout.String(), stderr.String())
		}
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"read", "-", "--since", "1h"}, strings.NewReader(""), &stdout, &stderr); code != exitUsage ||
		!strings.Contains(stderr.String(), "counts from the end") {
		t.Errorf("%d %s", code, stderr.String())
	}
}

// TestSessionsCSV checks the table of sessions as CSV, and in the report.
func TestSessionsCSV(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sessions.csv")
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"read", "testdata/bot.pcap", "--no-progress", "--host", "192.168.77.66", "--sessions",
		"--sessions-csv", name}, nil, &stdout, &stderr)
	rows, err := csv.NewReader(strings.NewReader(readText(t, name))).ReadAll()
	if code != exitOK || err != nil || len(rows) != 1+48 || rows[0][2] != "client" || rows[1][2] != "192.168.77.66" {
		t.Errorf("%d %v %d rows: %s", code, err, len(rows), stderr.String())
	}
	if text := stdout.String(); !strings.Contains(text, "Mail sessions (48)") || !strings.Contains(text, "198.18.3.17:25") {
		t.Errorf("no table: %s", text)
	}
	for l := range strings.Lines(stdout.String()) {
		if len([]rune(l)) > 101 {
			t.Errorf("a line is too wide: %s", l)
		}
	}
}
