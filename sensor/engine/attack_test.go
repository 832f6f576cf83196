package engine

import (
	"net/netip"
	"testing"

	"github.com/cespare/xxhash/v2"

	. "spamsensor/sensor/wire/wiretest"
)

// TestChosenDestinations checks that destinations that are chosen by their hash do not make a host
// look as if it had contacted few, or very many: the hashes that count depend on a secret.
func TestChosenDestinations(t *testing.T) {
	for _, c := range []struct {
		name   string
		n      int
		chosen func(h uint64) bool
	}{
		// Both mislead a HyperLogLog on hashes without a secret: the former fall into 16 of its
		// 1,024 registers, the latter set each of their registers to a value that otherwise needs
		// millions of destinations.
		{"few registers", 5000, func(h uint64) bool { return h>>54 < 16 }},
		{"high ranks", 1024, func(h uint64) bool { return h>>44&0x3ff == 0 }},
	} {
		var frames []timedFrame
		for i := uint32(1); len(frames) < c.n; i++ {
			a := netip.AddrFrom4([4]byte{byte(192 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
			b := a.As16()
			if !c.chosen(xxhash.Sum64(b[:])) || a.IsMulticast() {
				continue
			}
			frames = append(frames, timedFrame{epoch + int64(len(frames))*1e6, Frame(Ethernet{}, IP{Src: "10.0.0.66", Dst: a.String()},
				TCP{SrcPort: uint16(1024 + len(frames)), DstPort: 25, Flags: SYN, Seq: i})})
		}
		r := analyse(Config{}, frames)
		got := r.sources["10.0.0.66"].DestIPs
		if off := float64(got-c.n) / float64(c.n); off < -.1 || off > .1 {
			t.Errorf("%s: %d destinations counted as %d", c.name, c.n, got)
		}
		t.Logf("R11: %s: %d chosen destinations counted as %d (goal 10 %%)", c.name, c.n, got)
	}
}
