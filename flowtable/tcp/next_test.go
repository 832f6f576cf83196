package tcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"spamsensor/bench/fuzztime"
)

// twin is a connection that is followed twice: with Next and without.
type twin struct {
	st    [2]Stream
	c     [2]Conn
	taken int // segments that Next took
}

// segment gives a segment to both, and fails the test if anything differs.
func (w *twin) segment(t testing.TB, s *Segment) {
	t.Helper()
	h := Header{Seq: s.Seq, Ack: s.Ack, Len: uint32(s.Len), Sum: s.Sum, Stamp: s.Stamp,
		Flags: s.Flags, Dir: s.Dir, Stamped: s.Stamped}
	var out [2]string
	if s.DropRisk == 0 && w.st[0].Next(&w.c[0], &h, s.Time, s.Payload) {
		w.taken++
		if out[0] = "0"; len(s.Payload) > 0 {
			out[0] += fmt.Sprintf(" {%d %d %d %s}", s.Dir, Data, len(s.Payload), s.Payload)
		}
	} else {
		out[0] = push(&w.st[0], &w.c[0], *s)
	}
	if out[1] = push(&w.st[1], &w.c[1], *s); out[0] != out[1] {
		t.Fatalf("%+v\nNext: %s\nPush: %s", s, out[0], out[1])
	}
	w.compare(t, s)
}

// push is Push and Pop in writing.
func push(st *Stream, c *Conn, s Segment) string {
	r := st.Push(c, &s)
	out := fmt.Sprint(r)
	if r&(Duplicate|Foreign) == 0 { // as package track does
		out += pop(st)
	}
	return out
}

func pop(st *Stream) (out string) {
	var ch Chunk
	for st.Pop(&ch) {
		out += fmt.Sprintf(" {%d %d %d %s}", ch.Dir, ch.Kind, ch.Len, ch.Bytes)
		ch.Bytes = nil
	}
	return out
}

// compare compares all that the two know of the connection. When nothing waits, no time of a
// stalled segment counts, and Push alone clears quiet.
func (w *twin) compare(t testing.TB, s *Segment) {
	t.Helper()
	x, y := w.c[0], w.c[1]
	if x.held == 0 {
		x.stalledSince, y.stalledSince = 0, 0
	}
	x.quiet, y.quiet = false, false
	if x != y {
		t.Fatalf("%+v\nNext: %+v\nPush: %+v", s, x, y)
	}
	a, b := &w.st[0].history, &w.st[1].history
	if a.end != b.end || (a.ring == nil) != (b.ring == nil) ||
		a.ring != nil && !bytes.Equal(a.ring[:], b.ring[:]) {
		t.Fatalf("%+v: the histories differ", s)
	}
}

// end ends both.
func (w *twin) end(t testing.TB) {
	t.Helper()
	for i := range w.st {
		w.st[i].Flush(&w.c[i])
	}
	if a, b := pop(&w.st[0]), pop(&w.st[1]); a != b {
		t.Fatalf("at the end\nNext: %s\nPush: %s", a, b)
	}
}

// dialogue writes segments that are mostly the next ones of their connection. choose returns a
// number below n, and decides all.
func dialogue(t testing.TB, w *twin, n int, choose func(n int) int) {
	isn := [2]Seq{Seq(choose(1<<8)) - 100, Seq(choose(1<<8)) - 200}
	next := [2]Seq{isn[0] + 1, isn[1] + 1}
	stamped := choose(2) == 0
	clock, stamp := int64(choose(4))*1e9, uint32(choose(4))-2
	for i := range w.c {
		w.c[i].Open(isn[0], 1)
		if choose(8) == 0 && i == 0 {
			w.c[0].HoldClient()
			w.c[1].HoldClient()
		}
	}
	w.segment(t, &Segment{Dir: Server, Flags: SYN | ACK, Seq: isn[1], Ack: next[0], Time: clock,
		Stamped: stamped, Stamp: stamp})
	for range n {
		clock += int64(choose(20)) * 1e6
		d := Dir(choose(2))
		s := &Segment{Dir: d, Flags: ACK, Seq: next[d], Ack: next[1-d], Time: clock,
			Stamped: stamped, Stamp: stamp, Sum: uint32(choose(3))}
		if choose(3) > 0 {
			s.Payload = []byte("the bytes of a command")[:1+choose(20)]
		}
		s.Len = len(s.Payload)
		odd := choose(24)
		switch odd {
		case 0:
			s.Seq = s.Seq.Add(choose(64) - 32)
		case 1:
			s.Ack = s.Ack.Add(choose(64) - 32)
		case 2:
			s.Flags ^= []Flags{FIN, SYN, RST, ACK, URG, 1 << 3, 1 << 7}[choose(7)]
			s.Urgent = uint16(choose(8))
		case 3:
			s.Stamp -= uint32(choose(3))
		case 4:
			s.DropRisk = []DropRisk{BadChecksum, LowHops, OtherMAC}[choose(3)]
		case 5:
			s.Len += choose(5)
		case 6:
			s.Seq = s.Seq.Add([]int{70_000, window, -window, 1 << 30}[choose(4)])
		case 7:
			next[d] = next[d].Add(choose(30)) // lost
		case 8:
			for i := range w.c {
				w.c[i].ReleaseClient()
			}
		}
		stamp += uint32(choose(2))
		w.segment(t, s)
		if choose(10) == 0 {
			s.Time += int64(choose(8)) * 1e6
			w.segment(t, s) // a second copy
		}
		if odd > 6 {
			next[d] = s.end()
		}
	}
	w.end(t)
}

// TestNextIsPush follows dialogues with faults of all kinds with Next and without.
func TestNextIsPush(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	taken, all := 0, 0
	for range 20_000 {
		var w twin
		dialogue(t, &w, 12, rng.IntN)
		taken, all = taken+w.taken, all+12
	}
	if taken < all/4 {
		t.Errorf("Next took %d of %d segments: this tests little", taken, all)
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Fuzz(func(t *testing.T, program []byte) {
		fuzztime.Check(t, func() int {
			at := 0
			var w twin
			dialogue(t, &w, min(200, len(program)/4), func(n int) int {
				if at++; at > len(program) {
					return 0
				}
				return int(program[at-1]) % n
			})
			return 64 * len(program)
		})
	})
}
