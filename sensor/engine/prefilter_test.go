package engine_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
)

// nearlyUsual appends a record of a frame that is usual in most ways.
func nearlyUsual(b []byte, order binary.AppendByteOrder, rng *rand.Rand) []byte {
	one := func(list ...int) int { return list[rng.IntN(len(list))] }
	port := func() int { return one(25, 53, 80, 443, 587, 1701, 4500, 4789, 51820, 40000, 40001) }
	data := make([]byte, one(0, 13, 33, 47, 48, 53, 54, 60, 67, 68, 73, 74, 75, 90, 200, 1500))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	set := func(at int, v ...byte) {
		if at+len(v) <= len(data) {
			copy(data[at:], v)
		}
	}
	wire := len(data) + one(0, 0, 0, 0, 1, 100, -1, -len(data))
	transport := 34
	if rng.IntN(3) > 0 {
		set(12, 8, 0, byte(one(0x45, 0x45, 0x45, 0x45, 0x46, 0x55)))
		set(16, be16(one(wire-14, wire-14, wire-14, wire-13, 39, 40, 0, 65535))...)
		set(20, be16(one(0, 0, 0, 0x4000, 0x8000, 0x2000, 1))...)
		set(23, byte(one(6, 6, 6, 17, 17, 1)))
	} else {
		transport = 54
		set(12, 0x86, 0xdd, byte(one(0x60, 0x60, 0x60, 0x6f, 0x50)))
		set(18, be16(one(wire-54, wire-54, wire-54, wire-53, 19, 20, 0, 65535))...)
		set(20, byte(one(6, 6, 6, 17, 17, 58, 0)))
	}
	if rng.IntN(20) == 0 {
		set(12, be16(one(0x8100, 0x88a8, 0x0806))...)
	}
	set(transport, append(be16(port()), be16(port())...)...)
	set(transport+13, byte(one(0x02, 0x12, 0x10, 0x18, 0x42, 0)))
	for _, v := range []int{one(0, 125798399, 125798400, 1600000000, 1600000000+rng.IntN(1000),
		1<<32-1), one(0, 999_999, 1_000_000, 999_999_999, 1_000_000_000, rng.IntN(1e6)),
		len(data), wire} {
		b = order.AppendUint32(b, uint32(v))
	}
	return append(b, data...)
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// TestUsualFrames checks that a prefilter skips the same frames, under the same classes, with and
// without its knowledge of the usual frame.
func TestUsualFrames(t *testing.T) {
	for seed, c := range []struct {
		order binary.AppendByteOrder
		magic uint32
	}{{binary.LittleEndian, 0xa1b2c3d4}, {binary.BigEndian, 0xa1b2c3d4},
		{binary.LittleEndian, 0xa1b23c4d}, {binary.BigEndian, 0xa1b23c4d}} {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		b := c.order.AppendUint32(nil, c.magic)
		b = c.order.AppendUint16(c.order.AppendUint16(b, 2), 4)
		b = c.order.AppendUint32(append(b, make([]byte, 12)...), 1)
		for range 30_000 {
			b = nearlyUsual(b, c.order, rng)
		}
		read := func(usual *frame.UsualFrames) (list []string, skipped [frame.Classes]uint64) {
			prefilter := engine.Prefilter(nil)
			prefilter.Usual = usual
			files, err := capture.OpenFiles([]string{"-"}, capture.FilesConfig{
				KnownLink: engine.KnownLink, Stdin: bytes.NewReader(b), Prefilter: prefilter})
			if err != nil {
				t.Fatal(err)
			}
			defer files.Close()
			first, last := int64(0), int64(0)
			for {
				batch, err := files.Next()
				for _, f := range batch.Frames {
					list = append(list, fmt.Sprintf("%d %d %d %d %x", f.Time, f.Len, f.Link,
						f.From, f.Data))
				}
				for i, n := range batch.Skipped {
					skipped[i] += n
				}
				if batch.First != 0 {
					if first == 0 {
						first = batch.First
					}
					first, last = min(first, batch.First), max(last, batch.Last)
				}
				if err == io.EOF {
					return append(list, fmt.Sprint(first, last, files.Stats())), skipped
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		got, gotSkipped := read(engine.Prefilter(nil).Usual)
		want, wantSkipped := read(nil)
		if gotSkipped != wantSkipped {
			t.Errorf("%x: skipped %v, want %v", c.magic, gotSkipped, wantSkipped)
		}
		if len(got) != len(want) {
			t.Fatalf("%x: %d frames, want %d", c.magic, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%x, frame %d: %s, want %s", c.magic, i, got[i], want[i])
			}
		}
		if n := len(got); n < 1000 || n > 29_000 {
			t.Errorf("%d of 30,000 frames are passed on: the test is of no use", n)
		}
	}
}
