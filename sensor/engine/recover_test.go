package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
)

// absent is a frame whose bytes are at address 16: decoding it dereferences an invalid pointer.
func absent() []byte {
	header := struct {
		at       uintptr
		len, cap int
	}{16, 60, 60}
	return *(*[]byte)(unsafe.Pointer(&header))
}

// deliveries are n dialogues of n hosts, frame by frame in turns.
func deliveries(n int) (frames []timedFrame) {
	var list []*conn
	for i := range n {
		list = append(list, newConn(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "192.0.2.25", uint16(40000+i%1000), 25).open().mail().close())
	}
	for j := range list[0].frames {
		for i, c := range list {
			frames = append(frames, timedFrame{c.frames[j].at + int64(i), c.frames[j].data})
		}
	}
	return frames
}

// panicRun is an engine with a record of its sessions.
type panicRun struct {
	e        *Engine
	w        *Worker
	sessions []string
	sick     map[string]bool // clients whose dialogue is broken
}

func newPanicRun(helpers int) *panicRun {
	r := &panicRun{sick: map[string]bool{}}
	r.e = New(Config{AllSessions: true, Helpers: helpers, Seed: []byte("panic")}, Output{Session: func(s *finding.Session) uint64 {
		r.sessions = append(r.sessions, fmt.Sprintf("%+v", *s))
		return uint64(len(r.sessions))
	}})
	r.w = r.e.Worker()
	return r
}

func (r *panicRun) take(frames []timedFrame) {
	list := make([]frame.Frame, 0, len(frames))
	for _, f := range frames {
		list = append(list, frame.Frame{Data: f.data, Time: f.at, Link: 1})
	}
	r.w.Take(list)
	r.w.EmitDue()
}

// hurt breaks the state of every n-th dialogue, so that its next use panics.
func (r *panicRun) hurt(n int) (count int) {
	for i := range r.e.shards {
		s := &r.e.shards[i]
		s.t.Flows.All(func(_ flowtable.Ref, k *flowtable.Key, f *track.Flow) {
			if (int(k.Client[14])*250+int(k.Client[15]))%n == 0 {
				f.Session = 1 << 30
				r.sick[peer.NetIP(k.Client, false).String()] = true
				count++
			}
		})
	}
	return count
}

// others are the sessions of the other clients.
func (r *panicRun) others(sick map[string]bool) (list []string) {
	for _, s := range r.sessions {
		client, _, _ := strings.Cut(strings.TrimPrefix(s, "{Client:"), ":")
		if !sick[client] {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}

// TestPanics checks that a panic in a dialogue costs that dialogue, and one in the decoder that
// frame; everything else is exact, and all panics are counted.
func TestPanics(t *testing.T) {
	frames := deliveries(1000)
	half := len(frames) / 2
	for _, helpers := range []int{1, 2} {
		whole := newPanicRun(helpers)
		whole.take(frames[:half])
		whole.take(frames[half:])
		whole.e.Finish("end_of_input")

		r := newPanicRun(helpers)
		r.take(frames[:half])
		n := r.hurt(20)
		var second []timedFrame
		bad := 0
		for i, f := range frames[half:] {
			if i%1000 == 500 {
				second = append(second, timedFrame{f.at, absent()})
				bad++
			}
			second = append(second, f)
		}
		r.take(second)
		r.e.Finish("end_of_input")
		st := r.e.Stats()
		want, got := whole.others(r.sick), r.others(r.sick)
		if n < 40 || bad < 9 || len(r.sick) != n {
			t.Fatalf("%d dialogues and %d frames were to panic", n, bad)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d helpers: %d other sessions, want %d", helpers, len(got), len(want))
		}
		broken := uint64(0)
		for _, o := range st.Outcomes {
			if o.Name == "panicked" {
				broken = o.N
			}
		}
		if st.Panics != uint64(n+bad) || broken != uint64(bad) || st.Frames != uint64(len(frames)+bad) {
			t.Errorf("%d helpers: %d panics, want %d + %d; %d frames panicked; %d of %d frames", helpers, st.Panics, n, bad, broken, st.Frames, len(frames)+bad)
		}
		if r.e.Fault() != nil {
			t.Errorf("it stops after %d panics: %v", n+bad, r.e.Fault())
		}
		if !strings.Contains(st.PanicAt, " in wire.") && !strings.Contains(st.PanicAt, " in engine.") || !strings.Contains(st.PanicAt, ".go:") {
			t.Errorf("the place is not told: %q", st.PanicAt)
		}
		t.Logf("R28: %d of %d panics isolated with %d helpers, %d other sessions exact (goal all, all)", st.Panics, n+bad, helpers, len(got))
	}
}

// TestPanicsOften checks one panic in a thousand packets over several minutes: every other flow is
// exact.
func TestPanicsOften(t *testing.T) {
	r := newPanicRun(1)
	var frames []timedFrame
	for i, f := range deliveries(1000) {
		f.at = epoch + int64(i)*20e6
		if frames = append(frames, f); i%1000 == 999 {
			frames = append(frames, timedFrame{f.at, absent()})
		}
	}
	for i := 0; i < len(frames); i += 500 {
		r.take(frames[i:min(i+500, len(frames))])
	}
	r.e.Finish("end_of_input")
	st := r.e.Stats()
	if n := uint64(len(frames) / 1001); st.Panics != n || len(r.sessions) != 1000 || st.Refused != n || r.e.Fault() != nil {
		t.Errorf("%d panics and %d refused of %d, %d sessions of 1000, %v", st.Panics, st.Refused, n, len(r.sessions), r.e.Fault())
	}
}

// TestTooManyPanics checks that the engine asks to stop after more than 100 panics a minute.
func TestTooManyPanics(t *testing.T) {
	for n, stop := range map[int]bool{100: false, 101: true} {
		r := newPanicRun(1)
		frames := deliveries(1)
		for range n {
			frames = append(frames, timedFrame{epoch + 1e9, absent()})
		}
		r.take(frames)
		if err := r.e.Fault(); (err != nil) != stop {
			t.Errorf("%d panics in a minute: %v", n, err)
		}
	}
	t.Logf("R28: stops at panic 101 of a minute (goal: more than 100)")
}

// TestPanicInOutput checks that a panic in the output of a session costs the event of that session.
func TestPanicInOutput(t *testing.T) {
	n := 0
	e := New(Config{AllSessions: true}, Output{Session: func(s *finding.Session) uint64 {
		if n++; n == 2 {
			panic("no")
		}
		return uint64(n)
	}, Source: func(*finding.SourceRecord) { panic("no") }})
	w := feeder{w: e.Worker(), size: 7}
	for _, f := range deliveries(5) {
		w.take(f)
	}
	e.Finish("end_of_input")
	if st := e.Stats(); n != 5 || st.Panics != 2 || st.Sessions != 5 {
		t.Errorf("%d sessions given out of %d, %d panics", n, st.Sessions, st.Panics)
	}
	if at := e.Stats().PanicAt; strings.Contains(at, "no") || !strings.Contains(at, "string") {
		t.Errorf("a text that may come from the wire is told: %q", at)
	}
}
