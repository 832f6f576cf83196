package sources

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
)

// A machine can use several addresses side by side: IPv4 and IPv6, and the IPv4 address that it had
// before. Each address keeps its profile, so that a machine can be taken apart again. One address
// stands for all of them, the lead: it is judged by the sum of the profiles, and has the findings.
// The others are judged at the lead: their observers note that something changed, and the tracker
// of machines has the lead take their parts at the end of the round; see Join.

// joint is what the profile of an address knows of the other addresses of its machine.
type joint struct {
	lead     bool
	others   []*detect.Snapshot  // of the lead
	counters *detect.Counters    // of the others
	also     []flowtable.HostKey // the others
	open     bool                // the machine has an open finding
	noted    bool                // its change is in shardNotes.changed
	own      *detect.Profile     // the profile of the address while that of the machine is in use
}

// maxChanged bounds the changed addresses of a round in a shard. One that is left out is noted with
// its next change.
const maxChanged = 256

// noteChanged notes that an address that is no lead has something new.
func (s *Observer) noteChanged(prof *profile, k flowtable.HostKey) {
	if !prof.joint.noted && len(s.notes.changed) < maxChanged {
		prof.joint.noted = true
		s.notes.changed = append(s.notes.changed, k)
	}
}

// TakeChanged appends the changed addresses of the round to a list, in no order.
func (all *Set) TakeChanged(list []flowtable.HostKey) []flowtable.HostKey {
	return drainShards(all, list, func(s *Observer) *[]flowtable.HostKey {
		return &s.notes.changed
	})
}

// asMachine calls f while the profile is that of the whole machine.
func (s *Observer) asMachine(src *Source, prof *profile, k flowtable.HostKey, f func()) {
	j := prof.joint
	if j == nil || len(j.others) == 0 || j.own != nil {
		f()
		return
	}
	own := prof.Profile
	j.own = &own
	prof.Profile = *own.Joined(&s.all.cfg.Detect, &src.Counters, k.Scope.V6(), j.others)
	defer func() {
		own.TakeVerdict(&prof.Profile)
		prof.Profile, j.own = own, nil
	}()
	f()
}

// isPart reports whether a profile is judged at another address.
func (h *profile) isPart() bool { return h.joint != nil && !h.joint.lead }

// Activity is when a source began, when it was last seen, and what it did.
type Activity struct {
	First, Last int64 // ns
	Sessions    uint32
	Open        bool // it has an open flow
	MAC         [6]byte
	Known       bool
}

// Activity returns what a source did.
func (all *Set) Activity(h *flowtable.HostKey) (a Activity) {
	all.withSource(h, func(_ *Observer, _ flowtable.Ref, src *Source, _ *profile) {
		n := &src.Counters
		a = Activity{n.First, n.Last, n.Sessions, n.Concurrent > 0, src.mac, true}
	})
	return a
}

// Join has the first of a machine's addresses judged by the profiles of all. Findings of the others
// become its own. Sources without a profile, or with another link-layer address than the machine,
// are left out. now is the time in ns. The caller holds tickMu.
func (all *Set) Join(mac [6]byte, members []flowtable.HostKey, now int64) {
	lead := members[0]
	var taken finding.Book // of the lead: a second finding of a class is superseded
	all.withSource(&lead, func(s *Observer, r flowtable.Ref, src *Source, prof *profile) {
		if src.flags |= joined; prof == nil && s.eligible(src) {
			prof = s.newProfile(r, src)
		}
		if prof != nil {
			taken = prof.findings
		}
	})
	j := &joint{lead: true}
	var moved []*profile
	for i := range members[1:] {
		k := members[1+i]
		all.withSource(&k, func(s *Observer, _ flowtable.Ref, src *Source, prof *profile) {
			src.flags |= joined
			if prof == nil || prof.addressChanged || src.mac != mac || !s.eligible(src) {
				return
			}
			j.others = append(j.others, prof.Part(&src.Counters, k.Scope.V6()))
			j.also = append(j.also, k)
			sum := src.Counters
			if prof.otherAddresses != nil {
				sum = sum.Plus(prof.otherAddresses)
			}
			if j.counters != nil {
				sum = sum.Plus(j.counters)
			}
			j.counters = &sum
			moved = append(moved, s.giveFindings(src, prof, k, &taken, now))
			prof.joint = &joint{open: taken.AnyOpen()}
			if prof.joint.open {
				s.emitRecent(prof)
			}
		})
	}
	all.withSource(&lead, func(s *Observer, _ flowtable.Ref, src *Source, prof *profile) {
		if prof == nil {
			return
		}
		for _, old := range moved {
			prof.takeFindings(old)
		}
		prof.joint = j
		if prof.anyOpen() {
			s.follow(src)
		}
		// An open finding that comes from another address says where its machine is now.
		for _, old := range moved {
			for c, f := range old.findings {
				if f != nil && f.Open && prof.findings[c] == f {
					s.commit(src, prof, lead, []finding.Change{{Class: verdict.Class(c),
						Level: f.Level, Action: finding.Updated}}, now)
				}
			}
		}
		s.judgeNow(src, prof, lead, now)
		j.open = prof.anyOpen()
	})
}

// giveFindings takes the findings of an address that is no lead any more. The ones that the machine
// has already are closed here. taken are the machine's.
func (s *Observer) giveFindings(src *Source, prof *profile, k flowtable.HostKey,
	taken *finding.Book, now int64) *profile {
	for c, f := range prof.findings {
		switch {
		case f == nil:
		case taken[c] == nil || f.Open && !taken[c].Open:
			taken[c] = f
		case f.Open:
			s.commit(src, prof, k, []finding.Change{{Class: verdict.Class(c), Level: f.Level,
				Action: finding.Closed, Reason: finding.Superseded}}, now)
			prof.findings[c] = nil
		}
	}
	given := *prof
	prof.findings, prof.evidence = finding.Book{}, nil
	prof.sessionsEmitted, prof.suppressed = 0, 0
	prof.opaque, prof.oneWay, prof.doubtful, prof.foreign = 0, 0, 0, 0
	return &given
}

// emitRecent emits the sessions that were kept until a finding is opened.
func (s *Observer) emitRecent(prof *profile) {
	for _, old := range prof.recent {
		s.emitSession(old, prof)
	}
	prof.recent = nil
}

// judgeNow judges a source whether its profile changed or not, and publishes the verdict.
func (s *Observer) judgeNow(src *Source, prof *profile, k flowtable.HostKey, now int64) {
	if prof.addressChanged || prof.isPart() || src.flags&home == 0 || !s.eligible(src) {
		return
	}
	s.asMachine(src, prof, k, func() {
		prof.SetOneSided(s.all.acceptsOneSide(), s.all.oneSideSoFar())
		s.publish(src, prof, k, prof.Judge(&src.Counters, now), now)
	})
}

// Part has each of the addresses judged alone again. Findings stay with the address that has them,
// and follow its own verdict. The caller holds tickMu.
func (all *Set) Part(members []flowtable.HostKey, now int64) {
	for i := range members {
		all.withSource(&members[i], func(s *Observer, _ flowtable.Ref, src *Source,
			prof *profile) {
			if src.flags &^= joined; prof != nil && prof.joint != nil {
				prof.joint = nil
				s.judgeNow(src, prof, members[i], now)
			}
		})
	}
}

// countersElsewhere are the counters of the machine's other addresses, nil if there is none.
func (h *profile) countersElsewhere() *detect.Counters {
	switch {
	case h.joint == nil || h.joint.counters == nil:
		return h.otherAddresses
	case h.otherAddresses == nil:
		return h.joint.counters
	}
	sum := h.otherAddresses.Plus(h.joint.counters)
	return &sum
}

// nameOthers adds the other addresses of the machine to an event of a finding.
func (h *profile) nameOthers(d *finding.Finding) {
	if h.joint == nil {
		return
	}
	for _, k := range h.joint.also[:min(len(h.joint.also), finding.MaxAddresses)] {
		if a := peer.NetIP(k.Addr, k.Scope.V6()); !slices.Contains(d.Also, a) {
			d.Also = append(d.Also, a)
		}
	}
}
