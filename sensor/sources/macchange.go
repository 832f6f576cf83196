package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
)

// An address can pass to another machine, and one machine can have several link-layer addresses:
// teamed network cards alternate, and a bot may forge them. An attempt from another link-layer
// address than before begins a new profile, and the former one is set aside: nothing of it is
// dropped, and its findings stay open. If the former address comes back, or a third one comes, it
// is one machine, or the capture cannot distinguish them, and both profiles are merged for good. If
// the former address stays silent for hours, and the new one has more than a few SYNs, which can be
// spoofed, then another machine has the address: the findings of the former one are closed.

// candidateMAC is what is known of a source's frames with another link-layer address than its own.
// It decides whether the other address is a second network card or another machine:
//
//	other address comes after a silence   splitAccount: judged apart from now on
//	  former one comes back, or a third   mergeAccounts: one machine
//	  former one stays away               expireFormer: another machine has the IP address
//	other address alternates quickly      judged together
type candidateMAC struct {
	mac      [6]byte // the latest
	distinct uint32  // how many different ones since the source's own was seen
	attempts uint32  // attempts from all of them, at any time
	ownLast  int64   // time of the latest attempt from the source's own
}

// formerAccount is the profile of the link-layer address that a source had before.
type formerAccount struct {
	profile *profile
	mac     [6]byte
	last    int64 // time of its latest attempt
}

const (
	// minAbsence is the silence of the former link-layer address, before the other one comes, from
	// which on the two are judged apart. Addresses that alternate faster are judged together from
	// the beginning.
	minAbsence = minute
	// goneAfter is the silence after which the former link-layer address is gone.
	goneAfter = 6 * hour
	// maxAbsence is the silence after which it is gone if the other address has hardly made an
	// attempt: the time in which a level drops to none.
	maxAbsence = 72 * hour
	// minOwnAttempts is the number of attempts, over an hour or more, that the other address needs
	// if it has no session.
	minOwnAttempts = 8
)

// macChanged observes the link-layer address of an attempt. Frames that a router forwarded have the
// router's address, and two routers may alternate.
func (s *Observer) macChanged(src *Source, p *track.Packet) {
	if p.MAC == src.mac {
		src.flags &^= macSuspect
		return
	}
	// A hop limit below the initial one shows a router's frame. A source without a profile has
	// nothing to set aside.
	if !detect.InitialTTL(p.TTL) || src.profile == 0 || src.mac == [6]byte{} ||
		src.flags&home == 0 {
		return
	}
	prof := s.profiles.At(src.profile)
	// Two profiles exist: this frame is from the former address, or from a third one.
	if prof.former != nil {
		s.mergeAccounts(src, prof, p)
		if p.MAC == src.mac {
			return
		}
	}
	m := &prof.candidate
	if src.flags&macSuspect == 0 {
		src.flags |= macSuspect
		// The first frame after the source's own address.
		*m = candidateMAC{ownLast: src.Counters.Last, attempts: m.attempts}
	}
	if m.mac != p.MAC {
		m.mac = p.MAC
		m.distinct++
	}
	m.attempts++
	if silent := p.Time - m.ownLast; m.distinct == 1 &&
		(silent >= goneAfter || silent >= minAbsence && !prof.alternatesMACs) {
		s.splitAccount(src, prof, p)
	}
}

// splitAccount sets the source's profile aside and begins a new one for another link-layer address.
// The counters in src stay cumulative; before holds the former machine's.
func (s *Observer) splitAccount(src *Source, prof *profile, p *track.Packet) {
	old, before := *prof, src.Counters
	*prof = profile{since: p.Time, before: &before, contactsPending: old.contactsPending,
		former: &formerAccount{&old, src.mac, old.candidate.ownLast}}
	prof.Budget, prof.Keep = &s.setBudget, old.Keep
	src.mac = p.MAC
	src.flags &^= macSuspect
	s.follow(src)
}

// mergeAccounts merges the former profile and the current one. The current one's findings are
// superseded, and the former one's go on. From now on the two addresses count as one machine's.
func (s *Observer) mergeAccounts(src *Source, prof *profile, p *track.Packet) {
	a, tried := prof.former, src.Counters.Attempts-prof.before.Attempts
	prof.former = nil
	s.closeFindings(src, prof, p.Key.ClientKey(), p.Time, finding.Superseded)
	prof.findings = finding.Book{}
	snapshot := a.profile.Snapshot(&detect.Counters{})
	a.profile.Release()
	prof.TakeOver(&s.all.cfg.Detect, snapshot, &src.Counters)
	prof.takeFindings(a.profile)
	prof.before, prof.since, prof.alternatesMACs = a.profile.before, a.profile.since, true
	prof.candidate = candidateMAC{mac: src.mac, attempts: a.profile.candidate.attempts + tried}
	src.mac = a.mac
	src.flags &^= macSuspect
	s.follow(src)
}

// expireFormer closes the former profile when its address is gone.
func (s *Observer) expireFormer(src *Source, prof *profile, k flowtable.HostKey, now int64) {
	a := prof.former
	if a == nil {
		return
	}
	// A session cannot be spoofed as SYNs can, so one is enough.
	switch own := src.Counters.Attempts - prof.before.Attempts; {
	case now-a.last >= goneAfter && (prof.Sessions() > 0 || own >= minOwnAttempts &&
		src.Counters.Last-prof.since >= hour):
		s.closeFormer(src, prof, k, now, finding.MACChanged)
	case now-a.last >= maxAbsence:
		s.closeFormer(src, prof, k, now, finding.Quiet)
	}
}

// closeFormer closes the findings of the former profile and drops it. The events show the counters
// and the link-layer address of the former machine.
func (s *Observer) closeFormer(src *Source, prof *profile, k flowtable.HostKey, now int64,
	reason string) {
	a := prof.former
	prof.former = nil
	own := *src
	own.Counters, own.mac = *prof.before, a.mac
	s.closeFindings(&own, a.profile, k, now, reason)
	a.profile.Release()
}
