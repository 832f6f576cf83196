package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shifted are the frames of a capture in testdata, moved on by so many days.
func shifted(t *testing.T, name string, days uint32) (records []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	records = slices.Clone(b[24:])
	for at := 0; at < len(records); at += 16 + int(binary.LittleEndian.Uint32(records[at+8:])) {
		s := binary.LittleEndian.Uint32(records[at:])
		binary.LittleEndian.PutUint32(records[at:], s+days*86400)
	}
	return records
}

// period is a file of some days: the mail of a server on each day, and a bot on some.
func period(t *testing.T, first, last uint32, bot ...uint32) string {
	t.Helper()
	b := pcapHeader()
	binary.LittleEndian.PutUint32(b, 0xa1b2c3d4) // microseconds, as in testdata
	for day := first; day <= last; day++ {
		b = append(b, shifted(t, "deliveries.pcap", day)...)
		if slices.Contains(bot, day) {
			b = append(b, shifted(t, "bot.pcap", day)...)
		}
	}
	name := filepath.Join(t.TempDir(), "period.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestReportOfThePast checks the report, the last event, and the exit code of captures of a week
// in which a bot was active on some days.
func TestReportOfThePast(t *testing.T) {
	declared := []string{"--mail-server", "192.168.77.25", "--fail-on", "confirmed"}
	for _, c := range []struct {
		name   string
		files  []string
		code   int
		report []string
	}{
		{"on the first day", []string{period(t, 0, 6, 0)}, exitFindings, []string{
			"1 host sent spam: 192.168.77.66; no spam of it was seen in the last 6 days of the capture", "192.168.77.66 confirmed spambot, severity critical",
			"Last spam seen 2026-11-21 20:33:24. No attempt since then, in the last 6 days", "different mail networks in", "Proof"}},
		{"on a day in the middle", []string{period(t, 0, 6, 3)}, exitFindings, []string{
			"1 host sent spam: 192.168.77.66; no spam of it was seen in the last 3 days of the capture", "confirmed spambot", "in the last 3 days"}},
		{"on the last day", []string{period(t, 0, 6, 6)}, exitFindings, []string{"1 host sends spam: 192.168.77.66"}},
		{"twice", []string{period(t, 0, 8, 0, 6)}, exitFindings, []string{
			"1 host sent spam", "Signs came in 2 periods: 2026-11-21 20:32:5", "; 2026-11-27 20:32:5"}},
		{"in the first of two files", []string{period(t, 4, 6), period(t, 0, 3, 0)}, exitFindings, []string{"1 host sent spam"}},
		{"never", []string{period(t, 0, 6)}, exitOK, []string{"No host sends spam"}},
		{"beside a file that cannot be read", []string{period(t, 0, 1, 0), "testdata/README.md"}, exitFindings, []string{"192.168.77.66"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, report, code := readWhole(c.files[0], append(slices.Clone(declared), c.files[1:]...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.report {
				if !strings.Contains(unwrapped(report), want) {
					t.Errorf("the report lacks %q:\n%s", want, report)
				}
			}
			if c.code == exitOK {
				return
			}
			v := verdictsOf(unmarshalEvents(t, []byte(events)))
			if k := "192.168.77.66 spambot"; v.last[k] != "confirmed" || v.closed[k] != "end_of_input" {
				t.Errorf("the finding ends as %s (%s)", v.last[k], v.closed[k])
			}
		})
	}
}

// unwrapped is a report without the line breaks in its paragraphs.
func unwrapped(report string) string { return strings.Join(strings.Fields(report), " ") }
