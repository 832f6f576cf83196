package state

import (
	"fmt"
	"testing"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"
)

// BenchmarkSave writes checkpoints of an engine with 8192 hosts, each with six attempts to other
// networks.
func BenchmarkSave(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e := engine.New(engine.Config{Live: true, Seed: []byte("0123456789abcdef")}, engine.Output{})
	w := e.Worker()
	for n := range 6 * 8192 {
		w.Take([]frame.Frame{{Time: 1e18 + int64(n)*1e6, Link: 1,
			Data: wiretest.Frame(wiretest.Ethernet{},
				wiretest.IP{Src: fmt.Sprintf("10.0.%d.%d", n%8192/256, n%256),
					Dst: fmt.Sprintf("192.%d.%d.1", n/8192, n%256)},
				wiretest.TCP{SrcPort: uint16(n), DstPort: 25, Flags: wiretest.SYN,
					Seq: uint32(n)})}})
	}
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			e.Save()
		}
	})
	b.Run("file", func(b *testing.B) {
		for b.Loop() {
			c := Checkpoint{Engine: *e.Save()}
			if err := s.Save(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("history", func(b *testing.B) {
		for b.Loop() {
			e.Activity()
		}
	})
}
