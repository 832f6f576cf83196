package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/corpus"
)

// outcome is the result of `read` on a capture.
type outcome struct {
	events []emitted
	code   int
	stderr string
}

// hostileCase is a capture that an attacker made, with the right result.
type hostileCase struct {
	file  string                          // below cases/hostile
	args  []string                        // arguments of read before the file
	check func(t *testing.T, got outcome) // nil if another test has the capture
}

// hostileCases are the captures of cases/hostile that once were judged wrongly, or crashed or
// stopped the sensor. Keep the rows in the order of the names.
var hostileCases = []hostileCase{
	{file: "evade-decoy-bad-checksum.pcap", check: levels(map[string]string{"10.1.2.3": "confirmed"})},
	{file: "evade-ipv4-per-mail.pcap", check: oneMachine},
	{file: "evade-tls-first-line.pcap", check: levels(map[string]string{"10.1.2.3": "confirmed"})},
	{file: "evade-two-macs.pcap", check: levels(map[string]string{"10.1.2.3": "confirmed"})},
	{file: "evade-urgent-byte.pcap", check: levels(map[string]string{"10.1.2.3": "confirmed"})},
	{file: "frame-innocent-10-packets.pcap", check: levels(map[string]string{"10.1.9.9": "suspect"})},
	{file: "frame-innocent-ack-window.pcap", check: innocent("10.1.9.9")},
	{file: "hang-lost-reply-after-data.pcap", check: sessionEvents(1)},
	{file: "hang-wheel-rival.pcap", args: []string{"--workers", "1", "--set", "limits.flows=400"}, check: sound},
	{file: "leak-real-wordings.pcap", check: quotesNobody("jdoe77", "anna", "smith")},
	{file: "memory-partial-lines.pcap.gz"}, // TestMemoryPartialLines measures another process
	{file: "panic-mail-server-5-years.pcap", check: sound},
	{file: "pcapng-tsoffset-negative.pcapng", check: timesRefused},
	{file: "wheel-corruption-control.pcap", check: sessionEvents(800)},
	{file: "wheel-corruption-lost-sessions.pcap", check: sessionEvents(800)},
}

// caseTimeout bounds a case. Each takes less than a second, and more under the race detector.
const caseTimeout = 60 * time.Second

func TestHostileCases(t *testing.T) {
	for _, c := range hostileCases {
		if c.check == nil {
			continue
		}
		t.Run(c.file, func(t *testing.T) {
			path := corpus.Case(t, "hostile", c.file)
			done := make(chan outcome, 1)
			go func() {
				var got outcome
				got.events, got.code, got.stderr = readEvents(t, append(c.args, path)...)
				done <- got
			}()
			select {
			case got := <-done:
				c.check(t, got)
			case <-time.After(caseTimeout):
				t.Fatalf("read did not end within %v", caseTimeout)
			}
		})
	}
}

// TestHostileCasesComplete checks that each capture of cases/hostile has a row.
func TestHostileCasesComplete(t *testing.T) {
	listed := map[string]bool{"history-hang.db": true} // no capture; see TestOddStateDirectories
	for _, c := range hostileCases {
		listed[c.file] = true
	}
	control := corpus.Case(t, "hostile", "wheel-corruption-control.pcap")
	entries, err := os.ReadDir(filepath.Dir(control))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".txt" && !listed[e.Name()] {
			t.Errorf("%s has no row", e.Name())
		}
	}
}

// innocent requires that no finding about a host is above suspect, and that it has no session.
func innocent(host string) func(*testing.T, outcome) {
	return func(t *testing.T, got outcome) {
		sound(t, got)
		for _, e := range got.events {
			if e.Source != nil && e.Source.Sessions > 0 && e.Src == host {
				t.Errorf("%s has %d sessions", host, e.Source.Sessions)
			}
			if e.Finding != nil && strings.Contains(e.Finding.ID, "-"+host+"-") && e.Finding.Level != "suspect" {
				t.Errorf("%s is %s", host, e.Finding.Level)
			}
		}
	}
}

// sound requires that read ends by itself and has counted no internal fault.
func sound(t *testing.T, got outcome) {
	if got.code != exitOK {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	for _, e := range got.events {
		if e.Panics > 0 {
			t.Errorf("%d panics", e.Panics)
		}
	}
}

// quotesNobody requires that no event contains one of these words.
func quotesNobody(words ...string) func(*testing.T, outcome) {
	return func(t *testing.T, got outcome) {
		said := strings.ToLower(fmt.Sprintf("%+v", got.events))
		if !strings.Contains(said, "rejected") {
			t.Error("the refusals have no text")
		}
		for _, w := range words {
			if strings.Contains(said, w) {
				t.Errorf("%q is in the events", w)
			}
		}
	}
}

// sessionEvents requires exactly n session events.
func sessionEvents(n int) func(*testing.T, outcome) {
	return func(t *testing.T, got outcome) {
		sessions := 0
		for _, e := range got.events {
			if e.Type == "session" {
				sessions++
			}
		}
		if sessions != n {
			t.Errorf("%d session events, want %d", sessions, n)
		}
	}
}
