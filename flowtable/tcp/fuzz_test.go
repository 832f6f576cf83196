package tcp

import (
	"slices"
	"testing"

	"spamsensor/bench/fuzztime"
)

// linux is the stream of a half as a Linux receiver accepts it.
type linux struct {
	next  Seq
	taken map[Seq]byte
	ahead []early // sorted by their first bytes
}

// early is a segment ahead of its turn.
type early struct {
	seq   Seq
	bytes []byte
}

func (e *early) end() Seq { return e.seq.Add(len(e.bytes)) }

func (l *linux) take(seq Seq, b []byte) {
	e := early{seq, append([]byte{}, b...)}
	if !l.next.Less(e.end()) {
		return
	}
	if !l.next.Less(seq) {
		l.append(e)
		return
	}
	for i := 0; i < len(l.ahead); {
		o := &l.ahead[i]
		switch {
		case !seq.Less(o.seq) && !o.end().Less(e.end()):
			return
		case !o.seq.Less(seq) && !e.end().Less(o.end()):
			l.ahead = slices.Delete(l.ahead, i, i+1)
		default:
			i++
		}
	}
	at, _ := slices.BinarySearchFunc(l.ahead, e, func(a, b early) int { return a.seq.Sub(b.seq) })
	l.ahead = slices.Insert(l.ahead, at, e)
}

func (l *linux) append(e early) {
	for i, b := range e.bytes {
		if at := e.seq.Add(i); !at.Less(l.next) {
			l.taken[at] = b
		}
	}
	if l.next.Less(e.end()) {
		l.next = e.end()
	}
	for len(l.ahead) > 0 && !l.next.Less(l.ahead[0].seq) {
		e := l.ahead[0]
		l.ahead = l.ahead[1:]
		l.append(e)
	}
}

// For any segments, each delivered byte is the byte that a Linux receiver takes, and Conflict is
// set if there was another. The reference is that receiver; nothing is known of bytes that it still
// waits for, because they were delivered as a gap. A program has four bytes for each segment: its
// half and its contents, its place, its length, its acknowledgment.
func FuzzFirstCopy(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 2, 0, 4, 0}) // other bytes
	// Other bytes around a waiting segment.
	f.Add([]byte{0, 4, 2, 0, 2, 2, 6, 0, 0, 0, 2, 0})
	f.Add([]byte{0, 4, 2, 0, 0, 6, 9, 0, 2, 2, 9, 0, 0, 0, 3, 0})    // two waiting segments
	f.Add([]byte{1, 0, 3, 4, 0, 0, 4, 0, 3, 1, 3, 4, 0, 2, 9, 3})    // both halves
	f.Add([]byte{0, 9, 1, 0, 0, 200, 200, 0, 2, 3, 255, 0, 0, 0, 9}) // cut
	f.Fuzz(func(t *testing.T, program []byte) {
		fuzztime.Check(t, func() int {
			program, size := program, len(program)
			st := Stream{MaxBytes: 8192}
			var c Conn
			s := &script{isn: [2]Seq{0xffffff80, 7}}
			s.open(&st, &c)
			known, late := [2]map[Seq]byte{{}, {}}, [2]map[Seq]byte{{}, {}}
			kernel := [2]*linux{{next: s.isn[0].Add(1), taken: map[Seq]byte{}},
				{next: s.isn[1].Add(1), taken: map[Seq]byte{}}}
			conflict, maybe := false, false
			check := func() {
				var ch Chunk
				for at := c.half; st.Pop(&ch); at = c.half {
					from := at[ch.Dir].next
					if ch.Kind == Gap { // the stream continues as if the gap had been filled
						kernel[ch.Dir].append(early{seq: from.Add(ch.Len)})
					}
					for i, b := range ch.Bytes {
						if its, ok := kernel[ch.Dir].taken[from.Add(i)]; ok && its != b {
							t.Fatalf("half %d gives %q at %d, a kernel takes %q", ch.Dir, b,
								from.Add(i).Sub(s.isn[ch.Dir]), its)
						}
					}
				}
			}
			for n := 0; len(program) >= 4 && n < 200; program, n = program[4:], n+1 {
				p := program
				d := Dir(p[0] & 1)
				seg := &Segment{Dir: d, Flags: ACK, Seq: s.isn[d].Add(1 + int(p[1])),
					Ack: s.isn[1-d].Add(1 + int(p[3])), Len: int(p[2]), Time: int64(n) * 1e9}
				// A segment ahead waits for the bytes that it acknowledges, and one ahead of all
				// sent bytes loses to second copies; see TestCases.
				if y := &c.half[1-d]; y.next.Less(seg.Ack) {
					seg.Ack = y.next
				}
				seg.Payload = make([]byte, seg.Len)
				for i := range seg.Payload {
					seg.Payload[i] = byte(seg.Seq.Add(i)) ^ p[0]&2
				}
				next := c.half[d].next
				if st.Push(&c, seg)&Foreign == 0 && !(seg.Len == 1 && seg.Seq.Add(1) == next) {
					kernel[d].take(seg.Seq, seg.Payload)
					for i, b := range seg.Payload {
						at := seg.Seq.Add(i)
						first, ok := known[d][at]
						if ok && first != b {
							conflict = true
						}
						if l, ok := late[d][at]; ok && l != b {
							maybe = true
						}
						switch {
						case ok:
						case at.Less(next):
							late[d][at] = b
						default:
							known[d][at] = b
						}
					}
				}
				check()
			}
			st.Flush(&c)
			check()
			if got := c.Anomalies()&Conflict != 0; got != conflict && !maybe {
				t.Fatalf("conflict is %v, must be %v", got, conflict)
			}
			return 64 * size
		})
	})
}
