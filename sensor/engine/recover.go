package engine

import (
	"fmt"
	"math"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

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

// work works on the packets of this shard in all pieces, and does what is due at the ticks between
// them. progress counts the progress.
func (s *shard) work(pieces []decodeBatch, ticks []tick, progress *atomic.Uint64) {
	s.t.Lock()
	defer s.t.Unlock()
	s.progress = progress
	s.order, s.inTick, s.prefetching = 0, false, false
	what := caught(func() { s.process(pieces, ticks) })
	if what == "" {
		return
	}
	// What panics where packets are prepared does so again where they are worked on, and is counted
	// there.
	prepared := s.prefetching
	if !prepared {
		s.e.recordPanic(what)
	}
	if s.resume(pieces, ticks) == 0 && prepared {
		s.e.recordPanic(what)
	}
}

// caught calls f and describes the panic that ended it, if one did.
func caught(f func()) (what string) {
	defer func() {
		if r := recover(); r != nil {
			what = describe(r)
		}
	}()
	f()
	return ""
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

// resume goes on after a panic, where process was, and says how many more there were.
func (s *shard) resume(pieces []decodeBatch, ticks []tick) (panics int) {
	at, ticked := s.order, s.inTick
	if !s.prefetching && !ticked {
		s.quarantineCurrent(pieces, at)
	}
	// done says whether process has done what belongs to this number. With a tick in hand the packet
	// of that number is still to come.
	done := func(order uint64, isTick bool) bool { return order < at || order == at && (isTick || !ticked) }
	tickTo := func(order uint64) {
		for ; len(ticks) > 0 && ticks[0].order <= order; ticks = ticks[1:] {
			if t := ticks[0]; !done(t.order, true) && !s.e.guarded(func() { s.tick(t) }) {
				panics++
			}
		}
	}
	for i := range pieces {
		p := &pieces[i]
		q := p.queues[s.i]
		for j := range q {
			x := &q[j]
			order := p.base + uint64(x.number)
			tickTo(order)
			if done(order, false) {
				continue
			}
			s.order, s.seqInPacket, s.inTick = order, 0, false
			s.progress.Add(1)
			if !s.e.guarded(func() { s.packet(x, p.bytes[x.offset:x.offset+x.captured]) }) {
				s.quarantine(x)
				panics++
			}
		}
	}
	tickTo(math.MaxUint64)
	s.inTick = false
	return panics
}

// quarantineCurrent ends the connection of the packet with this number.
func (s *shard) quarantineCurrent(pieces []decodeBatch, order uint64) {
	for i := range pieces {
		p := &pieces[i]
		for j := range p.queues[s.i] {
			if x := &p.queues[s.i][j]; p.base+uint64(x.number) == order {
				s.quarantine(x)
				return
			}
		}
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

// emitRecovered tells a record, or counts that it could not be told.
func (e *Engine) emitRecovered(r *entry) {
	defer e.recoverPanic()
	e.progress.Add(1)
	e.emit(r)
}
