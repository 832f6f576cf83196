package engine

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	. "spamsensor/sensor/wire/wiretest"
)

// crowd is 200 simultaneous connections, in the order of their frames' times.
func crowd(each func(c *conn)) (frames []timedFrame) {
	for i := range 200 {
		c := newConn(fmt.Sprintf("10.0.0.%d", 1+i%100), fmt.Sprintf("198.51.%d.1", i%50), uint16(40000+i), 25)
		c.at += int64(i) * 1000
		each(c)
		frames = append(frames, c.frames...)
	}
	slices.SortStableFunc(frames, func(a, b timedFrame) int { return cmp.Compare(a.at, b.at) })
	return frames
}

// BenchmarkPacket measures a packet on its whole way, by its kind: of dialogues with a message, a
// SYN without an answer, not mail. Connections repeat after 20 seconds.
func BenchmarkPacket(b *testing.B) {
	for _, c := range []struct {
		name   string
		frames []timedFrame
	}{
		{"dialogue", crowd(func(c *conn) { c.open().mail().close() })},
		{"syn", crowd(func(c *conn) { c.syn() })},
		{"other", []timedFrame{newConn("10.0.0.5", "192.0.2.25", 40000, 443).send(0, ACK, "GET /").frames[0]}},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := New(Config{Live: true}, Output{})
			w := feeder{w: e.Worker(), size: 512}
			b.ReportAllocs()
			at, i := int64(0), 0
			for b.Loop() {
				f := &c.frames[i]
				w.take(timedFrame{f.at + at, f.data})
				if i++; i == len(c.frames) {
					i = 0
					at += 20 * second
				}
			}
		})
	}
}

// BenchmarkGrowth measures a packet of a known flow on its whole way, among ten times and a hundred
// times as many flows.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{2_000, 20_000, 200_000} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			e := New(Config{Live: true, Limits: Limits{Flows: 2 * n, Attempts: n}}, Output{})
			w := feeder{w: e.Worker(), size: 4096}
			now := epoch
			take := func(data []byte) {
				now += 1000
				w.take(timedFrame{now, data})
			}
			// As in a file, the frames lie one after the other, in another order than the flows.
			acks := make([][]byte, n)
			file := make([]byte, 0, 64*n)
			for i := range n {
				c := newConn(fmt.Sprintf("10.0.%d.%d", i/250%8, 1+i%250), fmt.Sprintf("198.18.%d.25", i%200), uint16(1024+i/2000), 25).open().send(0, ACK, "")
				for _, f := range c.frames[:3] {
					take(f.data)
				}
				acks[i*7919%n] = c.frames[3].data // in another order than in memory
			}
			for i, data := range acks {
				at := len(file)
				file = append(file, data...)
				acks[i] = file[at:]
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				take(acks[i])
			}
			w.flush()
			if f := int(e.Stats().FlowsActive); f != n {
				b.Fatalf("%d flows are known, want %d", f, n)
			}
		})
	}
}
