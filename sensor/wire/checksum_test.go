package wire

import (
	"math/rand/v2"
	"testing"
)

// TestSum compares sum with the sum of one word after the other (RFC 1071, section 1), for each
// length of an Ethernet frame.
func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	fills := map[string]func() byte{
		"zeros": func() byte { return 0 }, "ones": func() byte { return 0xff },
		"any": func() byte { return byte(rnd.Uint32()) },
	}
	for name, fill := range fills {
		b := make([]byte, 0, 1514)
		for len(b) <= 1500 {
			for _, start := range []uint64{0, 6, 0xffff, 0xfffe0001} {
				want := start
				for i, c := range b {
					want += uint64(c) << (8 * (1 - i%2))
				}
				if got := fold(sum(start, b)); got != fold(want) {
					t.Fatalf("%d bytes of %s on top of %#x: %#x, want %#x", len(b), name, start,
						got, fold(want))
				}
			}
			b = append(b, fill())
		}
	}
}

func BenchmarkSum(b *testing.B) {
	data := make([]byte, 60)
	for b.Loop() {
		if sum(6, data) == 0 {
			b.Fatal("nothing")
		}
	}
}
