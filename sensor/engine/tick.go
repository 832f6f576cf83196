package engine

import (
	"bytes"
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
	if t.jump { // no time has passed for who is in the middle of something
		s.jumped = t.now
	}
	s.t.Attempts.Expire(t.now - forgetAttempt)
	s.t.Flows.Expire(t.now, func(r flowtable.Ref, k *flowtable.Key, f *flow) { s.due(t.now, r, k, f) })
	s.tickOutcomes(t.now)
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
	defer e.rescue()
	e.handOver()
	if e.nextStats == 0 {
		e.nextStats = now + e.cfg.StatsInterval
		e.nextSrcs = now + e.cfg.SourceInterval
	}
	e.guarded(func() { e.tickServers(now) })
	if e.cfg.SourceInterval > 0 && now >= e.nextSrcs {
		e.nextSrcs = now + e.cfg.SourceInterval
		e.tellSources(now, false)
	}
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
	f.last = min(f.last, now) // a frame of it may have had any time
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
	if at := max(f.last, s.jumped) + wait; at > now {
		s.t.Flows.Schedule(r, now, at)
		return
	}
	s.end(r, k, f, "timeout")
}

// tellSources gives out the sources that changed, or all of them: first those that are
// sources indeed, the worst first, then the newcomers.
func (e *Engine) tellSources(now int64, all bool) {
	if e.out.Source == nil {
		return
	}
	type line struct { // what the order needs; records of all at once would take much memory
		level    detect.Level
		attempts uint32
		first    int64
		addr     flowtable.Addr
		shard    int32
		ref      flowtable.Ref
	}
	n := 0
	for i := range e.shards {
		e.shards[i].t.Lock()
		n += e.shards[i].t.Sources.Len()
		e.shards[i].t.Unlock()
	}
	list := make([]line, 0, n)
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
			if src.facts.Attempts > 0 && (all || src.flags&changed != 0) {
				src.flags &^= changed
				l := line{attempts: src.facts.Attempts, first: src.facts.First, addr: k.Addr, shard: int32(i), ref: r}
				if hst := s.hosts.at(src.host); hst != nil {
					l.level = hst.Level()
				}
				list = append(list, l)
			}
		})
		s.t.Unlock()
	}
	slices.SortFunc(list, func(a, b line) int {
		return cmp.Or(-cmp.Compare(a.level, b.level), -cmp.Compare(a.attempts, b.attempts), bytes.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.first, b.first))
	})
	for _, l := range list {
		s := &e.shards[l.shard]
		s.t.Lock()
		src := s.t.Sources.At(l.ref)
		d := s.sourceRecord(src, s.hosts.at(src.host), *s.t.Sources.KeyOf(l.ref), now)
		s.t.Unlock()
		e.out.Source(&d)
	}
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.t.Newcomers.All(func(n *flowtable.Newcomer[newcomer]) {
			if all || !n.Value.told {
				n.Value.told = true
				d := s.newcomerRecord(n, now)
				e.out.Source(&d)
			}
		})
		s.t.Unlock()
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
	e.handOver()
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.order = math.MaxUint64
		e.guarded(func() { s.closeAll(now, reason) })
		s.t.Unlock()
	}
	e.flushRecords()
	e.guarded(func() { e.finishServers(now, reason) })
	e.guarded(func() {
		if addr, servers := e.site.public(); e.site.told > 0 {
			e.tellSite(addr, servers, now)
		}
		e.tellSources(now, true)
	})
	if e.out.Stats != nil {
		e.guarded(func() { e.out.Stats(now) })
	}
}

// closeAll ends the findings of a shard.
func (s *shard) closeAll(now int64, reason string) {
	s.tickOutcomes(now)
	s.judgeLast(now)
	if !s.e.cfg.Live && !s.e.homeSeen.Load() {
		s.judgeForeign()
	}
	s.tickFindings(now)
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
		if hst := s.hosts.at(src.host); hst != nil {
			s.closeFindings(src, hst, *k, now, reason)
		}
	})
}

// judgeForeign publishes the verdicts on all sources: a file that holds no address of
// ours must be about somebody.
func (s *shard) judgeForeign() {
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
		if hst := s.hosts.at(src.host); hst != nil && hst.Level() > detect.NoLevel && src.flags&declared == 0 {
			s.publish(src, hst, *k, hst.Verdict(), hst.Decided().At)
		}
	})
}

// judgeLast gives what is known only now its place in the verdicts.
func (s *shard) judgeLast(now int64) {
	s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
		if hst := s.hosts.at(src.host); hst != nil && s.judges(src) && src.flags&home != 0 {
			s.publish(src, hst, *k, hst.Judge(&src.facts, now), now)
		}
	})
}
