package engine

import (
	"testing"

	"spamsensor/flowtable"
	"spamsensor/sensor/sources"
	. "spamsensor/sensor/wire/wiretest"
)

// TestFastOpenEndsOnce checks that a SYN with data is one connection, which ends once, while
// another connection of the same host continues.
func TestFastOpenEndsOnce(t *testing.T) {
	data := func(port uint16) *conn {
		return newConn("10.0.0.5", "192.0.2.25", port, 25).wait(10*second).send(0, SYN, "EHLO a.example.org\r\n")
	}
	for _, c := range []struct {
		name string
		one  *conn
	}{
		{"taken", data(40001).send(1, SYN|ACK, "").send(0, ACK, "").serverSends("220 mx\r\n").serverSends("250 mx\r\n").close()},
		{"refused", data(40001).send(1, RST|ACK, "")},
		{"not answered", data(40001)},
	} {
		stays := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
		frames := append(stays.frames, c.one.frames...)
		for i := range 5 { // each timer expires
			stays.at = epoch + int64(1+i)*90*second
			frames = append(frames, stays.clientSends("NOOP\r\n").frames[len(stays.frames)-1])
		}
		e := New(Config{AllSessions: true}, Output{})
		w := feeder{w: e.Worker(), size: 1}
		for _, f := range frames {
			w.take(f)
		}
		found := false
		for i := range e.shards {
			s := &e.shards[i]
			s.t.Sources.All(func(_ flowtable.Ref, _ *flowtable.HostKey, src *sources.Source) {
				found = true
				if n := src.Counters.Concurrent; n != 1 {
					t.Errorf("%s: %d connections at a time, want one", c.name, n)
				}
			})
		}
		if !found {
			t.Errorf("%s: no source", c.name)
		}
		e.Finish("end_of_input")
	}
}
