package finding

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
)

// commit commits changes and returns them as text: action class level.
func commit(b *Book, due []Change, now int64) string {
	var text []string
	for i := range due {
		c := &due[i]
		if b[c.Class] == nil {
			b[c.Class] = &Entry{Class: c.Class, ID: fmt.Sprint(c.Class)}
		}
		f := b.Commit(c, now)
		f.Lists = 1
		text = append(text, fmt.Sprintf("%s %s %s", c.Action, c.Class, f.Level))
	}
	return strings.Join(text, ", ")
}

// TestHost follows the findings of a host through its verdicts.
func TestHost(t *testing.T) {
	var b Book
	for i, step := range []struct {
		v     verdict.Verdict
		lists int
		want  string
	}{
		{verdict.Verdict{}, 0, ""},
		{verdict.Verdict{Class: verdict.Spambot, Level: verdict.Suspect}, 0, "opened spambot suspect"},
		{verdict.Verdict{Class: verdict.Spambot, Level: verdict.Suspect}, 1, ""},
		{verdict.Verdict{Class: verdict.Spambot, Level: verdict.Suspect}, 2, "updated spambot suspect"},
		{verdict.Verdict{Class: verdict.Spambot, Level: verdict.Likely}, 1, "updated spambot likely"},
		{verdict.Verdict{Class: verdict.UndeclaredServer, Level: verdict.Suspect}, 1,
			"closed spambot likely, opened blocklisted suspect, opened undeclared_server suspect"},
		{verdict.Verdict{Class: verdict.Spambot, Level: verdict.Confirmed}, 1,
			"closed undeclared_server suspect, closed blocklisted suspect, opened spambot confirmed"},
		{verdict.Verdict{}, 1, "closed spambot confirmed"},
	} {
		if got := commit(&b, b.Apply(&step.v, step.lists), int64(i+1)*hour); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	if f := b[verdict.Spambot]; f.Reopened != 1 || f.Clean != hour || f.Seq != 6 || b.AnyOpen() {
		t.Errorf("%+v", f)
	}
}

// TestUpdates: an open finding has an event every half an hour, if the host was seen since.
func TestUpdates(t *testing.T) {
	var b Book
	commit(&b, b.Report(verdict.DirectSMTP, false), hour)
	for _, c := range []struct {
		now, last int64
		want      string
	}{{hour + 29*minute, hour + 28*minute, ""}, {hour + 30*minute, hour, ""},
		{hour + 30*minute, hour + minute, "updated direct_smtp suspect"}} {
		if got := commit(&b, b.Due(c.now, c.last, false), c.now); got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}

// TestServer follows a finding about a mail server: reasons are collected, evidence has room, and
// the next finding of the class is another one.
func TestServer(t *testing.T) {
	var b Book
	client, server := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.25")
	x := &Session{Client: netip.AddrPortFrom(client, 4000), Server: netip.AddrPortFrom(server, 25)}
	v := verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Likely, Code: "relay_proved", Client: client, Time: hour}
	if got := commit(&b, b.Apply(&v, 0), v.Time); got != "opened open_relay likely" {
		t.Error(got)
	}
	v.Time += minute
	if got := commit(&b, b.Apply(&v, 0), v.Time); got != "" {
		t.Errorf("the same again: %s", got)
	}
	v.Level = verdict.Confirmed
	if got := commit(&b, b.Apply(&v, 0), v.Time); got != "updated open_relay confirmed" {
		t.Error(got)
	}
	for n := range uint64(MaxEvidence + 2) {
		if b.IsEvidence(x, true) != (n < MaxEvidence) || b.IsEvidence(x, false) {
			t.Errorf("evidence %d", n)
		}
		b.AddEvidence(x, true, n+1)
	}
	if got := commit(&b, b.NewEvidence(v.Time+1), v.Time+1); got != "updated open_relay confirmed" {
		t.Error(got)
	}
	var saved Book
	saved.RestoreProofs(b.SaveProofs())
	for _, book := range []*Book{&b, &saved} {
		if got := commit(book, book.Calm(v.Time+CalmRelay), v.Time+CalmRelay); got != "" {
			t.Error(got)
		}
		now := v.Time + CalmRelay + 1
		if got := commit(book, book.Calm(now), now); got != "closed open_relay confirmed" || book.AnyOpen() {
			t.Error(got)
		}
	}
}

// TestBegan: a finding begins with its first sign, or with what is known instead.
func TestBegan(t *testing.T) {
	f := &Finding{}
	if f.Decided.At = 9; f.Began() != 9 {
		t.Errorf("decided: %d", f.Began())
	}
	if f.Source.Counters.First = 2; f.Began() != 2 {
		t.Errorf("first attempt: %d", f.Began())
	}
	if f.Periods = []Period{{5, 6}, {7, 8}}; f.Began() != 5 {
		t.Errorf("first sign: %d", f.Began())
	}
}
