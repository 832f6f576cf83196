package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

const second = int64(1e9)

// many is a report of so many bots, and of as many hosts for information.
func many(n int, addr string) *Report {
	r := New(func(uint16) string { return "capture.pcap" }, func(s string) string { return s }, false)
	base := netip.MustParseAddr(addr)
	for i := range n {
		a := base.As16()
		a[14], a[15] = byte(i>>8), byte(i)
		host := netip.AddrFrom16(a).Unmap()
		f := &finding.Finding{ID: fmt.Sprint("bot", i), Class: verdict.Spambot, Level: verdict.Likely,
			Highest: verdict.Likely, Severity: verdict.High, Decided: verdict.Decision{At: int64(n-i) * second},
			Source: finding.SourceRecord{Addr: host, Counters: detect.Counters{First: second, Last: 60 * second,
				Attempts: 300, Sessions: 200, Messages: 1000, Rejected: 50}}, Advice: strings.Repeat("Take it off the network. ", 12)}
		if i%3 == 0 {
			f.Level, f.Highest, f.Severity = verdict.Confirmed, verdict.Confirmed, verdict.Critical
		}
		for k := range 12 {
			f.Reasons = append(f.Reasons, finding.ReasonText{Text: strings.Repeat(fmt.Sprintf("reason %d ", k), 15),
				Reason: verdict.Reason{Weight: float64(k), Last: 60 * second}})
		}
		r.Finding(f)
		r.Session(0, &finding.Session{Client: netip.AddrPortFrom(host, 40000), Server: netip.MustParseAddrPort("198.51.100.1:25"),
			Helo: strings.Repeat("h", 200), Refusals: []finding.RefusalText{{Code: 550, Text: strings.Repeat("no ", 300)}}})
		info := *f
		info.ID, info.Class, info.Severity, info.Highest, info.Level = fmt.Sprint("info", i), verdict.DirectSMTP, verdict.Info, verdict.Suspect, verdict.Suspect
		r.Finding(&info)
		r.Source(&finding.SourceRecord{Addr: host.Next(), Role: "workstation", Counters: detect.Counters{Attempts: 3},
			Destinations: []finding.Destination{{Server: netip.MustParseAddrPort("[2001:db8::1]:587"), Name: strings.Repeat("mail.", 30) + "example"}}})
		r.Server(&mailserver.Record{Addr: host, Declared: i%2 == 0})
	}
	return r
}

// TestReportOfMany checks that a report of 900 bots can be read: the worst come first, it has at most
// 250 lines, and none is wider than the terminal; with All it has every finding in detail.
func TestReportOfMany(t *testing.T) {
	for _, addr := range []string{"10.0.0.0", "2001:db8:1234:5678:9abc:def0:1234:0"} {
		for _, c := range []struct{ terminal, width int }{{0, 100}, {80, 80}, {100, 100}, {120, 120}, {200, 120}, {20, 80}} {
			var out bytes.Buffer
			many(900, addr).Model(&Input{Names: []string{"capture.pcap"}, Frames: 1, First: second, Last: 120 * second}).Text(&out, Options{Width: c.terminal})
			report := out.String()
			if n := strings.Count(report, "\n"); n > 250 || n < 150 {
				t.Errorf("%s, %d columns: %d lines", addr, c.width, n)
			}
			for line := range strings.Lines(report) {
				if n := text.StringWidthWithoutEscSequences(strings.TrimRight(line, "\n")); n > c.width {
					t.Errorf("%s: a line of %d columns, want at most %d: %s", addr, n, c.width, line)
				}
			}
			for _, want := range []string{"900 hosts send spam", "Findings (1,400)", "\n1. ", "with -v", "and 1,350 more, with -v"} {
				if !strings.Contains(report, want) {
					t.Errorf("%s: the report lacks %q", addr, want)
				}
			}
			if strings.Index(report, "confirmed") > strings.Index(report, "likely") && strings.Contains(report, "likely") {
				t.Error("likely comes before confirmed")
			}
		}
		var out bytes.Buffer
		many(900, addr).Model(&Input{Frames: 1, First: second, Last: 120 * second}).Text(&out, Options{All: true})
		if !strings.Contains(out.String(), "\n1400. ") || strings.Contains(out.String(), "with -v") {
			t.Error("not every finding is in detail")
		}
	}
}

// TestOneScreen checks that a finding takes no more than a screen.
func TestOneScreen(t *testing.T) {
	var out bytes.Buffer
	many(1, "10.0.0.0").Model(&Input{Frames: 1, First: second, Last: 120 * second}).Text(&out, Options{})
	_, one, _ := strings.Cut(out.String(), "\n1. ")
	one, _, _ = strings.Cut(one, "\n2. ")
	if n := strings.Count(one, "\n"); n > 45 {
		t.Errorf("a finding of %d lines:\n%s", n, one)
	}
}

// TestZone checks that the report says in which time zone its times are.
func TestZone(t *testing.T) {
	for _, c := range []struct {
		zone *time.Location
		want []string
	}{
		{nil, []string{"1970-01-01 00:00:01 to 00:02:00 UTC", "Attempts 1970-01-01 00:00:01 to 00:01:00"}},
		{time.FixedZone("CET", 3600), []string{"1970-01-01 01:00:01 to 01:02:00 CET", "All times below are CET (UTC+01:00)", "those of events are UTC",
			"Attempts 1970-01-01 01:00:01 to 01:01:00"}},
	} {
		var out bytes.Buffer
		many(1, "10.0.0.0").Model(&Input{Frames: 1, First: second, Last: 120 * second}).Text(&out, Options{Zone: c.zone})
		for _, want := range c.want {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
				t.Errorf("the report lacks %q:\n%s", want, out.String()[:400])
			}
		}
	}
}

// TestHeadlineOfFormerHosts: that some hosts stopped is told of these hosts alone, in both languages.
func TestHeadlineOfFormerHosts(t *testing.T) {
	const day = 86400 * second
	fr := lang.New(lang.French)
	for _, c := range []struct {
		former       int
		live         bool
		english, end string // the end of the French one
	}{
		{1, false, "Sent spam earlier: 10.0.0.5; no spam of it was seen in the last 3 days of the capture",
			"10.0.0.5 ; plus aucun spam de sa part pendant 3 jours, jusqu'à la fin de la capture"},
		{2, false, "Sent spam earlier: 10.0.0.5, 10.0.0.6; no spam of them was seen in the last 3 days of the capture",
			"10.0.0.6 ; plus aucun spam de leur part pendant 3 jours, jusqu'à la fin de la capture"},
		{1, true, "Sent spam earlier: 10.0.0.5; no spam of it was seen in the last 24 hours", "10.0.0.5 ; plus aucun spam de sa part depuis 24 heures"},
		{2, true, "Sent spam earlier: 10.0.0.5, 10.0.0.6; no spam of them was seen in the last 24 hours",
			"10.0.0.6 ; plus aucun spam de leur part depuis 24 heures"},
	} {
		r := New(func(uint16) string { return "" }, func(s string) string { return s }, c.live)
		for i, last := range []int64{3*day + second, second, second}[:1+c.former] {
			r.Finding(&finding.Finding{ID: fmt.Sprint(i), Class: verdict.Spambot, Level: verdict.Likely, Highest: verdict.Likely,
				Severity: verdict.High, Source: finding.SourceRecord{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(4 + i)})},
				Reasons: []finding.ReasonText{{Text: "why", Reason: verdict.Reason{Last: last}}}})
		}
		h := r.Model(&Input{Live: c.live, Frames: 1, First: second, Last: 3*day + second}).Headline
		if h.Sentence != "1 host sends spam: 10.0.0.4" || !slices.Contains(h.More, c.english) {
			t.Errorf("%q, %q; want %q", h.Sentence, h.More, c.english)
		}
		if french := fr.Sentence(c.english); !strings.HasSuffix(strings.ReplaceAll(french, "\u00a0", " "), c.end) {
			t.Errorf("%q lacks %q", french, c.end)
		}
	}
}

// TestHeadline checks what a finding makes of the headline, and that ignored and withdrawn findings
// accuse nobody, but are told.
func TestHeadline(t *testing.T) {
	const day = 86400 * second
	bot := func(change func(f *finding.Finding)) *finding.Finding {
		f := &finding.Finding{ID: "x", Class: verdict.Spambot, Level: verdict.Likely, Highest: verdict.Likely, Severity: verdict.High,
			Source:  finding.SourceRecord{Addr: netip.MustParseAddr("10.0.0.5"), Counters: detect.Counters{First: second, Last: second}},
			Reasons: []finding.ReasonText{{Text: "why", Reason: verdict.Reason{Last: second}}}}
		change(f)
		return f
	}
	for _, c := range []struct {
		name   string
		f      *finding.Finding
		end    int64
		worst  verdict.Level
		has    []string
		hasNot string
	}{
		{"a bot", bot(func(*finding.Finding) {}), 60 * second, verdict.Likely, []string{"1 host sends spam: 10.0.0.5"}, "Quiet"},
		{"a former bot", bot(func(*finding.Finding) {}), 3 * day, verdict.Likely,
			[]string{"1 host sent spam: 10.0.0.5; no spam of it was seen in the last 3 days of the capture", "No attempt since then, in the last 3 days"}, "No host"},
		{"a level that fell", bot(func(f *finding.Finding) { f.Level, f.Severity, f.HighestAt = verdict.Suspect, verdict.Low, second }), 3 * day,
			verdict.Likely, []string{"1 host sent spam", "likely spambot, severity high"}, "suspect"},
		{"withdrawn", bot(func(f *finding.Finding) { f.Action, f.CloseReason = "closed", finding.Withdrawn }), day, verdict.NoLevel,
			[]string{"No host sends spam", "Withdrawn (1)", "10.0.0.5: likely spambot until"}, "host sent"},
		{"ignored", bot(func(f *finding.Finding) {
			f.Severity, f.Ignored = verdict.Info, &finding.Ignored{Why: "lab, ticket 4711", Until: 2 * day}
		}), second, verdict.NoLevel,
			[]string{"No other host sends spam", "Ignored by your configuration: 10.0.0.5", "likely spambot", "until the end of 1970-01-02", "lab, ticket 4711"}, "1 host"},
		{"a queue on the first day", bot(func(f *finding.Finding) {
			f.Class, f.Level, f.Highest, f.Severity = verdict.VolumeAnomaly, verdict.Suspect, verdict.Suspect, verdict.Low
		}), second, verdict.Suspect, []string{"No host sends spam", "Mail server 10.0.0.5 does not send as usual"}, "Look at your mail servers"},
		{"an unusual volume", bot(func(f *finding.Finding) { f.Class, f.Severity = verdict.VolumeAnomaly, verdict.Medium }), second,
			verdict.Likely, []string{"Look at your mail servers"}, "No host sends spam"},
	} {
		r := New(func(uint16) string { return "capture.pcap" }, func(s string) string { return s }, false)
		r.Finding(c.f)
		var out bytes.Buffer
		r.Model(&Input{Frames: 1, First: second, Last: c.end}).Text(&out, Options{})
		flat := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range c.has {
			if !strings.Contains(flat, want) {
				t.Errorf("%s: the report lacks %q:\n%s", c.name, want, out.String())
			}
		}
		if strings.Contains(flat, c.hasNot) {
			t.Errorf("%s: the report has %q:\n%s", c.name, c.hasNot, out.String())
		}
		if got := r.Worst(); got != c.worst {
			t.Errorf("%s: the worst level is %v, want %v", c.name, got, c.worst)
		}
	}
}
