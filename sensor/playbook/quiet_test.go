package playbook

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/timeline"
	"spamsensor/sensor/verdict"
)

const hour = 60 // in the minutes of at

// scene is a sensor that has watched for some hours, and a host of it with a finding of a class
// whose last sign is some hours old.
func scene(watched, ago int64, class verdict.Class) (*report.Model, netip.Addr) {
	ip := netip.MustParseAddr("10.20.4.37")
	m := &report.Model{Live: true, Period: report.Period{First: at(0), Last: at(watched * hour)}}
	last := at((watched - ago) * hour)
	h := report.Host{IP: ip, Role: "workstation", First: at(0), Last: last, Outside: true,
		Counts: report.Counts{Attempts: 100}, Ports: []report.Port{{Port: 25, N: 100}}}
	m.Hosts = []report.Host{h}
	m.Findings = []report.Finding{{Host: h, ID: class.String() + "-10.20.4.37-1", Class: class, Title: "confirmed " + class.String(),
		Severity: "critical", LastSign: last, CloseReason: "quiet"}}
	return m, ip
}

// series are attempts, each some hours before the end.
func attemptsAt(m *report.Model, hours ...int64) *timeline.Series {
	var s timeline.Series
	slices.Sort(hours)
	for _, h := range slices.Backward(hours) {
		s.Add(int64(m.Period.Last)-h*timeline.Hour-1, 1)
	}
	return &s
}

func TestVerify(t *testing.T) {
	codes := func(list []Point) (s string) {
		for _, p := range list {
			s += p.Code + " "
		}
		return strings.TrimSpace(s)
	}
	for _, c := range []struct {
		name         string
		watched, ago int64
		class        verdict.Class
		change       func(*report.Model)
		attempts     []int64 // hours ago
		known        bool
		want         State
		against      string
		clean        int64 // hours after the beginning, zero for none
	}{
		{name: "a bot, quiet for a day", watched: 100, ago: 25, class: verdict.Spambot, want: Clean},
		{name: "a bot, quiet for 23 hours", watched: 100, ago: 23, class: verdict.Spambot, want: NotClean,
			against: "recent_sign still_tries", clean: 101},
		{name: "a bot that goes on, and is not counted by time", watched: 100, ago: 1, want: NotClean, against: "still_tries", clean: 123,
			change: func(m *report.Model) { m.Findings[0].LastSign, m.Findings[0].Last = at(60*hour), at(60*hour) }},
		{name: "a relay, quiet for a day", watched: 400, ago: 25, class: verdict.OpenRelay, want: NotClean, against: "recent_sign", clean: 375 + 168},
		{name: "a relay, quiet for 8 days", watched: 400, ago: 192, class: verdict.OpenRelay, want: Clean},
		{name: "an account, quiet for 2 days", watched: 100, ago: 48, class: verdict.HijackedAccount, want: Clean},
		{name: "never seen", watched: 100, ago: 30, change: func(m *report.Model) { m.Hosts, m.Findings = nil, nil },
			want: Unknown, against: "never_seen"},
		{name: "seen, without a finding", watched: 100, ago: 30, change: func(m *report.Model) { m.Findings = nil }, want: Clean},
		{name: "seen earlier, not in the table any more", watched: 100, ago: 30, known: true,
			change: func(m *report.Model) { m.Hosts, m.Findings = nil, nil }, want: Clean},
		{name: "with a finding that a short report lacks", watched: 100, ago: 30, want: Unknown, against: "left_out",
			change: func(m *report.Model) {
				m.Hosts[0].Finding, m.Findings = m.Findings[0].ID, []report.Finding{}
				m.MoreFindings, m.LeftOut = 1, &report.LeftOut{Findings: 1}
			}},
		{name: "with a worse finding that a short report lacks", watched: 100, ago: 30, want: Unknown, against: "left_out",
			change: func(m *report.Model) { m.Hosts[0].Finding = "open_relay-10.20.4.37-1" }},
		{name: "a bot that goes on, with a finding that is left out", watched: 100, ago: 1, want: NotClean, against: "recent_sign still_tries",
			change: func(m *report.Model) { m.Hosts[0].Finding = "open_relay-10.20.4.37-1" }, clean: 123},
		{name: "without a finding where some are only counted", watched: 100, ago: 30, want: Unknown, against: "left_out",
			change: func(m *report.Model) { m.Findings, m.MoreFindings = nil, 2 }},
		{name: "without a finding where ignored ones are left out", watched: 100, ago: 30, want: Unknown, against: "left_out",
			change: func(m *report.Model) { m.Findings, m.LeftOut = nil, &report.LeftOut{Others: 1} }},
		{name: "with a finding where others are left out", watched: 100, ago: 30, want: Clean,
			change: func(m *report.Model) {
				m.Hosts[0].Finding = m.Findings[0].ID
				m.MoreFindings, m.LeftOut = 1, &report.LeftOut{Findings: 1}
			}},
		{name: "a sensor that runs for 5 hours", watched: 5, change: func(m *report.Model) { m.Findings = nil },
			want: Unknown, against: "watched_too_short", clean: 24},
		{name: "a blind sensor", watched: 100, ago: 30, change: func(m *report.Model) {
			m.Health = []report.Health{{Check: "no_packets", Text: "Nothing comes."}}
		}, want: Unknown, against: "blind"},
		{name: "a bot that goes on without a sign", watched: 100, ago: 30, attempts: []int64{30, 2, 1}, want: NotClean,
			against: "still_tries", clean: 123},
		{name: "a bot that was cleaned and submits mail", watched: 100, ago: 30, attempts: []int64{30, 2, 1}, want: Clean,
			change: func(m *report.Model) { m.Hosts[0].Ports = []report.Port{{Port: 587, N: 60}, {Port: 25, N: 40}} }},
		{name: "a mail server with an account that was locked", watched: 100, ago: 30, class: verdict.HijackedAccount,
			attempts: []int64{1, 2, 3}, change: func(m *report.Model) { m.Hosts[0].Role = "mailserver" }, want: Clean},
		{name: "a finding that is ignored", watched: 100, ago: 1, want: NotClean, against: "recent_sign", clean: 123,
			change: func(m *report.Model) {
				m.Findings[0].Ignored = &report.Ignored{Why: "test"}
				m.Ignored, m.Findings = m.Findings, nil
			}},
		{name: "for information only", watched: 100, ago: 1, class: verdict.DirectSMTP, want: Clean,
			change: func(m *report.Model) { m.Findings[0].Severity = "info" }},
		{name: "another address of the machine", watched: 100, ago: 1, want: NotClean, against: "recent_sign still_tries", clean: 123,
			change: func(m *report.Model) {
				m.Findings[0].Also = []netip.Addr{m.Findings[0].IP}
				m.Findings[0].IP = netip.MustParseAddr("10.20.4.99")
			}},
		{name: "open, without a time", watched: 100, ago: 30, want: NotClean, against: "open_finding",
			change: func(m *report.Model) { m.Findings[0].LastSign, m.Findings[0].Open = 0, true }},
	} {
		m, ip := scene(c.watched, c.ago, c.class)
		if c.change != nil {
			c.change(m)
		}
		x := Verify(m, ip, attemptsAt(m, c.attempts...), c.known)
		if x.State != c.want || codes(x.Against) != c.against {
			t.Errorf("%s: %s because of %q, want %s because of %q", c.name, x.State, codes(x.Against), c.want, c.against)
		}
		if want := at(c.clean * hour); c.clean != 0 && (x.CleanAt-want > report.Time(time.Minute) || want-x.CleanAt > report.Time(time.Minute)) {
			t.Errorf("%s: clean at %v, want %v", c.name, x.CleanAt.In(time.UTC), want.In(time.UTC))
		}
		silent := slices.ContainsFunc(x.Notes, func(n Point) bool { return n.Code == "silent" })
		if x.State == Clean && silent != (len(c.attempts) == 0 && len(x.Findings) > 0 && c.ago >= 24) {
			t.Errorf("%s: notes %q", c.name, codes(x.Notes))
		}
		for _, p := range []*lang.Printer{nil, lang.New(lang.French)} {
			var b bytes.Buffer
			if err := x.Write(&b, Layout{Lang: p, Width: 80}); err != nil || !strings.Contains(b.String(), ip.String()) {
				t.Errorf("%s: %v %s", c.name, err, b.String())
			}
			if p != nil && (strings.Contains(b.String(), "The ") || strings.Contains(b.String(), "attempts")) {
				t.Errorf("%s: English in the French text: %s", c.name, b.String())
			}
			for l := range strings.Lines(b.String()) {
				if len([]rune(l)) > 81 {
					t.Errorf("%s: too wide: %s", c.name, l)
				}
			}
		}
		if text, err := json.Marshal(x); err != nil || !strings.Contains(string(text), `"state":"`+string(c.want)+`"`) {
			t.Errorf("%s: %v %s", c.name, err, text)
		}
	}
}

// TestVerifyCounts checks the numbers of the last hour, day and week.
func TestVerifyCounts(t *testing.T) {
	m, ip := scene(400, 300, verdict.Spambot)
	x := Verify(m, ip, attemptsAt(m, 0, 0, 5, 20, 30, 100, 200), false)
	if x.LastHour != 2 || x.LastDay != 4 || x.LastWeek != 6 {
		t.Errorf("%d %d %d, want 2 4 6", x.LastHour, x.LastDay, x.LastWeek)
	}
	// Without minutes, what is in the hours still counts.
	busy := attemptsAt(m, 0, 0, 5, 20, 30, 100, 200)
	busy.Minutes = nil
	if x := Verify(m, ip, busy, false); x.LastHour != 2 || x.LastDay != 4 || x.LastWeek != 6 {
		t.Errorf("without minutes: %d %d %d, want 2 4 6", x.LastHour, x.LastDay, x.LastWeek)
	}
}

// TestVerifyNever checks that French has its feminine for a host that tried nothing.
func TestVerifyNever(t *testing.T) {
	m, ip := scene(100, 30, verdict.Spambot)
	m.Hosts, m.Findings = nil, nil
	for want, p := range map[string]*lang.Printer{"Last attempt none seen Last sign none ": nil, "Dernière tentative aucune Dernier signe aucun ": lang.New(lang.French)} {
		var b bytes.Buffer
		if err := Verify(m, ip, nil, false).Write(&b, Layout{Lang: p, Width: 80}); err != nil || !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("%v: no %q in %s", err, want, b.String())
		}
	}
}
