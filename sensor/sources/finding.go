package sources

import (
	"fmt"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
)

// ensureEntry makes a host's entry of a class if there is none.
func (s *Observer) ensureEntry(src *Source, prof *profile, k flowtable.HostKey,
	c verdict.Class) {
	if prof.findings[c] != nil {
		return
	}
	id := fmt.Sprintf("%s-%s-%d", c, peer.NetIP(k.Addr, k.Scope.V6()),
		max(src.Counters.First, prof.since)/second)
	if src.flags&former != 0 { // the numbers of the former one's events are not known any more
		id += fmt.Sprintf("-%d", src.Counters.Attempts)
	}
	prof.findings[c] = &finding.Entry{Class: c, ID: id}
}

// publish has a source's findings follow its verdict: it opens, updates, reclassifies or closes
// them. k is the source's key, now the time in ns. The caller holds the shard's lock.
func (s *Observer) publish(src *Source, prof *profile, k flowtable.HostKey, v verdict.Verdict,
	now int64) {
	s.commit(src, prof, k, prof.findings.Apply(&v, len(prof.Blocklists())), now)
	if f := prof.findings.Main(); f != nil {
		prof.Reasons(func(code detect.Code, r *verdict.Reason) {
			if code.Family() != detect.Mitigating {
				f.Sign(r.Last)
			}
		})
	}
}

// report opens a finding that does not follow from the verdict, such as a first direct connection
// or a listing, or updates it if there is news.
func (s *Observer) report(src *Source, prof *profile, k flowtable.HostKey, c verdict.Class,
	news bool,
	now int64) {
	if prof.isPart() && prof.joint.open { // the machine's finding says more
		return
	}
	s.commit(src, prof, k, prof.findings.Report(c, news), now)
}

// commit makes changes of a source's findings, one after the other, and emits them.
func (s *Observer) commit(src *Source, prof *profile, k flowtable.HostKey,
	due []finding.Change,
	now int64) {
	for i := range due {
		c := &due[i]
		s.asMachine(src, prof, k, func() { s.commitChange(src, prof, k, c, now) })
	}
}

func (s *Observer) commitChange(src *Source, prof *profile, k flowtable.HostKey,
	c *finding.Change, now int64) {
	s.ensureEntry(src, prof, k, c.Class)
	if c.Admit && !s.mayOpen(src, prof, c.Level, now) {
		return
	}
	f := prof.findings.Commit(c, now)
	if c.Action == finding.Opened {
		s.findingOpened(src, prof, f, now)
	}
	s.emitFinding(src, prof, f, k, c, now)
}

// findingOpened notes when the verdict of a finding that opens was reached, and emits the sessions
// before it, which are evidence.
func (s *Observer) findingOpened(src *Source, prof *profile, f *finding.Entry, now int64) {
	f.Decided = verdict.Decision{At: now, Attempts: src.Counters.Attempts}
	if p := &src.Counters.Ports[0]; f.Class == verdict.DirectSMTP && p.Port == 25 {
		f.Decided = verdict.Decision{At: max(src.Counters.First, prof.since), Attempts: 1}
	}
	s.follow(src)
	for _, old := range prof.recent {
		if !finding.IsSum(f.Class) && old.Server.Port() != 25 {
			// what its mail client did before says nothing about that
			prof.suppressed++
			continue
		}
		s.emitSession(old, prof)
	}
	prof.recent = nil
}

// follow has the tick look after a source's findings.
func (s *Observer) follow(src *Source) {
	if r := s.profiles.Owner(src.profile); !slices.Contains(s.openFindings, r) {
		s.openFindings = append(s.openFindings, r)
	}
}

// emitFinding emits an event of a finding. It goes to the journal: the evidence is added when the
// journal is drained, because sessions get their event numbers there.
func (s *Observer) emitFinding(src *Source, prof *profile, f *finding.Entry,
	k flowtable.HostKey,
	c *finding.Change, now int64) {
	f.Lists = len(prof.Blocklists())
	var kept *SavedSource
	if s.all.cfg.Keeps() {
		copied := s.saveSource(&k, src)
		kept = &copied
	}
	d := s.describe(src, prof, f, k, c, now)
	s.AddFinding(&FindingEvent{Finding: d, Kept: kept, Key: k, Lists: f.Lists, observer: s,
		profile: prof, Time: now})
}

// describe returns a finding as of now: the source's record, the reasons, the severity, the blind
// spots and the advice, without the evidence.
func (s *Observer) describe(src *Source, prof *profile, f *finding.Entry, k flowtable.HostKey,
	c *finding.Change, now int64) *finding.Finding {
	before := uint32(0) // attempts of another machine that had the address
	// Counters of a former machine with this address are subtracted: the finding is about the
	// current machine.
	if prof.before != nil {
		own := *src
		own.Counters = src.Counters.Since(prof.before, prof.since)
		src, before = &own, prof.before.Attempts
	}
	counted := src.Counters // for reasons, which know the attempts of before
	// Counters of the machine's other addresses are added: the reasons rest on all of them.
	if others := prof.countersElsewhere(); others != nil {
		own := *src
		own.Counters = src.Counters.Plus(others)
		counted = own.Counters
		counted.Attempts = src.Counters.Attempts
		src = &own
	}
	d := f.Finding(c)
	d.Mode, d.Egress = prof.Mode(&src.Counters), prof.Egress().String()
	d.Suppressed = prof.suppressed
	d.Source = s.sourceRecord(src, prof, k, now)
	d.OnLink = prof.OnLink()
	first := max(src.Counters.First, prof.since)
	d.Decided.At = max(first, f.Decided.At)
	s.addReasons(d, src, prof, &counted)
	f.Peak.Follow(d)
	d.Severity = finding.Severity(f.Class, f.Level, src.flags&declared != 0)
	if x := s.all.cfg.Peers.Ignored(d.Source.Addr, now); x != nil {
		d.Severity, d.Ignored = verdict.Info, &finding.Ignored{Why: x.Why, Until: x.Until}
	}
	f.Ignored = d.Ignored != nil
	seen := prof.seen()
	if d.Severity > verdict.Info {
		d.Blind = finding.Blind(&src.Counters, &seen)
	}
	if d.Decided.Attempts > before {
		d.Decided.Attempts -= before
	}
	d.Advice = finding.Advice(d, &seen)
	d.DecidedIn = max(0, d.Decided.At-first)
	prof.nameOthers(d)
	return d
}

// FindingEvent is an event of a finding that may be emitted at the end of the round.
type FindingEvent struct {
	Finding *finding.Finding
	Kept    *SavedSource // the source that the finding leaves behind; nil if nobody keeps it

	Key      flowtable.HostKey // of the source
	Lists    int               // blocklists that the finding names
	observer *Observer
	profile  *profile
	Time     int64 // of the packet or the tick, ns
}

// TakeEvidence gives the finding the evidence of its source so far. The caller holds no shard's
// lock.
func (x *FindingEvent) TakeEvidence() {
	x.observer.Table.Lock()
	defer x.observer.Table.Unlock()
	x.Finding.Evidence = slices.Clone(x.profile.evidence)
}

// addReasons gives a finding its reasons. counted are the counters that their sentences name.
func (s *Observer) addReasons(d *finding.Finding, src *Source, prof *profile,
	counted *detect.Counters) {
	switch d.Class {
	case verdict.DirectSMTP:
		d.Reasons = []finding.ReasonText{{Server: "direct_smtp",
			Reason: verdict.Reason{First: d.Decided.At, Last: src.Counters.Last, Value: 1,
				Threshold: 1},
			Text: "It connected to an external mail server on port 25; it is not a declared " +
				"mail server, and that server is not an allowed relay."}}
	case verdict.NotSMTP:
		d.Reasons = []finding.ReasonText{{Server: "not_smtp",
			Reason: verdict.Reason{First: d.Decided.At, Last: src.Counters.Last,
				Value: float64(prof.foreign), Threshold: 1},
			Text: fmt.Sprintf("In %d of its %s the client spoke neither SMTP nor TLS.",
				prof.foreign, verdict.Count(src.Counters.Sessions, "session", "sessions"))}}
	case verdict.Spambot, verdict.UndeclaredServer, verdict.Scanner:
		d.Score = d.Source.Score
		d.Decided = prof.Decided()
		prof.Reasons(func(code detect.Code, r *verdict.Reason) {
			d.Reasons = append(d.Reasons,
				finding.ReasonText{Code: code, Reason: *r, Text: prof.Text(code, counted)})
		})
	case verdict.OnBlocklist:
		prof.Reasons(func(code detect.Code, r *verdict.Reason) {
			if code == detect.Blocklisted {
				d.Reasons = append(d.Reasons,
					finding.ReasonText{Code: code, Reason: *r, Text: prof.Text(code, counted)})
			}
		})
	}
}

// seen is what the advice and the blind spots of a host's finding rest on.
func (h *profile) seen() finding.Seen {
	x := finding.Seen{HalfOpen: h.HalfOpenCount(), Opaque: h.opaque, OneWay: h.oneWay,
		Doubtful: h.doubtful,
		Others:   h.candidate.attempts, OtherMAC: h.candidate.mac, Lookups: h.Lookups() != nil,
		BehindNAT: h.BehindNAT(), EgressBlocked: h.Egress().Blocked(),
		Listed: len(h.Blocklists()) > 0, Server: h.DeclaredRole().Server(),
		Through: h.Through(), Brought: h.mostBrought()}
	if x.BehindNAT {
		x.HopLimits = h.HopLimits()
	}
	if h.former != nil {
		x.Former, x.FormerMAC = true, h.former.mac
	}
	return x
}

// TickFindings runs with each tick. It opens findings that wait for a tick, judges sources with an
// open finding once a minute, because time alone can change a verdict, and emits the regular
// updates.
func (s *Observer) TickFindings(now int64) {
	s.pendingDirect = slices.DeleteFunc(s.pendingDirect, func(r flowtable.Ref) bool {
		src, prof := s.profileAt(r)
		if prof == nil || prof.findings.Main() != nil ||
			!prof.findings[verdict.DirectSMTP].Unreported() {
			return true
		}
		s.report(src, prof, *s.Table.Sources.KeyOf(r), verdict.DirectSMTP, false, now)
		return !prof.withheld
	})
	s.openFindings = slices.DeleteFunc(s.openFindings, func(r flowtable.Ref) bool {
		src, prof := s.profileAt(r)
		if prof == nil || !prof.anyOpen() && !prof.withheld {
			return true
		}
		k := *s.Table.Sources.KeyOf(r)
		s.commit(src, prof, k, prof.findings.Resume(), now)
		s.expireFormer(src, prof, k, now)
		if prof.addressChanged {
			s.dropProfile(src, k, now, "address_changed")
			return true
		}
		// Levels drop with time, so a source is judged without an observation, too.
		if now-prof.judged >= minute && src.flags&home != 0 && s.eligible(src) {
			prof.judged = now
			s.judgeNow(src, prof, k, now)
		}
		ignored := s.all.cfg.Peers.Ignored(peer.NetIP(k.Addr, k.Scope.V6()), now) != nil
		s.commit(src, prof, k, prof.findings.Due(now, src.Counters.Last, ignored), now)
		return false
	})
}

// anyOpen reports whether a finding of the host is open, also under its former link-layer address.
func (h *profile) anyOpen() bool { return h.former != nil || h.findings.AnyOpen() }

// suspendFindings suspends all findings of a source, because the sensor stops.
func (s *Observer) suspendFindings(src *Source, prof *profile, k flowtable.HostKey, now int64,
	reason string) {
	s.commit(src, prof, k, prof.findings.Suspend(reason), now)
	if prof.former != nil { // it is not saved
		s.closeFormer(src, prof, k, now, reason)
	}
}

// closeFindings ends all findings of a source.
func (s *Observer) closeFindings(src *Source, prof *profile, k flowtable.HostKey, now int64,
	reason string) {
	s.commit(src, prof, k, prof.findings.CloseAll(reason), now)
	if prof.former != nil {
		s.closeFormer(src, prof, k, now, reason)
	}
}
