package track

import (
	"math/rand/v2"
	"slices"
	"testing"

	"spamsensor/sensor/wire"
)

// TestNextIsSegment follows dialogues with faults with Next and without: the events and the
// counters are the same.
func TestNextIsSegment(t *testing.T) {
	client := []string{"EHLO pc\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n",
		"NOOP\r\n", "DATA\r\n", "text\r\n.\r\n", "RSET\r\n", "QUIT\r\n", ""}
	server := []string{"250 ok\r\n", "220 mx\r\n", "550 5.1.1 no\r\n", "354 go on\r\n", "421 bye\r\n",
		"", "250-a\r\n250 b\r\n"}
	taken := uint64(0)
	for seed := range uint64(3000) {
		fast, slow := newRig(), newRig()
		slow.slow = true
		for i, r := range []*rig{fast, slow} {
			rng := rand.New(rand.NewPCG(seed, 5))
			c, s := r.pair(home, 40000, 100)
			c.links = [2]uint16{uint16(rng.IntN(3)), uint16(rng.IntN(3))}
			s.links = [2]uint16{uint16(rng.IntN(3)), uint16(rng.IntN(3))}
			r.open(c, s)
			s.send(c, wire.ACK, "220 mx\r\n")
			for range 20 {
				before := r.tracker.Count.Streamed
				x, y, text := c, s, client[rng.IntN(len(client))]
				if rng.IntN(2) == 0 {
					x, y, text = s, c, server[rng.IntN(len(server))]
				}
				flags := wire.ACK
				p := x.packet(flags, text)
				switch p.Time = r.now + 1e6; rng.IntN(20) {
				case 0:
					p.TTL -= uint8(rng.IntN(8))
				case 1:
					p.PeerLink = uint16(rng.IntN(3))
				case 2:
					p.ClientLink = uint16(rng.IntN(3))
				case 3:
					p.Checksum = wire.Checksum(rng.IntN(4))
				case 4:
					p.Signed = true
				case 5:
					p.Seq += uint32(rng.IntN(9)) - 4
				case 6:
					p.Flags |= []wire.Flags{wire.FIN, wire.RST, wire.SYN}[rng.IntN(3)]
				case 7:
					r.now += int64(rng.IntN(100)) * second
				case 8:
					r.tracker.Tick(r.now, false)
				}
				if p.Len > 0 && rng.IntN(20) == 0 {
					text = text[:1] // the capture cut it
				}
				r.handle(p, []byte(text))
				x.seq += p.Len
				y.ack = x.seq
				if i == 0 && r.tracker.Count.Streamed > before {
					taken++
				}
			}
			r.tracker.CloseAll("end")
		}
		if !slices.Equal(fast.events, slow.events) || fast.tracker.Count != slow.tracker.Count {
			t.Fatalf("seed %d:\nNext: %v\n%+v\nSegment: %v\n%+v", seed, fast.events,
				fast.tracker.Count, slow.events, slow.tracker.Count)
		}
	}
	if taken < 10_000 {
		t.Errorf("only %d segments were heard: this tests nothing", taken)
	}
}
