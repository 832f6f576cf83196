package report

import (
	"net/netip"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestRenew: a finding has the present counts of its host, and a mail server those of the finding.
func TestRenew(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	host := func(ip netip.Addr, n uint32, last Time, vlan ...uint16) Host {
		return Host{IP: ip, VLAN: vlan, Counts: Counts{Attempts: n}, Last: last, Ports: []Port{{25, n}}}
	}
	m := &Model{Hosts: []Host{host(a, 66, 9, 7), host(b, 50, 9)}, Findings: []Finding{
		{Host: host(a, 4, 5, 7), Class: verdict.Spambot}, {Host: host(b, 3, 5), Class: verdict.OpenRelay}, {Host: host(a, 2, 5, 8), Class: verdict.Spambot}},
		Ignored: []Finding{{Host: host(b, 60, 5), Class: verdict.DirectSMTP}}}
	renew(m)
	for i, want := range []uint32{66, 3, 2} {
		if f := &m.Findings[i]; f.Counts.Attempts != want || f.On(25) != want || (f.Last == 9) != (want == 66) {
			t.Errorf("finding %d: %+v", i, f.Host)
		}
	}
	if m.Ignored[0].Counts.Attempts != 60 {
		t.Errorf("older counts: %+v", m.Ignored[0].Host)
	}
}

// TestRenewMachine: what the address did since counts for a finding if it is that of its machine, and
// nothing does if nobody watched the host to the end.
func TestRenewMachine(t *testing.T) {
	const end = Time(10 * hour)
	ip := netip.MustParseAddr("10.0.0.1")
	host := func(n uint32, first, last Time, mac string) Host {
		return Host{IP: ip, MAC: mac, First: first, Last: last, Counts: Counts{Attempts: n}}
	}
	for _, c := range []struct {
		name, reason string
		now          Host
		attempts     uint32
		active       string
	}{
		{"closed as quiet, and goes on", finding.Quiet, host(140, 1, end, "a"), 140, "yes"},
		{"closed as quiet, and is", finding.Quiet, host(111, 1, 2, "a"), 111, "quiet 9 h"},
		{"another machine", finding.Quiet, host(140, 1, end, "b"), 111, "quiet 9 h"},
		{"another machine before", finding.Quiet, host(140, 0, end, "a"), 111, "yes"},
		{"other addresses", finding.Quiet, host(70, 1, end, "a"), 111, "yes"},
		{"evicted", finding.Evicted, host(140, 1, end, "a"), 111, "-"},
		{"MAC changed", finding.MACChanged, host(140, 1, end, "b"), 111, "-"},
	} {
		m := &Model{Hosts: []Host{c.now, {IP: ip, MAC: "a", VLAN: []uint16{7}}},
			Findings: []Finding{{Host: host(111, 1, 3, "a"), Class: verdict.Spambot, LastSign: 2, CloseReason: c.reason}}}
		renew(m)
		f := &m.Findings[0]
		if active := NewWords(nil, false, nil).Active(f, end); f.Counts.Attempts != c.attempts || active != c.active {
			t.Errorf("%s: %d attempts, active %q; want %d, %q", c.name, f.Counts.Attempts, active, c.attempts, c.active)
		}
	}
	// Of a capture, too.
	r := New(func(uint16) string { return "" }, func(s string) string { return s }, false)
	f := &finding.Finding{ID: "x", Action: finding.Closed, CloseReason: finding.Quiet, Source: finding.SourceRecord{Addr: ip}}
	f.Source.Counters.Attempts, f.Source.Counters.Last = 111, 1
	r.Finding(f)
	now := f.Source
	now.Counters.Attempts, now.Counters.Last = 140, 9
	r.Source(&now)
	if got := &r.Model(&Input{Last: 9}).Findings[0]; got.Counts.Attempts != 140 || got.Last != 9 {
		t.Errorf("a capture: %+v", got.Host)
	}
}

// TestReasonsOfNow: a finding of a running sensor has the reasons of now, if they are of its class.
func TestReasonsOfNow(t *testing.T) {
	host := finding.SourceRecord{Addr: netip.MustParseAddr("10.0.0.1")}
	for _, c := range []struct {
		class  verdict.Class // of the explanation
		advice string
		at     Time
	}{{verdict.Spambot, "now", 9}, {verdict.DirectSMTP, "then", 5}} {
		r := New(func(uint16) string { return "eth1" }, func(s string) string { return s }, true)
		event := &finding.Finding{ID: "a", Class: verdict.Spambot, Level: verdict.Confirmed, Highest: verdict.Confirmed, Severity: verdict.Critical,
			Action: finding.Opened, Source: host, Time: 5, Advice: "then", Reasons: []finding.ReasonText{{Text: "then"}}}
		r.Finding(event)
		if !r.OpenHosts(1)[host.Addr] || len(r.OpenHosts(0)) != 0 {
			t.Fatal("the host with the open finding")
		}
		r.Renew(nil, 0, []*finding.Finding{{ID: "a", Class: c.class, Source: host, Time: 9, Advice: "now", Reasons: []finding.ReasonText{{Text: "now"}}}})
		f := r.Model(&Input{Live: true}).Findings[0]
		if f.Advice != c.advice || f.Reasons[0].Text != c.advice || f.ReasonsAt != c.at {
			t.Errorf("explained as %s: %q, %q at %d; want %q at %d", c.class, f.Advice, f.Reasons[0].Text, f.ReasonsAt, c.advice, c.at)
		}
	}
	r := New(func(uint16) string { return "eth1" }, func(s string) string { return s }, true)
	r.Finding(&finding.Finding{ID: "a", Action: finding.Closed, Source: host})
	if len(r.OpenHosts(9)) != 0 {
		t.Error("a closed finding")
	}
}

// TestWorstFindings: a host refers to its worst finding that stands, of any number.
func TestWorstFindings(t *testing.T) {
	r := New(func(uint16) string { return "" }, func(s string) string { return s }, false)
	hosts := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")}
	add := func(id string, host int, severity verdict.Severity, change func(*finding.Finding)) {
		f := &finding.Finding{ID: id, Class: verdict.Spambot, Severity: severity, Level: verdict.Likely, Highest: verdict.Likely, Action: finding.Opened}
		f.Source.Addr = hosts[host]
		if change != nil {
			change(f)
		}
		r.Finding(f)
	}
	add("mild", 0, verdict.Info, nil)
	add("ignored", 0, verdict.Critical, func(f *finding.Finding) { f.Ignored = new(finding.Ignored) })
	add("bad", 0, verdict.High, nil)
	add("worst", 1, verdict.Critical, nil)
	add("late", 1, verdict.High, nil)
	for _, h := range hosts {
		r.hosts = append(r.hosts, finding.SourceRecord{Addr: h})
	}
	m := r.Model(&Input{})
	for i, want := range []string{"bad", "worst", ""} {
		if got := m.Hosts[i].Finding; got != want {
			t.Errorf("%s: finding %q, want %q", hosts[i], got, want)
		}
	}
	if len(r.first) != 2 {
		t.Errorf("%d hosts with a finding were looked up, want 2", len(r.first))
	}
}
