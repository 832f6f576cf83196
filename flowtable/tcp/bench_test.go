package tcp

import "testing"

// BenchmarkPush measures a segment with 80 bytes: in order, with every second pair swapped as by a
// mirror port, and acknowledgments alone.
func BenchmarkPush(b *testing.B) {
	payload := make([]byte, 80)
	for _, c := range []struct {
		name  string
		order []int // offsets, in segments, that are sent in turn
		size  int
	}{
		{"in_order", []int{0, 1, 2, 3}, len(payload)},
		{"swapped", []int{1, 0, 3, 2}, len(payload)},
		{"acknowledgment", []int{0, 0, 0, 0}, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			var st Stream
			var conn Conn
			s := &script{isn: [2]Seq{1, 2}}
			s.open(&st, &conn)
			var chunk Chunk
			base := Seq(2)
			seg := Segment{Flags: ACK, Ack: 3, Len: c.size, Payload: payload[:c.size]}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == len(c.order) {
					i, base = 0, base.Add(len(c.order)*c.size)
				}
				seg.Time += 6e6
				seg.Seq = base.Add(c.order[i] * c.size)
				st.Push(&conn, &seg)
				for st.Pop(&chunk) {
				}
			}
		})
	}
}
