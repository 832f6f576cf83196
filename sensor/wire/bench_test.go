package wire_test

import (
	"testing"

	"spamsensor/sensor/wire"
)

// benchFrames are the rows of decodes whose cost matters.
var benchFrames = map[string]bool{"plain": true, "other port": true, "802.1Q": true, "IPv6": true,
	"VXLAN": true}

func BenchmarkDecode(b *testing.B) {
	for _, c := range decodes {
		if !benchFrames[c.name] {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			d := decoder()
			var p wire.Packet
			b.ReportAllocs()
			b.SetBytes(int64(len(c.frame)))
			for b.Loop() {
				d.Decode(c.link, c.frame, 0, &p)
			}
		})
	}
}

// BenchmarkSkip measures the cost of rejecting a frame by its ports, or of finding that it must be
// decoded.
func BenchmarkSkip(b *testing.B) {
	for _, c := range decodes {
		if !benchFrames[c.name] {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			d := decoder()
			b.ReportAllocs()
			for b.Loop() {
				d.Skip(c.link, c.frame, 0)
			}
		})
	}
}
