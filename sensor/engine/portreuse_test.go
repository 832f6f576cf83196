package engine

import (
	"cmp"
	"slices"
	"testing"

	"spamsensor/sensor/finding"
	. "spamsensor/sensor/wire/wiretest"
)

const room = 16 // flows of a shard, the least possible number

// cramped analyses with the smallest table.
func cramped(frames []timedFrame) (s Stats, told []*finding.Session) {
	e := New(Config{AllSessions: true, Limits: Limits{Flows: 1}}, Output{Session: func(s *finding.Session) uint64 { told = append(told, s); return 0 }})
	w := feeder{w: e.Worker(), size: 1}
	for _, f := range frames {
		w.take(f)
	}
	e.Finish("end_of_input")
	return e.Stats(), told
}

// TestRivalInAFullTable checks a full table: a second handshake on the same ports may replace the
// first connection; the following segments belong to the second, and no other flow is evicted.
func TestRivalInAFullTable(t *testing.T) {
	frames := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().send(1, SYN|ACK, "").frames
	for i := range room - 1 {
		frames = append(frames, at(newConn("10.0.0.5", "192.0.2.25", uint16(41000+i), 25).syn().send(1, SYN|ACK, "").frames, int64(1+i)*second)...)
	}
	again := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
	again.seq = [2]uint32{700_001_000, 800_005_000}
	frames = append(frames, at(again.open().mail().close().frames, 30*second)...)
	s, told := cramped(frames)
	if s.FlowsTotal != room+1 || s.FlowsEvicted != 1 || s.Sessions != 1 || len(told) != 1 || told[0].Messages != 1 {
		t.Errorf("%d flows, %d evicted, %d sessions, told %d", s.FlowsTotal, s.FlowsEvicted, s.Sessions, len(told))
	}
}

// TestFastOpenFlood checks that a SYN with data begins a flow while there is room, and that a flood
// of them does not evict open sessions.
func TestFastOpenFlood(t *testing.T) {
	var frames []timedFrame
	for i := range 3 {
		frames = append(frames, newConn("10.0.0.5", "192.0.2.25", uint16(40000+i), 25).open().serverSends("220 mx\r\n").frames...)
	}
	for i := range 2 * room {
		frames = append(frames, at(newConn("10.0.0.5", "192.0.2.25", uint16(41000+i), 25).send(0, SYN, "EHLO a\r\n").frames, int64(1+i)*1e6)...)
	}
	if s, _ := cramped(frames); s.FlowsTotal > room/2+1 || s.FlowsEvicted != 0 || s.Sessions != 3 {
		t.Errorf("%d flows, %d evicted, %d sessions", s.FlowsTotal, s.FlowsEvicted, s.Sessions)
	}
}

// TestReplacedIsTold checks a port that is used again without a seen end of the first connection:
// the first session is emitted when the second has ended, not before, and never while the first
// continues.
func TestReplacedIsTold(t *testing.T) {
	for _, c := range []struct {
		name      string
		goesOn    bool  // the first one sends while the second does
		wait      int64 // after the end of the second one, until sessions are counted
		told      int
		reset     bool // the second one ends with a reset
		messages  uint32
		unstarted bool // the second handshake is not completed
	}{
		{name: "ended", wait: 8 * second, told: 2, messages: 2},
		{name: "reset", reset: true, wait: 8 * second, told: 2, messages: 2},
		{name: "the first goes on", goesOn: true, wait: 8 * second, told: 1, messages: 1},
		{name: "the second is no session", unstarted: true, wait: 80 * second, told: 0},
	} {
		first := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().mail()
		again := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
		again.seq, again.at = [2]uint32{700_001_000, 800_005_000}, first.at+60*second
		switch {
		case c.unstarted:
			again.syn().send(1, SYN|ACK, "").send(1, RST, "")
		case c.reset:
			again.open().mail().send(1, RST|ACK, "")
		default:
			again.open().mail().close()
		}
		frames := append(first.frames, again.frames...)
		if c.goesOn {
			first.at = again.at - 1e6
			frames = append(frames[:len(frames)-2:len(frames)-2], append(first.clientSends("NOOP\r\n").frames[len(first.frames)-1:], frames[len(frames)-2:]...)...)
		}
		other := newConn("10.0.0.6", "192.0.2.25", 40000, 25)
		other.at = again.at + c.wait
		frames = append(frames, other.syn().frames...)

		var told []*finding.Session
		e := New(Config{AllSessions: true}, Output{Session: func(s *finding.Session) uint64 { told = append(told, s); return 0 }})
		w := feeder{w: e.Worker(), size: 1}
		for _, f := range frames {
			w.take(f)
		}
		n, messages := len(told), uint32(0)
		for _, s := range told {
			messages += s.Messages
		}
		if n != c.told || messages != c.messages {
			t.Errorf("%s: %d told, %d messages; want %d and %d", c.name, n, messages, c.told, c.messages)
		}
		e.Finish("end_of_input")
	}
}

// TestOutliveInTheSameSecond checks a silent connection and a later one with its ports that are due
// in the same second: each is emitted once, and no other entry is freed with them.
func TestOutliveInTheSameSecond(t *testing.T) {
	const pairs = 200
	var frames []timedFrame
	for i := range pairs {
		first := newConn("10.0.0.5", "192.0.2.25", uint16(30000+i), 25)
		first.at += int64(i) * 3 * second // each pair in a slot of the wheel by itself
		first.open().mail()
		again := newConn("10.0.0.5", "192.0.2.25", uint16(30000+i), 25)
		// The first expires 15 minutes after its last segment, the second 5 s after its end.
		again.seq, again.at = [2]uint32{700_001_000, 800_005_000}, first.at+int64(15*minute)-5*second
		again.open().send(1, RST|ACK, "")
		frames = append(append(frames, first.frames...), again.frames...)
	}
	slices.SortStableFunc(frames, func(a, b timedFrame) int { return cmp.Compare(a.at, b.at) })
	var burst [][]timedFrame // flows that take their places, all at once
	for i := range 3 * pairs {
		c := newConn("10.0.0.5", "192.0.2.25", uint16(40000+i), 25)
		c.at = frames[len(frames)-1].at + 60*second
		burst = append(burst, c.open().wait(second).mail().close().frames)
	}
	frames = append(frames, together(burst...)...)
	told := map[uint16]int{}
	var n uint64
	e := New(Config{AllSessions: true}, Output{Session: func(s *finding.Session) uint64 {
		n++
		told[s.Client.Port()]++
		return n
	}})
	w := feeder{w: e.Worker(), size: 64}
	for _, f := range frames {
		w.take(f)
	}
	if len(w.list) > 0 {
		w.flush()
	}
	e.Finish("end_of_input")
	for port, k := range told {
		want := 1
		if port < 40000 {
			want = 2
		}
		if k != want {
			t.Errorf("port %d: %d sessions told, want %d", port, k, want)
		}
	}
	if s := e.Stats(); len(told) != 4*pairs || n != 5*pairs || s.Sessions != n || s.Panics != 0 {
		t.Errorf("%d ports and %d sessions told, %d sessions, %d panics", len(told), n, s.Sessions, s.Panics)
	}
}
