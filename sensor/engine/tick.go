package engine

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
)

// tick expires what is due in a shard. All packets before the tick have been processed. The caller
// holds the shard's lock. Entries of the journal that a tick causes have no packet, and are ordered
// by time; see inOrder.
func (s *shard) tick(t tick) {
	s.journal.begin(t.order, true)
	s.tracker.Tick(t.now, t.jump)
	s.sources.expireContacts(t.now)
	s.sources.tickFindings(t.now)
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
	// The intervals begin with the first call.
	if e.nextStats == 0 {
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

// emitSources emits the sources that changed, or all sources: first those with a profile or several
// attempts, highest level first, then external sources with a single attempt, then the SYN cache.
//
// The first part is sorted and small. The other two can be hundreds of thousands in a flood of
// spoofed SYNs, so they are emitted in the order of the table and not sorted.
func (e *Engine) emitSources(now int64, all bool) {
	if e.out.Source == nil {
		return
	}
	type line struct { // the sort keys; records of all sources at once would take much memory
		addr     flowtable.Addr
		attempts uint32
		ref      flowtable.Ref
		gen      uint16
		shard    uint16
		level    verdict.Level
	}
	var list []line
	var d finding.SourceRecord // reused: a flood has hundreds of thousands of sources
	for i := range e.shards {
		s := &e.shards[i]
		s.locked(func() {
			s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
				if src.singleAttempt() || !src.takeChanged(all) {
					return
				}
				l := line{addr: k.Addr, attempts: src.facts.Attempts, ref: r,
					gen: s.t.Sources.Gen(r), shard: uint16(i)}
				if prof := s.sources.profiles.At(src.profile); prof != nil {
					l.level = prof.Level()
				}
				list = append(list, l)
			})
		})
	}
	// Highest level first, then most attempts, then by address.
	slices.SortStableFunc(list, func(a, b line) int {
		return cmp.Or(-cmp.Compare(a.level, b.level), -cmp.Compare(a.attempts, b.attempts),
			bytes.Compare(a.addr[:], b.addr[:]))
	})
	for _, l := range list {
		s := &e.shards[l.shard]
		s.t.Lock()
		// The generation shows whether the entry still holds the same source.
		src := s.sources.sourceOf(l.ref, l.gen)
		if src != nil { // it was not evicted meanwhile
			d = s.sources.sourceRecord(src, s.sources.profiles.At(src.profile),
				*s.t.Sources.KeyOf(l.ref),
				now)
		}
		s.t.Unlock()
		if src != nil {
			e.progress.Add(1)
			e.out.Source(&d)
		}
	}
	for i := range e.shards {
		s := &e.shards[i]
		s.locked(func() {
			s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
				if src.singleAttempt() && src.takeChanged(all) {
					d = s.sources.sourceRecord(src, nil, *k, now)
					e.progress.Add(1)
					e.out.Source(&d)
				}
			})
			s.t.SYNs.All(func(n *track.SYNEntry) {
				if all || !n.Value.Emitted {
					n.Value.Emitted = true
					d = s.sources.synRecord(n, now)
					e.progress.Add(1)
					e.out.Source(&d)
				}
			})
		})
	}
}

// singleAttempt reports whether a source is external and known by one attempt alone.
func (s *source) singleAttempt() bool {
	return s.facts.Attempts == 1 && s.flags&(home|declared|serving) == 0 && s.profile == 0
}

// takeChanged reports whether a source is to be emitted, and clears its changed flag. A source
// without an attempt is not emitted: its entry exists for its flows alone.
func (s *source) takeChanged(all bool) bool {
	if s.facts.Attempts == 0 || !all && s.flags&changed == 0 {
		return false
	}
	s.flags &^= changed
	return true
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
	e.ended = true
	if !e.cfg.Live {
		e.sides.Finish()
		e.pairs.finish()
	}
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
		e.guarded(func() { s.sources.closeAll(now, reason) })
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

// closeAll judges the sources of a shard for the last time and closes their findings. The caller
// holds the shard's lock.
func (s *sourceObserver) closeAll(now int64, reason string) {
	// No reply comes any more: pending contacts are decided first.
	s.expireContacts(now)
	s.judgeAtEnd(now)
	if !s.e.cfg.Live && !s.e.homeSeen.Load() {
		s.judgeExternal()
	}
	s.tickFindings(now)
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
		if prof := s.profiles.At(src.profile); prof != nil {
			s.closeFindings(src, prof, *k, now, reason)
		}
	})
}

// judgeExternal publishes the verdicts on external sources: a file without an internal address can
// only be about external hosts.
func (s *sourceObserver) judgeExternal() {
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
		prof := s.profiles.At(src.profile)
		if prof != nil && prof.SetOneSided(s.e.acceptsOneSide()) {
			prof.Judge(&src.facts, src.facts.Last)
		}
		if prof != nil && prof.Level() > verdict.NoLevel && src.flags&declared == 0 {
			s.publish(src, prof, *k, prof.Verdict(), prof.Decided().At)
		}
	})
}

// judgeAtEnd judges all internal sources once more. Only at the end is it certain whether the
// capture shows one side of the connections alone.
func (s *sourceObserver) judgeAtEnd(now int64) {
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
		if prof := s.profiles.At(src.profile); prof != nil && s.eligible(src) &&
			src.flags&home != 0 {
			prof.SetOneSided(s.e.acceptsOneSide())
			s.publish(src, prof, *k, prof.Judge(&src.facts, now), now)
		}
	})
}
