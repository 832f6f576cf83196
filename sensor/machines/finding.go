package machines

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/verdict"
)

// emittedFinding is a finding of a machine with several addresses, as it was emitted.
type emittedFinding struct {
	id      string
	seq     int
	level   verdict.Level
	open    bool
	updated int64 // time of its latest event, ns
	lists   int   // blocklists that it named
}

// Admit returns the findings that are to be emitted for an event of a finding: none if it is held
// back or says nothing new about its machine, and before it a finding that was held back.
func (t *Tracker) Admit(x *sources.FindingEvent) (due []*sources.FindingEvent) {
	x.TakeEvidence()
	if t.hold(x) {
		return nil
	}
	if h := t.releaseHeld(x); h != nil {
		due = append(due, h)
	}
	if t.merge(x.Key, x.Finding, x.Lists) {
		t.incidents.Follow(x.Finding)
		due = append(due, x)
	}
	return due
}

// merge joins the findings of a machine with several addresses into one, and reports whether it is
// to be emitted: a finding about the latest address alone says less than the machine's finding. An
// emitted finding names the addresses of the machine.
func (t *Tracker) merge(k flowtable.HostKey, f *finding.Finding, lists int) (news bool) {
	l := t.chainOf[k]
	if l == nil || !l.sameMachine {
		return true
	}
	// Members of a rotation come and go. Their own small findings would be one for each mail.
	if l.rotation != nil && singleAddressClass(f.Class) {
		return l.rotation.emitsMember(k, f)
	}
	// These two classes add nothing to an open verdict about the same machine.
	if f.Class == verdict.DirectSMTP || f.Class == verdict.OnBlocklist {
		for c := range verdict.Classes { // a verdict supersedes it
			if finding.IsSum(c) && l.findings[c].open && !l.findings[f.Class].open {
				return false
			}
		}
	}
	shown := &l.findings[f.Class]
	// The event is emitted if it says more than the last one: a higher level, a further blocklist,
	// or the regular update.
	late := f.Time-shown.updated >= finding.UpdateEvery
	switch f.Action {
	case "opened":
		if shown.open {
			f.Action = "updated"
			if f.Level <= shown.level && !late {
				return false
			}
		}
	case "updated":
		if shown.open && (f.Level < shown.level || f.Level == shown.level &&
			lists <= shown.lists) && !late {
			return false
		}
	case "closed":
		if shown.id != "" && !shown.open {
			return false
		}
	}
	if shown.id == "" {
		shown.id, shown.seq = f.ID, f.Seq-1
	}
	shown.seq++
	shown.open, shown.level, shown.updated, shown.lists = f.Action != "closed", f.Level, f.Time,
		max(shown.lists, lists)
	// Whatever address the event is about, it carries the machine's id.
	f.ID, f.Seq = shown.id, shown.seq
	list := l.past
	if l.rotation != nil {
		l.rotation.describe(f)
	}
	if k.Scope.V6() || l.rotation != nil {
		list = l.members
	}
	// The reader gets the latest addresses, the one of the event apart.
	for _, h := range list[max(0, len(list)-finding.MaxAddresses):] {
		if h != k {
			f.Also = append(f.Also, peer.NetIP(h.Addr, h.Scope.V6()))
		}
	}
	return true
}

// singleAddressClass reports whether a class says little about a single address and adds nothing to
// the finding of a rotation.
func singleAddressClass(c verdict.Class) bool {
	return c == verdict.DirectSMTP || c == verdict.OnBlocklist
}

// heldIndex returns the index in held of a source's finding, less than zero if there is none.
func (t *Tracker) heldIndex(k *flowtable.HostKey, c verdict.Class) int {
	return slices.IndexFunc(t.held, func(r *sources.FindingEvent) bool {
		return r.Key == *k && r.Finding.Class == c
	})
}

// hold holds a finding back and reports whether it did: a new address sends mail to the
// Internet, or is refused, in the network of a rotation that is one machine. Its session may soon
// show that it is a member, and then the finding of the rotation says it all.
func (t *Tracker) hold(r *sources.FindingEvent) bool {
	f := r.Finding
	if !singleAddressClass(f.Class) || f.Action != "opened" || f.Reopened > 0 ||
		t.chainOf[r.Key] != nil ||
		// Only the first event of a finding is held, and only of an address with few attempts.
		f.Source.Counters.Attempts > sources.MaxBriefSessions || len(t.held) >= maxHeld {
		return false
	}
	for _, c := range t.rotations { // at most maxRotations
		if c.chain.sameMachine && c.key.net == sources.LocalNetwork(r.Key) {
			t.held = append(t.held, r)
			return true
		}
	}
	return false
}

// releaseHeld returns the held finding of a source, nil if there is none. It is emitted before the
// next event of it: an update or a close needs the event that opened the finding.
func (t *Tracker) releaseHeld(r *sources.FindingEvent) (h *sources.FindingEvent) {
	if i := t.heldIndex(&r.Key, r.Finding.Class); i >= 0 { // one at most
		h = t.held[i]
		t.held = slices.Delete(t.held, i, i+1)
	}
	return h
}

// ReleaseExpired returns the findings that were held back for maxHold, in the order of their times.
// They are to be emitted.
func (t *Tracker) ReleaseExpired(now int64) (due []*sources.FindingEvent) {
	for len(t.held) > 0 && now-t.held[0].Time >= maxHold { // at most maxHeld
		due = append(due, t.held[0])
		t.held = slices.Delete(t.held, 0, 1)
	}
	return due
}
