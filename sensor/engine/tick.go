package engine

import (
	"cmp"
	"math"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// tick does what is due in a shard at a time: all packets that came before have been
// worked on.
func (s *shard) tick(t tick) {
	s.order, s.sub, s.ticking = t.order, 0, true
	s.t.Attempts.Expire(t.now - forgetAttempt)
	s.t.Flows.Expire(t.now, func(r flowtable.Ref, k *flowtable.Key, f *flow) { s.due(t.now, r, k, f) })
	s.tickFindings(t.now)
	s.ticking = false
}

// tell gives out the sources and the counters whose time has come.
func (e *Engine) tell() {
	now := e.clock.Now()
	if now == 0 {
		return
	}
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	if e.nextStats == 0 {
		e.nextStats = now + e.cfg.StatsInterval
		e.nextSrcs = now + e.cfg.SourceInterval
	}
	if e.cfg.SourceInterval > 0 && now >= e.nextSrcs {
		e.nextSrcs = now + e.cfg.SourceInterval
		e.tellSources(now, false)
	}
	e.tickServers(now)
	if now >= e.nextStats {
		e.nextStats = now + e.cfg.StatsInterval
		if e.out.Stats != nil {
			e.out.Stats(now)
		}
	}
}

// due ends a flow whose time is over, or says when it will be.
func (s *shard) due(now int64, r flowtable.Ref, k *flowtable.Key, f *flow) {
	wait := int64(idleOpen)
	switch {
	case f.has(lingering) && !f.conn.Over(): // the reset was not believed
		f.flags &^= lingering
		if src := s.sourceOf(f.source, f.sourceGen); src != nil {
			src.facts.Opened()
		}
	case f.has(lingering):
		wait = linger
	case !f.has(opened) && !f.has(midstream):
		wait = idleNew
	}
	if at := f.last + wait; at > now && at-now <= wait {
		s.t.Flows.Schedule(r, now, at)
		return
	}
	s.end(r, k, f, "timeout")
}

// tellSources gives out the sources that changed, or all of them.
func (e *Engine) tellSources(now int64, all bool) {
	if e.out.Source == nil {
		return
	}
	var list []detect.SourceRecord
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
			if src.facts.Attempts > 0 && (all || src.flags&changed != 0) {
				src.flags &^= changed
				list = append(list, s.sourceRecord(src, s.hosts.at(src.host), *k, now))
			}
		})
		s.t.Unlock()
	}
	slices.SortFunc(list, func(a, b detect.SourceRecord) int {
		return cmp.Or(-cmp.Compare(a.Level, b.Level), -cmp.Compare(a.Facts.Attempts, b.Facts.Attempts), a.Addr.Compare(b.Addr), cmp.Compare(a.Facts.First, b.Facts.First))
	})
	for i := range list {
		e.out.Source(&list[i])
	}
}

// finish ends everything. The caller holds tickMu.
func (e *Engine) finish(reason string) {
	now := e.clock.Now()
	e.over = true
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.order, s.sub, s.ticking = math.MaxUint64-1, 0, true
		s.t.Flows.All(func(r flowtable.Ref, k *flowtable.Key, f *flow) { s.end(r, k, f, reason) })
		s.t.Unlock()
	}
	e.flushRecords()
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.order = math.MaxUint64
		if !e.cfg.Live && !e.homeSeen.Load() {
			s.judgeForeign()
		}
		s.tickFindings(now)
		s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
			if hst := s.hosts.at(src.host); hst != nil {
				s.closeFindings(src, hst, *k, now, reason)
			}
		})
		s.t.Unlock()
	}
	e.flushRecords()
	e.finishServers(now, reason)
	e.tellSources(now, true)
	if e.out.Stats != nil {
		e.out.Stats(now)
	}
}

// judgeForeign publishes the verdicts on all sources: a file that holds no address of
// ours must be about somebody.
func (s *shard) judgeForeign() {
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
		if hst := s.hosts.at(src.host); hst != nil && hst.Level() > detect.NoLevel && src.flags&declared == 0 {
			s.publish(src, hst, *k, detect.Verdict{Class: detect.Spambot, Level: hst.Level()}, hst.Decided().At)
		}
	})
}
