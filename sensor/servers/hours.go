package servers

import "slices"

// Tick moves the servers' time on once a second. A server's own observations move its time
// on as well. The caller holds tickMu.
func (all *Set) Tick(now int64) {
	if now/second == all.lastTick {
		return
	}
	all.lastTick = now / second
	all.RollHours(now)
	for _, s := range all.sorted() {
		if s.First != 0 {
			all.commit(s, s.findings.Resume(), now)
			all.publish(s, s.advance(now))
			all.commit(s, s.findings.Calm(now), now)
			if all.cfg.Live { // at the end of a file the findings are closed anyway
				all.commit(s, s.findings.NewEvidence(now), now)
			}
		}
	}
}

const (
	// quietHours is how many hours without traffic are emitted one by one.
	quietHours = 48
	// quietEach is how many more quiet hours each hour with traffic earns.
	quietEach = 4
)

// RollHours emits the servers' events at each full hour up to now, and closes quiet findings. In a
// live capture this is due once a second. A file comes in rounds that can span days, so it runs
// between the journal's entries, too.
//
// Hours without traffic are emitted one by one while there are few, so that a reader sees a quiet
// night. A jump of the clock by more than quietHours, in either direction, only sets the next hour.
func (all *Set) RollHours(now int64) {
	// The first call and a jump only set the next hour.
	full := now - now%hour
	if all.nextHour == 0 || full > all.nextHour+quietHours*hour ||
		full < all.nextHour-quietHours*hour {
		all.nextHour = full + hour
		return
	}
	switch quiet := (full - all.nextHour) / hour; {
	case quiet > quietHours-all.quietSpent:
		// so that a few frames cannot cause 48 events of each server again and again
		all.nextHour = full + hour
		return
	// Emitted quiet hours are spent, and traffic earns them back.
	case quiet > 0:
		all.quietSpent += quiet
	case quiet == 0 && now >= all.nextHour:
		all.quietSpent = max(0, all.quietSpent-quietEach)
	}
	for ; now >= all.nextHour; all.nextHour += hour { // at most quietHours + 1
		for _, s := range all.sorted() {
			if s.First != 0 {
				all.publish(s, s.advance(all.nextHour))
				all.commit(s, s.findings.Calm(all.nextHour), all.nextHour)
			}
		}
		all.emit(all.nextHour)
	}
}

// emit emits the event of each server that was seen. now is its time, in ns.
func (all *Set) emit(now int64) {
	for _, s := range all.sorted() {
		if s.First == 0 {
			continue
		}
		r := s.Record(now)
		r.Addr, r.Declared, r.DomainsConfigured = s.addr, s.declared, all.localDomains != nil
		r.Count.Port25 = slices.Clone(r.Count.Port25)
		all.cfg.Server(&r)
	}
}

// Finish closes the servers' findings and emits their events at the end of the input. The
// caller holds tickMu.
func (all *Set) Finish(now int64, reason string) {
	for _, s := range all.sorted() {
		if s.First == 0 {
			continue
		}
		all.publish(s, s.advance(now))
		if all.cfg.Live { // the sensor stops, and nothing says that they are over
			all.commit(s, s.findings.Suspend(reason), now)
		} else {
			all.commit(s, s.findings.CloseAll(reason), now)
		}
	}
	all.emit(now)
}
