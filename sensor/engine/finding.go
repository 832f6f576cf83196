package engine

import (
	"fmt"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// finding is a verdict that was published. It stays when it is closed: a host that comes
// back after it was cleaned has its finding opened again.
type hostFinding struct {
	id       string
	seq      int
	class    verdict.Class
	level    verdict.Level
	open     bool
	updated  int64
	closed   int64  // when it was last
	clean    int64  // how long it had been quiet when it was opened again
	reopened uint32 // how often
	lists    int    // blocklists that were told
	decided  verdict.Decision
}

// updateEvery is how often an open finding is told again although its level is the same.
const updateEvery = 30 * minute

// verdicts are the classes that a host's verdict can have: it has one at a time.
var verdicts = []verdict.Class{verdict.Spambot, verdict.UndeclaredServer, verdict.Scanner}

// main is the open finding that a host's verdict is published in, nil if there is none.
func (h *host) main() *hostFinding {
	for _, c := range verdicts {
		if f := h.findings[c]; f != nil && f.open {
			return f
		}
	}
	return nil
}

// superseded reports whether an open verdict says more than that the host is on a blocklist. Of a mail server that is
// news of its own.
func (h *host) superseded() bool {
	f := h.main()
	return f != nil && f.class != verdict.UndeclaredServer
}

// findingOf is a host's finding of a class, made if there is none.
func (s *sourceObserver) findingOf(src *source, hst *host, k flowtable.HostKey, c verdict.Class) *hostFinding {
	if hst.findings[c] == nil {
		id := fmt.Sprintf("%s-%s-%d", c, addr(k.Addr, k.Scope.V6()), max(src.facts.First, hst.since)/second)
		if src.flags&former != 0 { // the numbers of the former one's events are not known any more
			id += fmt.Sprintf("-%d", src.facts.Attempts)
		}
		hst.findings[c] = &hostFinding{class: c, id: id}
	}
	return hst.findings[c]
}

// publish has a source's findings follow its verdict.
func (s *sourceObserver) publish(src *source, hst *host, k flowtable.HostKey, v verdict.Verdict, now int64) {
	was := hst.main()
	if was != nil && v.Level == verdict.NoLevel {
		s.close(src, hst, was, k, now, "quiet")
		return
	}
	if v.Level == verdict.NoLevel || s.e.isIgnored(k, now) {
		return
	}
	if was != nil && was.class != v.Class {
		s.close(src, hst, was, k, now, "reclassified")
	}
	for _, c := range []verdict.Class{verdict.DirectSMTP, verdict.OnBlocklist} {
		if d := hst.findings[c]; d != nil && d.open && (c == verdict.DirectSMTP || v.Class != verdict.UndeclaredServer) {
			s.close(src, hst, d, k, now, "superseded")
		}
	}
	if v.Class == verdict.UndeclaredServer && len(hst.Blocklists()) > 0 && (hst.findings[verdict.OnBlocklist] == nil || !hst.findings[verdict.OnBlocklist].open) {
		s.report(src, hst, k, verdict.OnBlocklist, false, now)
	}
	f := s.findingOf(src, hst, k, v.Class)
	switch {
	case !f.open:
		if was == nil && !s.mayOpen(src, hst, v.Level, now) {
			return
		}
		f.level = v.Level
		s.opens(src, hst, f, k, now)
	case v.Level != f.level, len(hst.Blocklists()) > f.lists: // a list is what the reader waits for: they are few
		f.level = v.Level
		s.tell(src, hst, f, k, "updated", now, "")
	}
}

// report opens a finding that is no verdict of the sum, or tells it again if there is news.
func (s *sourceObserver) report(src *source, hst *host, k flowtable.HostKey, c verdict.Class, news bool, now int64) {
	if s.e.isIgnored(k, now) {
		return
	}
	f := s.findingOf(src, hst, k, c)
	if !f.open && !s.mayOpen(src, hst, verdict.Suspect, now) {
		return
	}
	f.level = verdict.Suspect
	if !f.open {
		s.opens(src, hst, f, k, now)
	} else if news {
		s.tell(src, hst, f, k, "updated", now, "")
	}
}

// opens gives out that a finding is open, for the first time or again.
func (s *sourceObserver) opens(src *source, hst *host, f *hostFinding, k flowtable.HostKey, now int64) {
	f.open = true
	f.decided = verdict.Decision{At: now, Attempts: src.facts.Attempts}
	if p := &src.facts.Ports[0]; f.class == verdict.DirectSMTP && p.Port == 25 {
		f.decided = verdict.Decision{At: max(src.facts.First, hst.since), Attempts: 1}
	}
	if f.closed != 0 {
		f.reopened++
		f.clean = max(0, now-f.closed)
	}
	s.follow(src)
	for _, old := range hst.recent {
		if !slices.Contains(verdicts, f.class) && old.Server.Port() != 25 { // what its mail client did before says nothing about that
			hst.suppressed++
			continue
		}
		s.journal.emitSession(old, hst)
	}
	hst.recent = nil
	s.tell(src, hst, f, k, "opened", now, "")
}

func (s *sourceObserver) close(src *source, hst *host, f *hostFinding, k flowtable.HostKey, now int64, reason string) {
	f.open, f.closed = false, now
	if s.e.ended { // it is not that the host was clean: we stopped
		f.closed = 0
	}
	s.tell(src, hst, f, k, "closed", now, reason)
}

// follow has the tick look after a source's findings.
func (s *sourceObserver) follow(src *source) {
	if r := s.hosts.Owner(src.host); !slices.Contains(s.openFindings, r) {
		s.openFindings = append(s.openFindings, r)
	}
}

// tell gives out an event of a finding.
func (s *sourceObserver) tell(src *source, hst *host, f *hostFinding, k flowtable.HostKey, action string, now int64, reason string) {
	f.seq++
	f.updated, f.lists = now, len(hst.Blocklists())
	var kept *Saved
	if s.e.out.Keep != nil {
		kept = &Saved{Seed: s.e.cfg.Seed, Sources: []SavedSource{s.saveSource(&k, src)}}
	}
	former := uint32(0) // attempts of another machine that had the address
	if hst.before != nil {
		own := *src
		own.facts = src.facts.Since(hst.before, hst.since)
		src, former = &own, hst.before.Attempts
	}
	told := src.facts // for reasons, which know the attempts of before
	if hst.otherAddresses != nil {
		own := *src
		own.facts = src.facts.Plus(hst.otherAddresses)
		told = own.facts
		told.Attempts = src.facts.Attempts
		src = &own
	}
	d := &finding.Finding{ID: f.id, Seq: f.seq, Action: action, Class: f.class, Level: f.level, Time: now, CloseReason: reason,
		Mode: hst.Mode(&src.facts), Egress: hst.Egress().String(), Suppressed: hst.suppressed, Reopened: f.reopened, CleanFor: f.clean}
	d.Source = s.sourceRecord(src, hst, k, now)
	d.Near = hst.OnLink()
	first := max(src.facts.First, hst.since)
	d.Decided = verdict.Decision{At: max(first, f.decided.At), Attempts: f.decided.Attempts}
	switch f.class {
	case verdict.DirectSMTP:
		d.Reasons = []finding.ReasonText{{Server: "direct_smtp", Reason: verdict.Reason{First: d.Decided.At, Last: src.facts.Last, Value: 1, Threshold: 1},
			Text: "It turned to a mail server outside on port 25; it is not declared, and that server is no allowed relay."}}
	case verdict.NotSMTP:
		d.Reasons = []finding.ReasonText{{Server: "not_smtp", Reason: verdict.Reason{First: d.Decided.At, Last: src.facts.Last, Value: float64(hst.foreign), Threshold: 1},
			Text: fmt.Sprintf("In %d of its %s the client spoke neither SMTP nor TLS.", hst.foreign, verdict.Count(src.facts.Sessions, "session", "sessions"))}}
	case verdict.Spambot, verdict.UndeclaredServer, verdict.Scanner:
		d.Score = d.Source.Score
		d.Decided = hst.Decided()
		hst.Reasons(func(code detect.Code, r *verdict.Reason) {
			d.Reasons = append(d.Reasons, finding.ReasonText{Code: code, Reason: *r, Text: hst.Text(code, &told)})
		})
	case verdict.OnBlocklist:
		hst.Reasons(func(code detect.Code, r *verdict.Reason) {
			if code == detect.Blocklisted {
				d.Reasons = append(d.Reasons, finding.ReasonText{Code: code, Reason: *r, Text: hst.Text(code, &told)})
			}
		})
	}
	d.Severity = severity(f.class, f.level)
	if f.class == verdict.OnBlocklist && src.flags&declared == 0 {
		d.Severity = verdict.Medium
	}
	if d.Severity > verdict.Info {
		d.Blind = hst.blind(src)
	}
	if d.Decided.Attempts > former {
		d.Decided.Attempts -= former
	}
	d.Advice = advice(d, hst)
	d.DecidedIn = max(0, d.Decided.At-first)
	s.journal.addEntry(entry{finding: d, kept: kept, key: k, lists: f.lists, host: hst, time: now})
}

// severity is how soon somebody should act.
func severity(c verdict.Class, l verdict.Level) verdict.Severity {
	switch c {
	case verdict.DirectSMTP:
		return verdict.Info
	case verdict.UndeclaredServer, verdict.NotSMTP:
		return verdict.Medium
	case verdict.Scanner:
		return verdict.Low
	case verdict.OnBlocklist:
		return verdict.High
	}
	return [...]verdict.Severity{verdict.Info, verdict.Low, verdict.High, verdict.Critical}[l]
}

// tickFindings opens what was waiting for a tick, and has time do its part in those that are
// open.
func (s *sourceObserver) tickFindings(now int64) {
	s.pendingDirect = slices.DeleteFunc(s.pendingDirect, func(r flowtable.Ref) bool {
		src, hst := s.hostAt(r)
		if hst == nil || hst.main() != nil || !hst.findings[verdict.DirectSMTP].untold() {
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
		for _, f := range hst.findings {
			if f != nil && f.open && now-f.updated >= updateEvery && src.facts.Last > f.updated {
				s.tell(src, hst, f, k, "updated", now, "")
			}
		}
		return false
	})
}

// untold reports whether a finding was never opened, or was closed only because the sensor
// stopped.
func (f *hostFinding) untold() bool { return f == nil || !f.open && f.closed == 0 }

func (h *host) anyOpen() bool {
	if h.former != nil {
		return true
	}
	for _, f := range h.findings {
		if f != nil && f.open {
			return true
		}
	}
	return false
}

// closeFindings ends all findings of a source.
func (s *sourceObserver) closeFindings(src *source, hst *host, k flowtable.HostKey, now int64, reason string) {
	for _, f := range hst.findings {
		if f != nil && f.open {
			s.close(src, hst, f, k, now, reason)
		}
	}
	if hst.former != nil {
		s.closeFormer(src, hst, k, now, reason)
	}
}
