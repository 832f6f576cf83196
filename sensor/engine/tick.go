package engine

import (
	"math"
	"sync/atomic"

	"spamsensor/sensor/finding"
)

// tick expires what is due in a shard. All packets before the tick have been processed. The caller
// holds the shard's lock. Entries of the journal that a tick causes have no packet, and are ordered
// by time; see inOrder.
func (s *shard) tick(t tick) {
	s.journal.begin(t.order, true)
	s.tracker.Tick(t.now, t.jump)
	s.sources.ExpireContacts(t.now)
	s.sources.TickFindings(t.now)
	s.journal.inTick = false
}

// emitDue emits the sources and the counters that are due. progress counts its work. It takes
// tickMu, so it never runs beside the end of a round.
func (e *Engine) emitDue(progress *atomic.Uint64) {
	now := e.clock.Now()
	if now == 0 {
		return
	}
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	defer e.recoverPanic()
	e.progress = progress
	// The intervals begin with the first call, and anew when the clock of a live capture was set
	// back: otherwise there would be no stats, and no check of the health, for as long.
	if e.nextStats == 0 || e.cfg.Live && e.nextStats > now+e.cfg.StatsInterval {
		e.nextStats = now + e.cfg.StatsInterval
		e.nextSrcs = now + e.cfg.SourceInterval
	}
	e.guarded(func() { e.servers.Tick(now) })
	if e.cfg.SourceInterval > 0 && now >= e.nextSrcs {
		e.nextSrcs = now + e.cfg.SourceInterval
		e.emitSources(now, false)
	}
	if now >= e.nextStats {
		e.nextStats = now + e.cfg.StatsInterval
		if e.out.Stats != nil {
			e.out.Stats(now)
		}
	}
}

// finish closes all flows and findings and emits the last events. The caller holds tickMu. The
// order matters:
//
//	close all flows           their sessions may still open findings
//	exchange notes            the last observations reach the other shards
//	judge and close findings  with all evidence
//	close the servers' ones   they rest on sessions
//	emit sources and counters
func (e *Engine) finish(reason string) {
	now := e.clock.Now()
	e.sources.EndInput()
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		// Entries of the end come behind all packets, in the order of their times.
		s.journal.begin(math.MaxUint64-1, true)
		s.tracker.CloseAll(reason)
		s.t.Unlock()
	}
	e.exchangeNotes()
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		// Verdicts come behind the last sessions.
		s.journal.order = math.MaxUint64
		e.guarded(func() { s.sources.CloseAll(now, reason) })
		s.t.Unlock()
	}
	e.drainJournals()
	e.guarded(func() { e.servers.Finish(now, reason) })
	e.guarded(func() {
		if e.site.Emitted() {
			e.emitSite(now)
		}
		e.emitSources(now, true)
	})
	if e.out.Stats != nil {
		e.guarded(func() { e.out.Stats(now) })
	}
}

// emitSources emits the sources that changed, or every source.
func (e *Engine) emitSources(now int64, every bool) {
	if e.out.Source == nil {
		return
	}
	e.sources.Emit(now, every, func(d *finding.SourceRecord) {
		e.progress.Add(1)
		e.out.Source(d)
	})
}
