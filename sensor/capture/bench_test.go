package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spamsensor/sensor/frame"
)

// BenchmarkFiles measures the cost of reading a frame from files of 64 MB, with all frames passed
// on, or with a prefilter that drops all.
func BenchmarkFiles(b *testing.B) {
	none := &frame.Prefilter{
		Skip: func(frame.LinkType, []byte, int) (uint8, bool) { return 0, true }}
	for _, size := range []int{60, 700} {
		records := make([]record, 64_000_000/(16+size))
		for i := range records {
			records[i] = record{1e18 + int64(i)*1000, strings.Repeat("x", size)}
		}
		path := filepath.Join(b.TempDir(), "capture")
		if err := os.WriteFile(path, pcapBytes(le, 0xa1b2c3d4, 1, records...), 0o600); err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name      string
			prefilter *frame.Prefilter
		}{{"all", nil}, {"filtered", none}} {
			b.Run(fmt.Sprintf("%s/frame=%d", way.name, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for n := uint64(0); n < uint64(b.N); {
					n += readUpTo(b, path, way.prefilter, uint64(b.N)-n)
				}
			})
		}
	}
}

// readUpTo reads about n frames of a file, and returns their number.
func readUpTo(b *testing.B, path string, prefilter *frame.Prefilter, n uint64) uint64 {
	s, err := OpenFiles([]string{path}, FilesConfig{KnownLink: anyLink, Prefilter: prefilter})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for err == nil && s.Stats().Frames < n {
		_, err = s.Next()
	}
	return s.Stats().Frames
}
