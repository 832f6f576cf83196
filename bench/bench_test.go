package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"spamsensor/sensor/engine"
)

// BenchmarkLength shows whether the time grows with the length of the input alone: it reads
// captures of the same workload, one twice as long as the other. An operation is a file.
func BenchmarkLength(b *testing.B) {
	for _, kind := range []string{"w1", "w2", "w3"} {
		for _, mb := range []uint64{32, 64} {
			path := filepath.Join(b.TempDir(), kind)
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := workload(kind, mb*1e6, 1, f); err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/length=%dMB", kind, mb), func(b *testing.B) {
				b.SetBytes(int64(mb * 1e6))
				packets := uint64(0)
				for b.Loop() {
					r, err := read(path, 1, engine.Config{})
					if err != nil {
						b.Fatal(err)
					}
					packets += r.packets
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
			})
		}
	}
}
