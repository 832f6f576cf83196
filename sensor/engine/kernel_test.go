package engine

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"spamsensor/bench/corpus"
	"spamsensor/sensor/wire"
)

// readPcap reads a classic little-endian capture file.
func readPcap(t *testing.T, name string) (frames []timedFrame) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for b = b[24:]; len(b) >= 16; {
		n := le.Uint32(b[8:])
		frames = append(frames, timedFrame{int64(le.Uint32(b))*second + int64(le.Uint32(b[4:]))*1000, b[16 : 16+n]})
		b = b[16+n:]
	}
	return frames
}

// TestKernelTruth checks 50 variants of a SYN that were sent to a real Linux kernel: the answered
// ones are attempts, the others are refused, by name. The kernel does not accept LLC; other
// receivers do.
func TestKernelTruth(t *testing.T) {
	index, err := os.ReadFile(corpus.Path(t, "kernel/frames.idx"))
	if err != nil {
		t.Fatal(err)
	}
	frames := readPcap(t, corpus.Path(t, "kernel/frames.pcap"))
	want := strings.Count(string(index), "SYN-ACK") + strings.Count(string(index), "LLC")
	if want != 35 {
		t.Fatalf("the index names %d, not 34 and LLC", want)
	}
	for name, list := range map[string][]timedFrame{"": frames, "every frame twice, ": doubled(frames)} {
		r := analyse(Config{}, list)
		if r.stats.Attempts != uint64(want) {
			t.Errorf("%s%d attempts, want %d", name, r.stats.Attempts, want)
		}
		if r.stats.Sessions != 0 {
			t.Errorf("%s%d sessions", name, r.stats.Sessions)
		}
	}
	got := map[string]uint64{}
	var sum uint64
	r := analyse(Config{}, frames)
	for _, o := range r.stats.Outcomes {
		got[o.Name] = o.N
		sum += o.N
	}
	for name, n := range map[wire.Outcome]uint64{wire.BadChecksum: 2, wire.BadTCPFlags: 2, wire.BadTCPOffset: 2, wire.FragmentOverlap: 1,
		wire.BadIPOption: 4, wire.BadIPLength: 2, wire.BadFragment: 2, wire.Mail: 35} {
		if got[name.String()] != n {
			t.Errorf("%d frames are %s, want %d", got[name.String()], name, n)
		}
	}
	if sum != uint64(len(frames)) || r.stats.Frames != sum {
		t.Errorf("%d frames have an outcome, %d are counted, there are %d", sum, r.stats.Frames, len(frames))
	}
	t.Log(r.stats.Outcomes)
	t.Logf("R1: %d of %d recorded SYNs are attempts, 34 that a kernel answered and one in LLC, %d sessions (goal 35, 0)", r.stats.Attempts, want, r.stats.Sessions)
}
