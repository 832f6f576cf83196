package report

import (
	"net/netip"
	"testing"
)

func TestGuessHome(t *testing.T) {
	h := homeCounts{}
	if h.guess(0).IsValid() {
		t.Error("a guess out of nothing")
	}
	h.add(netip.MustParseAddr("198.18.200.1"), 2)
	if got := h.guess(40); got.IsValid() {
		t.Errorf("%v is one of many", got)
	}
	for i := range 20 { // a server that many send to
		h.add(netip.AddrFrom4([4]byte{198, 18, byte(i), 1}), 2)
		h.add(netip.MustParseAddr("203.0.113.25"), 1)
	}
	if got := h.guess(40).String(); got != "203.0.113.0/24" {
		t.Error(got)
	}
	for i := range 50 { // a host that sends to many
		h.add(netip.AddrFrom16([16]byte{0x20, 1, byte(i), 15: 1}), 1)
	}
	h.add(netip.MustParseAddr("2001:db8:1:2::5"), 51)
	if got := h.guess(100).String(); got != "2001:db8:1:2::/64" {
		t.Error(got)
	}
}
