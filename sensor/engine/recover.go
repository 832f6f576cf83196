package engine

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"

	"spamsensor/sensor/track"
)

// A panic is a bug of ours, and an attacker who knows a packet that causes one could switch the
// sensor off at will. So a panic costs its cause and no more: the frame that is decoded, the packet
// and its flow, the tick of a shard, the event that is emitted. Each panic is counted and reported
// with its place in the code. If there are too many, Fault asks the caller to stop.
//
// There is no guard for each packet, which would cost 15 to 20 ns: one guard stands around a
// shard's round, and the shard's cursor says which packet was processed and where to go on.

// maxPanics is the number of panics in a minute of packet time that the engine tolerates.
const maxPanics = 100

// faults are the panics so far. They have a lock of their own, because a panic can happen under any
// other lock.
type faults struct {
	mu     sync.Mutex
	n      uint64
	latest string // message and place in the code
	since  int64  // beginning of the current minute
	recent int    // panics in this minute
	err    error
}

// recordPanic counts a panic; what is the result of describe.
func (e *Engine) recordPanic(what string) {
	now := e.clock.Now()
	f := &e.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.latest = what
	if f.since == 0 {
		f.since = now // the first panic came before the first packet
	}
	if now-f.since >= minute || now < f.since {
		f.since, f.recent = now, 0
	}
	if f.recent++; f.recent > maxPanics && f.err == nil {
		f.err = fmt.Errorf("more than %d faults of spamsensor within a minute, the latest: %s; "+
			"please report it", maxPanics, what)
	}
}

// Fault returns the reason why the engine should stop, nil if it should go on. Any goroutine may
// call it.
func (e *Engine) Fault() error {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	return e.faults.err
}

// describe returns the message of a panic and its place in our code: the innermost function of this
// module. The deferred function that recovers calls it. The text of a panic may hold bytes from the
// wire, so only the runtime's own messages are quoted.
func describe(reason any) string {
	what := fmt.Sprintf("%T", reason)
	if err, ok := reason.(runtime.Error); ok {
		what = err.Error()
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	// Frames above gopanic belong to the recovery.
	thrown := false
	for { // at most as many as pcs holds, with inlined calls
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			thrown = true
		case thrown && strings.HasPrefix(f.Function, "spamsensor/"):
			return fmt.Sprintf("%s in %s (%s:%d)", what, path.Base(f.Function),
				path.Base(f.File), f.Line)
		}
		if !more {
			return what
		}
	}
}

// quarantineCurrent records a panic and drops the flow of the packet that caused it. The rest of a
// tick is dropped. A packet that panics while it is prefetched panics again where it is processed,
// and is recorded there.
func (s *shard) quarantineCurrent(b *decodeBatch, what string) {
	c := &s.cursor
	c.noPrefetch = true
	if c.prefetching {
		c.prefetching, c.prefetchPanic = false, what
		return
	}
	c.prefetchPanic = ""
	s.e.recordPanic(what)
	if !s.journal.inTick {
		s.quarantine(b, &b.queues[s.i][c.packet-1])
	}
	s.journal.inTick = false
}

// guarded calls f, and reports false if it panicked. It is for work at the end of a round and at
// the end of the input, where a panic costs this piece of work alone.
func (e *Engine) guarded(f func()) (ok bool) {
	defer e.recoverPanic()
	f()
	return true
}

// recoverPanic is deferred: it records a panic and ends it.
func (e *Engine) recoverPanic() {
	if r := recover(); r != nil {
		e.recordPanic(describe(r))
	}
}

// quarantine drops the flow of a packet that panicked. The counters of its source stay.
func (s *shard) quarantine(b *decodeBatch, x *track.Row) {
	s.e.guarded(func() {
		b.side.Expand(&s.packetInHand, x, b.side.FlowHash(x))
		s.tracker.Quarantine(&s.packetInHand)
	})
	s.tracker.Listener.Events = s.tracker.Listener.Events[:0]
}
