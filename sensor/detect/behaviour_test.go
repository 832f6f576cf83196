package detect

import (
	"testing"

	"spamsensor/sensor/behaviour"
)

// TestBehindNAT: three kinds of machines behind one address are several, whichever comes first.
func TestBehindNAT(t *testing.T) {
	for _, c := range []struct {
		ttl  []uint8
		want bool
	}{
		{[]uint8{64, 64, 64, 64, 64, 64}, false},
		{[]uint8{64, 64, 64, 128, 128}, false},
		{[]uint8{64, 64, 64, 128, 128, 128}, true},
		{[]uint8{255, 64, 64, 64, 128, 128, 128}, true},
	} {
		var h Profile
		for _, ttl := range c.ttl {
			h.behaviour.Attempted(behaviour.Attempt{Time: begin, TTL: ttl}, false)
		}
		if h.BehindNAT() != c.want {
			t.Errorf("%v: behind NAT %v", c.ttl, !c.want)
		}
	}
	for _, c := range []struct {
		ttl  []uint8
		near bool
	}{{[]uint8{64, 64}, true}, {[]uint8{128}, true}, {[]uint8{255}, true}, {[]uint8{63}, false}, {[]uint8{127, 127}, false}, {[]uint8{64, 63}, false}, {nil, false}} {
		var h Profile
		for _, ttl := range c.ttl {
			h.behaviour.Attempted(behaviour.Attempt{Time: begin, TTL: ttl}, false)
		}
		if h.OnLink() != c.near {
			t.Errorf("%v: on link %v", c.ttl, !c.near)
		}
	}
}
