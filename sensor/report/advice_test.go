package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// textOf is the text of a model, and the same in one line.
func textOf(m *Model, o Options) (text, flat string) {
	var out bytes.Buffer
	m.Text(&out, o)
	return out.String(), strings.Join(strings.Fields(out.String()), " ")
}

// threeBots is a model of three bots, of which the first two have the same advice.
func threeBots() *Model {
	m := &Model{Period: Period{Time(second), Time(30 * hour)}, Headline: Headline{Alarm: Red, Sentence: "3 hosts sent spam"}}
	m.Input = Input{Names: []string{"a.pcap"}, Account: "5 frames received"}
	for i, own := range []string{" When the cause is stopped, ask to have 192.0.2.1 removed from bl.example.", "", ""} {
		f := Finding{Host: Host{IP: netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1)), Level: "confirmed", MAC: fmt.Sprintf("02:00:00:00:00:0%d", i+1),
			Input: "a.pcap", First: Time(second), Last: Time(int64(i)*hour + second)}, Class: verdict.Spambot, OnLink: true,
			Title: "confirmed spambot", Severity: "critical", LastSign: Time(second), Decided: Decision{Time(second), 4}}
		f.Advice = fmt.Sprintf("Find out what %s is. Take it off the network.%s", f.addressed(""), own)
		if i == 2 {
			f.Advice = "If 10.0.0.3 is a server: --mail-server 10.0.0.3"
		}
		m.Findings = append(m.Findings, f)
	}
	return m
}

// TestSharedAdvice: advice for several findings is told once, with what differs; -v tells all.
func TestSharedAdvice(t *testing.T) {
	_, flat := textOf(threeBots(), Options{})
	for want, n := range map[string]int{
		"Do (for 1 and 2) Find out what each of these hosts is. Take it off the network.":                               1,
		"- 10.0.0.1 (MAC 02:00:00:00:00:01): when the cause is stopped, ask to have 192.0.2.1 removed from bl.example.": 1,
		"- 10.0.0.2 (MAC 02:00:00:00:00:02) 1. 10.0.0.1":                                                                1, "Do as said above for 1 and 2": 2, "Take it off": 1,
		"Do If 10.0.0.3 is a server: --mail-server 10.0.0.3": 1,
	} {
		if got := strings.Count(flat, want); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, n, flat)
		}
	}
	if _, flat := textOf(threeBots(), Options{All: true}); strings.Contains(flat, "Do (for") || strings.Count(flat, "Take it off") != 2 {
		t.Errorf("with all findings in full: %s", flat)
	}
}

// TestSameRemoval: hosts that are on the same lists are told together.
func TestSameRemoval(t *testing.T) {
	m := threeBots()
	m.Findings[2].Advice = strings.Replace(m.Findings[0].Advice, m.Findings[0].addressed(""), m.Findings[2].addressed(""), 1)
	_, flat := textOf(m, Options{})
	for _, want := range []string{"Do (for 1, 2 and 3)", "- 10.0.0.1 (MAC 02:00:00:00:00:01), 10.0.0.3 (MAC 02:00:00:00:00:03): when the cause",
		"bl.example. - 10.0.0.2 (MAC 02:00:00:00:00:02) 1. 10.0.0.1"} {
		if !strings.Contains(flat, want) {
			t.Errorf("the report lacks %q:\n%s", want, flat)
		}
	}
	lists, _ := listing([]Reason{{Code: "blocklisted", Text: `9 receiving servers refused it and named the blocklists b.example, a.example: "no".`}})
	if !slices.IsSorted(lists) || len(lists) != 2 {
		t.Errorf("lists %q", lists)
	}
}

// TestSharedAdviceOfMany: hosts that have no room in an advice for several are counted, and a name
// is beside the address.
func TestSharedAdviceOfMany(t *testing.T) {
	m := threeBots()
	first := m.Findings[0]
	first.Name = "printer-2"
	m.Findings = nil
	for i := range maxDetails + 3 {
		f := first
		f.IP = netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1))
		f.Advice = strings.Replace(first.Advice, first.IP.String(), f.IP.String(), 1)
		m.Findings = append(m.Findings, f)
	}
	_, flat := textOf(m, Options{})
	for _, want := range []string{"Do (for 1 to 13)", "- 10.0.0.1 (printer-2, MAC 02:00:00:00:00:01), 10.0.0.2 (printer-2, MAC",
		"bl.example. and 3 more, with -v 1. 10.0.0.1"} {
		if !strings.Contains(flat, want) {
			t.Errorf("the report lacks %q:\n%s", want, flat)
		}
	}
	m.Findings = m.Findings[:maxDetails]
	if _, flat := textOf(m, Options{}); strings.Contains(flat, "more, with -v 1.") {
		t.Errorf("all hosts have room: %s", flat)
	}
}

// TestNumbers: numbers that follow each other are a range.
func TestNumbers(t *testing.T) {
	for want, list := range map[string][]int{"1": {1}, "1 and 2": {1, 2}, "1, 2 and 3": {1, 2, 3}, "1 to 4": {1, 2, 3, 4},
		"1 and 3 to 6": {1, 3, 4, 5, 6}, "1, 3, 5, 7, 9, 11, 13, 15 and 2 more": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19}} {
		if got := new(printer).numbers(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}

// TestOrder: the verdict comes first, the account of the frames after the findings. A file is named
// beside a host only if there are several.
func TestOrder(t *testing.T) {
	text, flat := textOf(threeBots(), Options{})
	at := 0
	for _, want := range []string{"VERDICT", "Period", "Findings (3)", "Do (for", "\n1. ", "\n3. ", "Words", "Input", "Frames"} {
		i := strings.Index(text[at:], want)
		if i < 0 || want == "VERDICT" && i > 0 {
			t.Fatalf("%s is not in its place:\n%s", want, text)
		}
		at += i
	}
	if !strings.Contains(flat, "critical MAC 02:00:00:00:00:01 Attempts ") {
		t.Errorf("the only file is named beside a host: %s", flat)
	}
	m := threeBots()
	m.Input.Names = append(m.Input.Names, "b.pcap")
	if _, flat := textOf(m, Options{}); !strings.Contains(flat, "critical MAC 02:00:00:00:00:01, a.pcap Attempts ") {
		t.Errorf("which file a host was seen in is not said: %s", flat)
	}
	m = threeBots() // a sensor has no names of files
	m.Input.Names, m.Findings[1].Input = nil, "eth2"
	if !m.SeveralInputs() {
		t.Error("hosts were seen on two interfaces")
	}
	m.Findings[1].Input, m.Hosts = "a.pcap", []Host{{Input: "a.pcap"}, {Input: "eth2"}}
	if !m.SeveralInputs() || (&Model{}).SeveralInputs() {
		t.Error("hosts without a finding do not count, or none are several")
	}
}

// TestStillActive: the table says of each host whether it goes on, at 80 columns, too.
func TestStillActive(t *testing.T) {
	m := threeBots()
	m.Findings[1].Last = m.Period.Last - Time(time.Minute)
	m.Period.Last += Time(second)
	for _, width := range []int{80, 100} {
		text, flat := textOf(m, Options{Width: width})
		for _, want := range []string{"SINCE LAST SPAM ACTIVE", "1 10.0.0.1 confirmed spambot 01-01 00:00 01-01 00:00 quiet 30 h", "00:00 yes",
			"quiet 28 h"} {
			if !strings.Contains(flat, want) {
				t.Errorf("%d columns: the report lacks %q:\n%s", width, want, text)
			}
		}
	}
	f := m.Findings[0]
	f.Class = verdict.OpenRelay
	for end, want := range map[Time]string{Time(second): "yes", Time(second + 47*hour): "quiet 47 h", Time(second + 73*hour): "quiet 3 days"} {
		if got := new(printer).active(&f, end); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f.LastSign = 0
	if got := new(printer).active(&f, 1); got != "-" {
		t.Errorf("nothing is known: %q", got)
	}
}

// TestMoreNumbers: French has a singular and a plural for what is left out.
func TestMoreNumbers(t *testing.T) {
	for n, want := range map[int]string{maxNumbers + 1: "15 et 1 autre", maxNumbers + 2: "15 et 2 autres"} {
		var list []int
		for i := range n {
			list = append(list, 2*i+1)
		}
		if got := (&printer{tr: lang.New(lang.French)}).numbers(list); !strings.HasSuffix(got, want) {
			t.Errorf("%d numbers: %s, want %s", n, got, want)
		}
	}
}

// TestLongNames: a long name gives way before the finding and the other columns, and before any of
// the address does.
func TestLongNames(t *testing.T) {
	for addr, want := range map[string]string{"10.0.0.1": "10.0.0.1 (poste-d...", "192.168.100.101": "192.168.100.101 (poste-d...",
		"2001:db8:1234:5678:9abc:def0:1234:5678": "2001:db8:1234:5678:9abc:def0:1234:5678 "} {
		for _, width := range []int{80, 100, 120} {
			m := threeBots()
			m.Findings[0].IP = netip.MustParseAddr(addr)
			m.Findings[0].Name = "poste-de-travail-" + strings.Repeat("é", 23)
			text, _ := textOf(m, Options{Width: width})
			_, table, _ := strings.Cut(text, "\nFindings (3)\n")
			table, _, _ = strings.Cut(table, "\n\n")
			if !strings.Contains(table, "1  "+strings.TrimSuffix(want, "d...")) || strings.Count(table, "confirmed spambot  ") != 3 {
				t.Errorf("%s, %d columns:\n%s", addr, width, table)
			}
			for l := range strings.Lines(table) {
				if n := len([]rune(strings.TrimRight(l, "\n"))); n > width {
					t.Errorf("%s: a line of %d columns, want at most %d: %s", addr, n, width, l)
				}
			}
			if width == 120 && strings.Contains(addr, ".") && !strings.Contains(table, "ACCEPTED") {
				t.Errorf("a column was left out:\n%s", table)
			}
		}
	}
}

// TestHeaviest checks that of many reasons those that weigh most are chosen, for or against the
// host, and that a blocklist is among them.
func TestHeaviest(t *testing.T) {
	f := &Finding{Reasons: []Reason{{Weight: 3}, {Weight: 1}, {Weight: -5}, {Code: "blocklisted", Weight: 0.5}, {Weight: 4}}}
	for n, want := range [][]int{{}, {3}, {2, 3}, {2, 3, 4}, {0, 2, 3, 4}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}} {
		if got := f.Heaviest(n); !slices.Equal(got, want) {
			t.Errorf("%d of them: %v, want %v", n, got, want)
		}
	}
}
