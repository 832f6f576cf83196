package engine

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"

	"spamsensor/flowtable"
)

// A panic is a fault of ours, and who finds a packet that causes one could switch the sensor off
// at will. So it costs what caused it and no more: a frame that is being decoded, a packet and
// its connection, a tick of a shard, a record that is given out. Each is counted and told,
// with the place in the code. When there are too many nothing is isolated any more: Fault then
// says to stop.
//
// There is no guard for each packet: one stands around each batch, and knows from the shard
// which packet was in hand. What is left of the batch is then worked on carefully, with a guard
// for each.

// maxPanics is how many panics in a minute, of packet time, are too many.
const maxPanics = 100

// faults are the panics so far.
type faults struct {
	mu     sync.Mutex
	n      uint64
	latest string // what and where
	since  int64  // beginning of the minute
	recent int    // panics in it
	err    error
}

// recordPanic takes in a panic, as describe gives it.
func (e *Engine) recordPanic(what string) {
	now := e.clock.Now()
	f := &e.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.latest = what
	if f.since == 0 {
		f.since = now // the first came before there was a time
	}
	if now-f.since >= minute || now < f.since {
		f.since, f.recent = now, 0
	}
	if f.recent++; f.recent > maxPanics && f.err == nil {
		f.err = fmt.Errorf("more than %d faults of spamsensor within a minute, the latest: %s; please report it", maxPanics, what)
	}
}

// Fault is why the engine should not go on, nil if it should.
func (e *Engine) Fault() error {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	return e.faults.err
}

// describe is what happened and the place in our code where; it is to be called by the deferred
// function that recovers. The text of a panic may hold bytes from the wire, so only those of the runtime are told.
func describe(reason any) string {
	what := fmt.Sprintf("%T", reason)
	if err, ok := reason.(runtime.Error); ok {
		what = err.Error()
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	thrown := false
	for { // as many as pcs has at most, and what the compiler put together in them
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			thrown = true
		case thrown && strings.HasPrefix(f.Function, "spamsensor/"):
			return fmt.Sprintf("%s in %s (%s:%d)", what, path.Base(f.Function), path.Base(f.File), f.Line)
		}
		if !more {
			return what
		}
	}
}

// isFault reports whether a panic is memory that is not there: a page of a file that was cut
// after it was mapped. Reading near address zero is no such thing but a nil pointer.
func isFault(reason any) bool {
	f, ok := reason.(interface{ Addr() uintptr })
	return ok && f.Addr() >= 4096
}

// quarantineCurrent records a panic and drops the flow of the packet that caused it. The rest of a
// tick is dropped. A packet that panics while it is prefetched panics again where it is processed,
// and is recorded there.
func (s *shard) quarantineCurrent(batches []decodeBatch, what string) {
	c := &s.cursor
	c.noPrefetch = true
	if c.prefetching {
		c.prefetching, c.prefetchPanic = false, what
		return
	}
	c.prefetchPanic = ""
	s.e.recordPanic(what)
	if !s.inTick {
		s.quarantine(&batches[c.batch].queues[s.i][c.packet-1])
	}
	s.inTick = false
}

// guarded calls f, and reports false if it panicked.
func (e *Engine) guarded(f func()) (ok bool) {
	defer e.recoverPanic()
	f()
	return true
}

// recoverPanic is to be deferred: it notes a panic and ends it.
func (e *Engine) recoverPanic() {
	if r := recover(); r != nil {
		e.recordPanic(describe(r))
	}
}

// quarantine forgets the connection of a packet that made us panic. What was counted of its source
// stays.
func (s *shard) quarantine(x *packet) {
	s.e.guarded(func() {
		if r := s.t.Flows.Find(x.flow, &x.key); r != 0 {
			if s.t.Flows.At(r).has(portsReused) {
				r = s.matchFlow(x, r)
			}
			s.dropBroken(r, s.t.Flows.At(r))
		}
	})
	s.sniff.Events = s.sniff.Events[:0]
}

// discard takes a flow out of the table without looking at what is in it.
func (s *shard) dropBroken(r flowtable.Ref, f *flow) {
	s.count.discarded++
	s.stream.Abandon(&f.conn)
	if uint64(f.session) < uint64(len(s.sessions.list)) && f.session != 0 {
		if session := s.sessions.at(f.session); session != nil {
			s.sniff.Abandon(session)
		}
		s.sessions.remove(f.session)
		s.dropTransaction(f.session)
	}
	if src := s.sourceOf(f.source, f.sourceGen); src != nil && f.has(counted) && !f.has(lingering) {
		src.facts.Closed()
	}
	s.removeFlow(r, s.t.Flows.KeyOf(r), f)
}

// end gives what waits in a flow, concludes its session and removes it.
func (s *shard) closeFlow(r flowtable.Ref, k *flowtable.Key, f *flow, reason string) {
	defer func() {
		if p := recover(); p != nil {
			s.e.recordPanic(describe(p))
			s.dropBroken(r, f)
			s.sniff.Events = s.sniff.Events[:0]
		}
	}()
	s.drainAndClose(r, k, f, reason)
}
