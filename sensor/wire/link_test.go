package wire_test

import (
	"strings"
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// TestKnownLinksHaveNames checks that each link type that Decode reads has a name for messages, and
// that Decode refuses all others as unknown.
func TestKnownLinksHaveNames(t *testing.T) {
	var d wire.Decoder
	var p wire.Packet
	known := 0
	for l := range frame.LinkType(1024) {
		unknown := d.Decode(l, make([]byte, 64), 0, &p) == wire.UnknownLink
		if wire.Known(l) {
			known++
		}
		if wire.Known(l) && strings.HasPrefix(l.String(), "type ") {
			t.Errorf("link type %d has no name", l)
		}
		holds := l == frame.PPI || l == frame.PKTAP || l == frame.PKTAPUser // another, unknown one
		if wire.Known(l) == unknown && !holds {
			t.Errorf("link type %d is known: %v, refused as unknown: %v", l, wire.Known(l), unknown)
		}
	}
	if known != 34 {
		t.Errorf("%d link types are known, want 34", known)
	}
}
