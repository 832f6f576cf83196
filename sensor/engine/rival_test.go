package engine

import (
	"testing"

	"spamsensor/sensor/detect"
	. "spamsensor/sensor/wire/wiretest"
)

const room = 16 // flows of a shard, the fewest there can be

// cramped analyses with the smallest table.
func cramped(frames []frame) (s Stats, told []*detect.Session) {
	e := New(Config{AllSessions: true, Limits: Limits{Flows: 1}}, Output{Session: func(s *detect.Session) uint64 { told = append(told, s); return 0 }})
	w := feeder{w: e.Worker(), size: 1}
	for _, f := range frames {
		w.take(f)
	}
	e.Finish("end_of_input")
	return e.Stats(), told
}

// Where the table is full, a second handshake may have to take the place of the first: what follows is
// that of the second, and nobody stands beside.
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

// A SYN with data begins a flow while there is room; a flood of them does not push out those who talk.
func TestFastOpenFlood(t *testing.T) {
	var frames []frame
	for i := range 3 {
		frames = append(frames, newConn("10.0.0.5", "192.0.2.25", uint16(40000+i), 25).open().told("220 mx\r\n").frames...)
	}
	for i := range 2 * room {
		frames = append(frames, at(newConn("10.0.0.5", "192.0.2.25", uint16(41000+i), 25).send(0, SYN, "EHLO a\r\n").frames, int64(1+i)*1e6)...)
	}
	if s, _ := cramped(frames); s.FlowsTotal > room/2+1 || s.FlowsEvicted != 0 || s.Sessions != 3 {
		t.Errorf("%d flows, %d evicted, %d sessions", s.FlowsTotal, s.FlowsEvicted, s.Sessions)
	}
}
