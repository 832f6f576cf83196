package report

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// TestLiveWords: a sensor that runs has no capture, no options and no next run.
func TestLiveWords(t *testing.T) {
	fr := lang.New(lang.French)
	source := func(a string) finding.SourceRecord {
		return finding.SourceRecord{Addr: netip.MustParseAddr(a)}
	}
	build := func(live bool) *Model {
		r := New(func(uint16) string { return "eth1" }, func(s string) string { return s }, live)
		r.Finding(&finding.Finding{ID: "x", Class: verdict.DirectSMTP, Source: source("10.0.0.5")})
		for _, a := range []string{"10.0.0.5", "10.0.0.6"} {
			r.Server(&mailserver.Record{Addr: netip.MustParseAddr(a), Count: mailserver.Counts{MessagesIn: 1}})
		}
		return r.Model(&Input{Live: live})
	}
	m := build(true)
	for _, s := range append(m.Hints, m.Headline.Sentence) {
		if strings.Contains(s, "--") || strings.Contains(s, "capture ") || fr.Sentence(s) == s {
			t.Errorf("%q, in French %q", s, fr.Sentence(s))
		}
	}
	r := New(func(uint16) string { return "eth1" }, func(s string) string { return s }, true)
	r.Finding(&finding.Finding{ID: "x", Class: verdict.Spambot, Severity: verdict.High, Highest: verdict.Likely, Source: source("10.0.0.5"),
		Reasons: []finding.ReasonText{{Text: "why", Reason: verdict.Reason{Last: second}}}})
	if got, want := r.Model(&Input{Live: true, Frames: 1, Last: 3 * 24 * hour}).Headline.Sentence,
		"1 host sent spam: 10.0.0.5; no spam of it was seen in the last 24 hours"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.Limits, m.Input.Loss = Limits{Gaps: 1, Midstream: 1}, 0.1
	said := NewWords(nil, true, nil).Unjudged(m)
	if text := strings.Join(said, " "); len(said) != 3 || strings.Contains(text, "the capture") {
		t.Errorf("a running sensor says %q", said)
	}
	for _, s := range NewWords(fr, true, nil).Unjudged(m) {
		if slices.Contains(said, s) {
			t.Errorf("no French: %q", s)
		}
	}
	if len(m.Hints) != 4 || len(build(false).Hints) != 4 {
		t.Errorf("hints: %q; %q", m.Hints, build(false).Hints)
	}
	f := &Finding{Class: verdict.Spambot, LastSign: Time(second)}
	clock := func(Time) string { return "then" }
	for live, want := range map[bool]string{true: "Last spam seen then. No attempt since then, for 3 days. Treat it as infected until it is cleaned.",
		false: "Last spam seen then. No attempt since then, in the last 3 days of the capture. Treat it as infected until it is cleaned."} {
		if got := NewWords(nil, live, clock).Became(f, Time(3*24*hour+second)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
