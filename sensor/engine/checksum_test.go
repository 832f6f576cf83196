package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// The kinds of checksums of a SYN.
const (
	right = iota
	wrong
	zero
	offloaded
)

// synFrame is SYN number n of a source.
func synFrame(src string, n, how int) timedFrame {
	f := Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 1}}, IP{Src: src, Dst: "192.0.2.25", ID: uint16(n)}, TCP{SrcPort: uint16(10000 + n), DstPort: 25, Seq: uint32(n) << 8, Flags: SYN})
	sum := f[50:52]
	switch how {
	case wrong:
		sum[0] ^= 0x5a
	case zero:
		sum[0], sum[1] = 0, 0
	case offloaded: // the sum of the pseudo header: addresses, protocol, length
		var s uint32
		for i := 26; i < 34; i += 2 {
			s += uint32(f[i])<<8 | uint32(f[i+1])
		}
		for s += 6 + 20; s > 0xffff; {
			s = s&0xffff + s>>16
		}
		sum[0], sum[1] = byte(s>>8), byte(s)
	}
	return timedFrame{epoch + int64(n)*1e6, f}
}

func TestChecksums(t *testing.T) {
	// mixed is a SYN of a source for each letter: r right, w wrong, z zero, o offloaded.
	mixed := func(src, kinds string) (list []timedFrame) {
		for i, k := range kinds {
			list = append(list, synFrame(src, i, map[rune]int{'r': right, 'w': wrong, 'z': zero, 'o': offloaded}[k]))
		}
		return list
	}
	var spoofed, halfOf []timedFrame
	for i := range 40 {
		spoofed = append(spoofed, synFrame(fmt.Sprintf("10.1.0.%d", i), i, i%8/7)) // one in eight is wrong
		halfOf = append(halfOf, synFrame(fmt.Sprintf("10.1.0.%d", i), i, []int{wrong, right, wrong, wrong}[i%4]))
	}
	for _, c := range []struct {
		name     string
		frames   []timedFrame
		attempts uint64
		ignored  uint64
	}{
		{"all right", mixed("10.0.0.1", "rrrr"), 4, 0},
		{"one wrong among right ones", mixed("10.0.0.1", "rrrwrr"), 5, 0},
		{"a wrong one after one right one", mixed("10.0.0.1", "rww"), 1, 0},
		{"all wrong", mixed("10.0.0.1", "wwwwwww"), 7, 7},
		{"all zero", mixed("10.0.0.1", "zzzz"), 4, 4},
		{"a card's work", mixed("10.0.0.1", "oooo"), 4, 4},
		{"a card's work, among right ones", append(mixed("10.0.0.2", "rrrrrrrrrr"), mixed("10.0.0.1", "ooo")...), 13, 3},
		{"a host whose own are never right", append(mixed("10.0.0.2", "rrrrrrrrrrrrrrrrrrrr"), mixed("10.0.0.1", "wwwwww")...), 23, 3},
		{"some wrong ones from anywhere", spoofed, 35, 0},
		{"mostly wrong ones from anywhere", halfOf, 37, 27},
	} {
		r := analyse(Config{}, c.frames)
		if r.stats.Attempts != c.attempts || r.stats.ChecksumsIgnored != c.ignored || r.stats.ChecksumsJudged != uint64(len(c.frames)) {
			t.Errorf("%s: %d attempts, %d ignored, %d judged; want %d, %d, %d", c.name, r.stats.Attempts, r.stats.ChecksumsIgnored, r.stats.ChecksumsJudged, c.attempts, c.ignored, len(c.frames))
		}
		bad := uint64(0)
		for _, o := range r.stats.Outcomes {
			if o.Name == wire.BadChecksum.String() {
				bad = o.N
			}
		}
		if bad+r.stats.Attempts != uint64(len(c.frames)) {
			t.Errorf("%s: %d attempts and %d refused are not %d", c.name, r.stats.Attempts, bad, len(c.frames))
		}
	}
}

// TestWorkersDoNotMatterForFragmentsAndChecksums checks that the counters of fragments and doubtful
// checksums among ordinary SYNs depend neither on the number of goroutines that decode a batch nor
// on the bounds of the batches.
func TestWorkersDoNotMatterForFragmentsAndChecksums(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var frames []timedFrame
	for i := range 12000 {
		src := fmt.Sprintf("10.%d.%d.%d", rng.IntN(3), rng.IntN(20), rng.IntN(200))
		how := right
		if i/3000%2 == 1 && rng.IntN(3) > 0 || rng.IntN(10) == 0 {
			how = 1 + rng.IntN(3)
		}
		f := synFrame(src, i, how)
		if rng.IntN(400) > 0 {
			frames = append(frames, f)
			continue
		}
		first, last := append([]byte{}, f.data[:34+8]...), append(append([]byte{}, f.data[:34]...), f.data[42:]...)
		for j, part := range [][]byte{first, last} {
			part[16], part[17] = 0, byte(len(part)-14)
			part[20], part[21] = byte(0x20*(1-j)), byte(j)
			part[24], part[25] = 0, 0
			var s uint32
			for k := 14; k < 34; k += 2 {
				s += uint32(part[k])<<8 | uint32(part[k+1])
			}
			for s > 0xffff {
				s = s&0xffff + s>>16
			}
			part[24], part[25] = byte(^s>>8), byte(^s)
			if rng.IntN(5) > 0 {
				frames = append(frames, timedFrame{f.at, part})
			}
		}
	}
	want := ""
	for _, c := range []struct{ workers, batch int }{{1, 1}, {1, 5000}, {2, 5000}, {8, 5000}, {8, 1300}, {3, 12100}} {
		e := New(Config{Helpers: c.workers, Seed: []byte("seed"), Limits: Limits{Sources: 65536, Attempts: 65536}}, Output{})
		w := feeder{w: e.Worker(), size: c.batch}
		for _, f := range frames {
			w.take(f)
		}
		if len(w.list) > 0 {
			w.flush()
		}
		e.Finish("end_of_input")
		st := e.Stats()
		got := fmt.Sprint(st.Attempts, st.ChecksumsIgnored, st.Outcomes, st.TCP)
		if want == "" {
			want = got
			t.Log(got)
			if st.ChecksumsIgnored == 0 || st.Attempts == 0 || st.Frames != uint64(len(frames)) {
				t.Errorf("nothing was put to the test: %s", got)
			}
		}
		if got != want {
			t.Errorf("%d workers, %d frames at a time: %s\nwant %s", c.workers, c.batch, got, want)
		}
	}
}

// TestChecksumWindow checks that many results at a time equal the same results one by one, across
// the ends of windows.
func TestChecksumWindow(t *testing.T) {
	var bulk, single checksums
	for _, n := range []uint32{1, 1000, 23, 1, 5000, 3, 1024, 2048} {
		bulk.add(n, &bulk.right)
		bulk.add(n/3, &bulk.wrong)
		for range n {
			single.add(1, &single.right)
		}
		for range n / 3 {
			single.add(1, &single.wrong)
		}
		if bulk.right != single.right || bulk.wrong != single.wrong || bulk.inWindow != single.inWindow || bulk.right+bulk.wrong > 2*window {
			t.Fatalf("after %d: %d and %d of %d, one by one %d and %d of %d", n, bulk.right, bulk.wrong, bulk.inWindow, single.right, single.wrong, single.inWindow)
		}
	}
}
