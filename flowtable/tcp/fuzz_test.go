package tcp

import "testing"

// Whatever segments come, each byte that is given is the first copy of it, and Conflict
// tells whether there was another. The reference is a map from sequence numbers to bytes. Of
// bytes that came after they had been told as a gap it need not be known.
// A program has four bytes for each segment: its half and what its bytes are, its place, its length,
// what it acknowledges.
func FuzzFirstCopy(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 2, 0, 4, 0})                            // other bytes
	f.Add([]byte{0, 4, 2, 0, 2, 2, 6, 0, 0, 0, 2, 0})                // other bytes around what waits
	f.Add([]byte{0, 4, 2, 0, 0, 6, 9, 0, 2, 2, 9, 0, 0, 0, 3, 0})    // two that wait
	f.Add([]byte{1, 0, 3, 4, 0, 0, 4, 0, 3, 1, 3, 4, 0, 2, 9, 3})    // both halves
	f.Add([]byte{0, 9, 1, 0, 0, 200, 200, 0, 2, 3, 255, 0, 0, 0, 9}) // cut
	f.Fuzz(func(t *testing.T, program []byte) {
		st := Stream{MaxBytes: 8192}
		var c Conn
		s := &script{isn: [2]Seq{0xffffff80, 7}}
		s.open(&st, &c)
		known, late := [2]map[Seq]byte{{}, {}}, [2]map[Seq]byte{{}, {}}
		conflict, maybe := false, false
		check := func() {
			var ch Chunk
			for at := c.half; st.Pop(&ch); at = c.half {
				from := at[ch.Dir].next
				for i, b := range ch.Bytes {
					if first, ok := known[ch.Dir][from.Add(i)]; !ok || first != b {
						t.Fatalf("half %d gives %q at %d, its first copy is %q", ch.Dir, b, from.Add(i).Sub(s.isn[ch.Dir]), first)
					}
				}
			}
		}
		for n := 0; len(program) >= 4 && n < 200; program, n = program[4:], n+1 {
			p := program
			d := Dir(p[0] & 1)
			seg := &Segment{Dir: d, Flags: ACK, Seq: s.isn[d].Add(1 + int(p[1])), Ack: s.isn[1-d].Add(1 + int(p[3])), Len: int(p[2]), Time: int64(n) * 1e9}
			if y := &c.half[1-d]; y.top.Less(seg.Ack) {
				seg.Ack = y.top // what is ahead of it loses to second copies; see TestCases
			}
			seg.Payload = make([]byte, seg.Len)
			for i := range seg.Payload {
				seg.Payload[i] = byte(seg.Seq.Add(i)) ^ p[0]&2
			}
			next := c.half[d].next
			if st.Push(&c, seg)&Foreign == 0 && !(seg.Len == 1 && seg.Seq.Add(1) == next) {
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
		if got := c.Odd()&Conflict != 0; got != conflict && !maybe {
			t.Fatalf("conflict is %v, must be %v", got, conflict)
		}
	})
}
