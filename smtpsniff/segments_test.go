package smtpsniff

import (
	"math/rand/v2"
	"slices"
	"testing"

	"spamsensor/flowtable/tcp"
)

// segmented feeds steps to a listener as a network may deliver them: in segments that are cut
// anywhere, doubled, overlapping, out of order, with sequence numbers that wrap around.
func segmented(midstream bool, steps []step, cut func(left int) int, rng *rand.Rand) string {
	segs := cutUp(steps, cut, rng)
	var st tcp.Stream
	var conn tcp.Conn
	isn := [2]tcp.Seq{tcp.Seq(rng.Uint32()), tcp.Seq(rng.Uint32())}
	if rng.IntN(3) == 0 { // they wrap within the dialogue
		isn = [2]tcp.Seq{tcp.Seq(-rng.IntN(200)), tcp.Seq(-rng.IntN(200))}
	}
	one := true
	for _, s := range steps {
		one = one && s.side == Client
	}
	conn.Open(isn[Client], 1)
	if !one {
		st.Push(&conn, &tcp.Segment{Dir: tcp.Server, Flags: tcp.SYN | tcp.ACK, Seq: isn[Server],
			Ack: isn[Client].Add(1)})
		st.Push(&conn, &tcp.Segment{Dir: tcp.Client, Flags: tcp.ACK, Seq: isn[Client].Add(1),
			Ack: isn[Server].Add(1)})
	}
	return listenWith(midstream, one, new(*Session), func(h *recorder) {
		drain := func() {
			var c tcp.Chunk
			for st.Pop(&c) {
				if c.Kind == tcp.Gap {
					panic("a gap where nothing is missing")
				}
				if c.Kind == tcp.Data {
					h.feed(Side(c.Dir), c.Bytes)
				}
			}
		}
		for i, s := range segs {
			st.Push(&conn, &tcp.Segment{Dir: tcp.Dir(s.side), Flags: tcp.ACK,
				Seq: isn[s.side].Add(1 + s.at), Ack: isn[1-s.side].Add(1 + s.ack),
				Len: len(s.data), Payload: []byte(s.data), Time: int64(i) * 20e6})
			drain()
		}
		st.Flush(&conn)
		drain()
		if conn.Anomalies() != 0 {
			panic("an overlap with the same bytes is no conflict")
		}
	})
}

type piece struct {
	side    Side
	at, ack int
	data    string
}

// cutUp makes segments of steps. cut returns the length of the next one.
func cutUp(steps []step, cut func(left int) int, rng *rand.Rand) (segs []piece) {
	var sent [2]string
	for _, s := range steps {
		start := len(sent[s.side])
		sent[s.side] += s.data
		for at := start; at < len(sent[s.side]); {
			n := max(1, min(cut(len(sent[s.side])-at), len(sent[s.side])-at))
			from := at
			if rng.IntN(4) == 0 { // it overlaps what was sent before
				from -= rng.IntN(min(at, 30) + 1)
			}
			p := piece{s.side, from, len(sent[1-s.side]), sent[s.side][from : at+n]}
			segs = append(segs, p)
			if rng.IntN(6) == 0 {
				segs = append(segs, p)
			}
			at += n
		}
	}
	for i := 0; i+3 <= len(segs); i += 3 { // a mirror port swaps some
		// A segment that overlaps an earlier one and acknowledges more must not come before that
		// one: it would count as a segment that the receiver drops.
		if rng.IntN(2) == 0 && !overlaps(segs[i:i+3]) {
			rng.Shuffle(3, func(a, b int) { segs[i+a], segs[i+b] = segs[i+b], segs[i+a] })
		}
	}
	return segs
}

// overlaps reports whether two segments share some of their bytes, and are no copies of each other.
func overlaps(segs []piece) bool {
	for i, a := range segs {
		for _, b := range segs[:i] {
			if a.side == b.side && a != b && a.at < b.at+len(b.data) && b.at < a.at+len(a.data) {
				return true
			}
		}
	}
	return false
}

// Each delivery of the segments gives the same events.
func TestDialoguesInSegments(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 25))
	list := slices.DeleteFunc(allDialogues(t), func(d *dialogue) bool {
		return d.holed() ||
			d.size() > 40_000
	})
	rounds := (500*60 + len(list) - 1) / len(list) // 30,000 in all
	if testing.Short() {
		rounds = 10
	}
	played := 0
	for _, d := range list {
		whole := joined(d.steps)
		want := listen(d.midstream, whole)
		for i := range rounds {
			cut := func(left int) int { return 1 + rng.IntN(1+rng.IntN(min(left, 100))) }
			if i == 0 {
				cut = func(int) int { return 1 }
			}
			if got := segmented(d.midstream, whole, cut, rng); got != want {
				t.Errorf("%s:\n%s", d.name, diff(got, want))
				break
			}
			played++
		}
	}
	t.Logf("R5: %d dialogues, %d segmentations, all with the same events (goal 60, 30,000)",
		len(list), played)
}
