package report

import (
	"net/netip"
	"testing"

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
