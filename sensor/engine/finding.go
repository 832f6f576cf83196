package engine

import (
	"fmt"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// ensureEntry makes a host's entry of a class if there is none.
func (s *sourceObserver) ensureEntry(src *source, hst *host, k flowtable.HostKey, c verdict.Class) {
	if hst.findings[c] != nil {
		return
	}
	id := fmt.Sprintf("%s-%s-%d", c, addr(k.Addr, k.Scope.V6()),
		max(src.facts.First, hst.since)/second)
	if src.flags&former != 0 { // the numbers of the former one's events are not known any more
		id += fmt.Sprintf("-%d", src.facts.Attempts)
	}
	hst.findings[c] = &finding.Entry{Class: c, ID: id}
}

// publish has a source's findings follow its verdict.
func (s *sourceObserver) publish(src *source, hst *host, k flowtable.HostKey, v verdict.Verdict, now int64) {
	if v.Level != verdict.NoLevel && s.e.isIgnored(k, now) {
		return
	}
	s.commit(src, hst, k, hst.findings.Apply(&v, len(hst.Blocklists())), now)
}

// report opens a finding that is no verdict of the sum, or updates it if there is news.
func (s *sourceObserver) report(src *source, hst *host, k flowtable.HostKey, c verdict.Class, news bool,
	now int64) {
	if !s.e.isIgnored(k, now) {
		s.commit(src, hst, k, hst.findings.Report(c, news), now)
	}
}

// commit makes changes of a source's findings, one after the other, and emits them.
func (s *sourceObserver) commit(src *source, hst *host, k flowtable.HostKey, due []finding.Change,
	now int64) {
	for i := range due {
		c := &due[i]
		s.ensureEntry(src, hst, k, c.Class)
		if c.Admit && !s.mayOpen(src, hst, c.Level, now) {
			continue
		}
		f := hst.findings.Commit(c, now)
		switch {
		case c.Action == finding.Opened:
			s.findingOpened(src, hst, f, now)
		case c.Action == finding.Closed && s.e.ended: // the host was not clean: the sensor stopped
			f.Closed = 0
		}
		s.emitFinding(src, hst, f, k, c, now)
	}
}

// findingOpened notes when the verdict of a finding that opens was reached, and emits the sessions before
// it, which are evidence.
func (s *sourceObserver) findingOpened(src *source, hst *host, f *finding.Entry, now int64) {
	f.Decided = verdict.Decision{At: now, Attempts: src.facts.Attempts}
	if p := &src.facts.Ports[0]; f.Class == verdict.DirectSMTP && p.Port == 25 {
		f.Decided = verdict.Decision{At: max(src.facts.First, hst.since), Attempts: 1}
	}
	s.follow(src)
	for _, old := range hst.recent {
		if !finding.IsSum(f.Class) && old.Server.Port() != 25 {
			// what its mail client did before says nothing about that
			hst.suppressed++
			continue
		}
		s.journal.emitSession(old, hst)
	}
	hst.recent = nil
}

// follow has the tick look after a source's findings.
func (s *sourceObserver) follow(src *source) {
	if r := s.hosts.Owner(src.host); !slices.Contains(s.openFindings, r) {
		s.openFindings = append(s.openFindings, r)
	}
}

// emitFinding emits an event of a finding.
func (s *sourceObserver) emitFinding(src *source, hst *host, f *finding.Entry, k flowtable.HostKey,
	c *finding.Change, now int64) {
	f.Lists = len(hst.Blocklists())
	var kept *Saved
	if s.e.out.Keep != nil {
		kept = &Saved{Seed: s.e.cfg.Seed, Sources: []SavedSource{s.saveSource(&k, src)}}
	}
	before := uint32(0) // attempts of another machine that had the address
	if hst.before != nil {
		own := *src
		own.facts = src.facts.Since(hst.before, hst.since)
		src, before = &own, hst.before.Attempts
	}
	counted := src.facts // for reasons, which know the attempts of before
	if hst.otherAddresses != nil {
		own := *src
		own.facts = src.facts.Plus(hst.otherAddresses)
		counted = own.facts
		counted.Attempts = src.facts.Attempts
		src = &own
	}
	d := f.Finding(c)
	d.Mode, d.Egress, d.Suppressed = hst.Mode(&src.facts), hst.Egress().String(), hst.suppressed
	d.Source = s.sourceRecord(src, hst, k, now)
	d.Near = hst.OnLink()
	first := max(src.facts.First, hst.since)
	d.Decided.At = max(first, f.Decided.At)
	s.addReasons(d, src, hst, &counted)
	d.Severity = finding.Severity(f.Class, f.Level, src.flags&declared != 0)
	seen := hst.seen()
	if d.Severity > verdict.Info {
		d.Blind = finding.Blind(&src.facts, &seen)
	}
	if d.Decided.Attempts > before {
		d.Decided.Attempts -= before
	}
	d.Advice = finding.Advice(d, &seen)
	d.DecidedIn = max(0, d.Decided.At-first)
	s.journal.addEntry(entry{finding: d, kept: kept, key: k, lists: f.Lists, host: hst, time: now})
}

// addReasons gives a finding its reasons. counted are the counters that their sentences name.
func (s *sourceObserver) addReasons(d *finding.Finding, src *source, hst *host, counted *detect.Counters) {
	switch d.Class {
	case verdict.DirectSMTP:
		d.Reasons = []finding.ReasonText{{Server: "direct_smtp",
			Reason: verdict.Reason{First: d.Decided.At, Last: src.facts.Last, Value: 1,
				Threshold: 1},
			Text: "It turned to a mail server outside on port 25; it is not declared, and that " +
				"server is no allowed relay."}}
	case verdict.NotSMTP:
		d.Reasons = []finding.ReasonText{{Server: "not_smtp",
			Reason: verdict.Reason{First: d.Decided.At, Last: src.facts.Last,
				Value: float64(hst.foreign), Threshold: 1},
			Text: fmt.Sprintf("In %d of its %s the client spoke neither SMTP nor TLS.",
				hst.foreign, verdict.Count(src.facts.Sessions, "session", "sessions"))}}
	case verdict.Spambot, verdict.UndeclaredServer, verdict.Scanner:
		d.Score = d.Source.Score
		d.Decided = hst.Decided()
		hst.Reasons(func(code detect.Code, r *verdict.Reason) {
			d.Reasons = append(d.Reasons,
				finding.ReasonText{Code: code, Reason: *r, Text: hst.Text(code, counted)})
		})
	case verdict.OnBlocklist:
		hst.Reasons(func(code detect.Code, r *verdict.Reason) {
			if code == detect.Blocklisted {
				d.Reasons = append(d.Reasons,
					finding.ReasonText{Code: code, Reason: *r, Text: hst.Text(code, counted)})
			}
		})
	}
}

// seen is what the advice and the blind spots of a host's finding rest on.
func (h *host) seen() finding.Seen {
	x := finding.Seen{HalfOpen: h.HalfOpenCount(), Opaque: h.opaque, OneWay: h.oneWay,
		Doubtful: h.doubtful,
		Others:   h.candidate.attempts, OtherMAC: h.candidate.mac, Lookups: h.Lookups() != nil,
		BehindNAT: h.BehindNAT(), EgressBlocked: h.Egress().Blocked(),
		Listed: len(h.Blocklists()) > 0}
	if x.BehindNAT {
		x.HopLimits = h.HopLimits()
	}
	if h.former != nil {
		x.Former, x.FormerMAC = true, h.former.mac
	}
	return x
}

// tickFindings opens what was waiting for a tick, and has time do its part in those that are
// open.
func (s *sourceObserver) tickFindings(now int64) {
	s.pendingDirect = slices.DeleteFunc(s.pendingDirect, func(r flowtable.Ref) bool {
		src, hst := s.hostAt(r)
		if hst == nil || hst.findings.Main() != nil ||
			!hst.findings[verdict.DirectSMTP].Unreported() {
			return true
		}
		if hst.condemned {
			return false
		}
		s.report(src, hst, *s.t.Sources.KeyOf(r), verdict.DirectSMTP, false, now)
		return !hst.withheld
	})
	s.openFindings = slices.DeleteFunc(s.openFindings, func(r flowtable.Ref) bool {
		src, hst := s.hostAt(r)
		if hst == nil || !hst.anyOpen() && !hst.withheld {
			return true
		}
		k := *s.t.Sources.KeyOf(r)
		s.expireFormer(src, hst, k, now)
		if hst.addressChanged {
			s.forgetHost(src, k, now, "address_changed")
			return true
		}
		if now-hst.judged >= minute && src.flags&home != 0 && s.judges(src) {
			hst.judged = now
			hst.SetOneSided(s.e.hearsay())
			s.publish(src, hst, k, hst.Judge(&src.facts, now), now)
		}
		s.commit(src, hst, k, hst.findings.Due(now, src.facts.Last), now)
		return false
	})
}

// anyOpen reports whether a finding of the host is open, also under its former link-layer address.
func (h *host) anyOpen() bool { return h.former != nil || h.findings.AnyOpen() }

// closeFindings ends all findings of a source.
func (s *sourceObserver) closeFindings(src *source, hst *host, k flowtable.HostKey, now int64,
	reason string) {
	s.commit(src, hst, k, hst.findings.CloseAll(reason), now)
	if hst.former != nil {
		s.closeFormer(src, hst, k, now, reason)
	}
}
