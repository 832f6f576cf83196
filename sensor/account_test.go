package main

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
)

// TestAccountAlarm checks that there is an alarm, in the events and in the exit code, if the
// account of the frames does not balance. The sources of this test report wrong numbers of frames.
func TestAccountAlarm(t *testing.T) {
	for _, c := range []struct {
		name    string
		off     int64
		workers int64 // other workers may hold frames
		alarm   bool  // while the sensor runs
		code    int
	}{
		{"right", 0, 0, false, 0}, {"a frame too few", 1, 0, true, exitInternal}, {"a frame too many", -1, 0, true, exitInternal},
		{"on their way, and then lost", 5, 512, false, exitInternal}, {"more than can be on their way", 600, 512, true, exitInternal},
	} {
		cfg, err := loadConfig(&options{})
		if err != nil {
			t.Fatal(err)
		}
		var p *pipeline
		var out bytes.Buffer
		p = newPipeline(cfg, "ab", false, &out, func(uint16) string { return "test" }, func() capture.Stats {
			return capture.Stats{Frames: uint64(1000 + c.off)}
		})
		p.inFlight = c.workers
		var skipped [frame.Classes]uint64
		skipped[3] = 1000
		p.engine.Worker().Skip(skipped[:], 1e18, 1e18)
		p.stats(1e18)
		p.stats(2e18)
		if alarm := p.unaccounted != 0; alarm != c.alarm {
			t.Errorf("%s: alarm %v while running", c.name, alarm)
		}
		err = p.finish("end_of_input")
		code := 0
		if e := new(exitError); errors.As(err, &e) {
			code = e.code
		}
		if code != c.code || c.code != 0 && !strings.Contains(err.Error(), "unaccounted for") {
			t.Errorf("%s: %v, exit code %d", c.name, err, code)
		}
		raised := 0
		for _, e := range ofType(parseEvents(t, out.Bytes()), "health") {
			if e.Health.Check == "account" && e.Health.State == "raised" {
				raised++
			}
		}
		if want := min(1, c.code); raised != want {
			t.Errorf("%s: raised %d times, want %d", c.name, raised, want)
		}
	}
	t.Logf("R15: an account that does not hold raises an alarm and ends with exit code 70 (goal the same)")
}

// gate is an output that fails while it is closed.
type gate struct{ closed atomic.Bool }

func (g *gate) Write(b []byte) (int, error) {
	if g.closed.Load() {
		return 0, syscall.ENOSPC
	}
	return len(b), nil
}

// Losses of events are reported when they begin and, by type, when events can be written again.
func TestLossOfEventsIsSaid(t *testing.T) {
	out := &gate{}
	q := event.NewQueue(out, false)
	w := event.NewWriter(event.Config{Run: "ab", Host: "h", Input: func(uint16) string { return "x" }}, q)
	s := &finding.Session{Client: netip.MustParseAddrPort("10.0.0.5:40000"), Server: netip.MustParseAddrPort("192.0.2.25:25")}
	h := health{raised: map[string]event.Health{}}
	next := func() event.Health {
		t.Helper()
		for range 2000 {
			h.changes = nil
			h.output(1e18, 1e18, q)
			if len(h.changes) > 0 {
				return h.changes[0]
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatal("nothing is said")
		return event.Health{}
	}
	w.Session(s)
	q.Flush(time.Minute)
	if h.output(1, 1, q); h.changes != nil {
		t.Errorf("raised for nothing: %v", h.changes)
	}
	out.closed.Store(true)
	w.Session(s)
	if got := next(); got.State != "raised" || !strings.Contains(got.Text, "no space left") {
		t.Errorf("%+v", got)
	}
	w.Session(s)
	w.Source(&finding.SourceRecord{Addr: netip.MustParseAddr("10.0.0.5")})
	for range 2000 {
		if _, d := q.Totals(); d.Sum() == 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	h.output(1, 1, q)
	out.closed.Store(false)
	w.Session(s)
	if got := next(); got.State != "cleared" || got.Text != "events are written again; lost in between: 2 session, 1 source" || got.Value != 3 {
		t.Errorf("%+v", got)
	}
	q.Close()
}
