package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// An address can be given to another machine, and one machine can have several link-layer
// addresses: teamed network cards take turns, and so do machines that hide. An attempt from another
// link-layer address than before begins an account of its own, and the former one is set aside:
// nothing of it is forgotten, and its findings stay open. If the former comes back, or a third one
// comes, it is one machine, or nobody can tell, and the accounts are put together for good. If it
// stays away for hours, and the other one has more than a few SYNs, which anybody can send, the
// address is another machine's: the findings of the former are closed.

// candidateMAC is what is known of link-layer addresses that are not the source's.
type candidateMAC struct {
	mac      [6]byte // the latest
	distinct uint32  // how many since the source's own was seen
	attempts uint32  // attempts from them, at any time
	ownLast  int64   // the latest attempt from the source's own
}

// formerAccount is the account of the link-layer address that a source had before.
type formerAccount struct {
	profile *host
	mac     [6]byte
	last    int64 // its latest attempt
}

const (
	// minAbsence is for how long the former link-layer address must have been silent when the other one
	// comes. Addresses that take turns faster are judged together from the beginning.
	minAbsence = minute
	// goneAfter is for how long it must be silent to be gone.
	goneAfter = 6 * hour
	// maxAbsence is for how long it is waited for if the other one has hardly tried: as long as a
	// level takes to drop to none.
	maxAbsence = 72 * hour
	// minOwnAttempts is how many attempts the other one must have made, in an hour or more, if it has no
	// session.
	minOwnAttempts = 8
)

// macChanged notices an attempt from another link-layer address. Frames that a router passed on have the
// router's, and there may be two that take turns.
func (s *shard) macChanged(src *source, p *packet) {
	if p.mac == src.mac {
		src.flags &^= macSuspect
		return
	}
	if !detect.InitialTTL(p.ttl) || src.host == 0 || src.mac == [6]byte{} || src.flags&home == 0 {
		return
	}
	hst := s.hosts.at(src.host)
	if hst.former != nil {
		s.mergeAccounts(src, hst, p)
		if p.mac == src.mac {
			return
		}
	}
	m := &hst.candidate
	if src.flags&macSuspect == 0 {
		src.flags |= macSuspect
		*m = candidateMAC{ownLast: src.facts.Last, attempts: m.attempts}
	}
	if m.mac != p.mac {
		m.mac = p.mac
		m.distinct++
	}
	m.attempts++
	if silent := p.time - m.ownLast; m.distinct == 1 && (silent >= goneAfter || silent >= minAbsence && !hst.alternatesMACs) {
		s.splitAccount(src, hst, p)
	}
}

// splitAccount begins anew with a source for another link-layer address.
func (s *shard) splitAccount(src *source, hst *host, p *packet) {
	old, before := *hst, src.facts
	*hst = host{since: p.time, before: &before, contactsPending: old.contactsPending, former: &formerAccount{&old, src.mac, old.candidate.ownLast}}
	hst.Budget = &s.room
	src.mac = p.mac
	src.flags &^= macSuspect
	s.follow(src)
}

// mergeAccounts puts the account that was set aside and that of now together.
func (s *shard) mergeAccounts(src *source, hst *host, p *packet) {
	a, tried := hst.former, src.facts.Attempts-hst.before.Attempts
	hst.former = nil
	s.closeFindings(src, hst, p.key.ClientKey(), p.time, "superseded")
	hst.findings = [verdict.Classes]*finding{}
	estate := a.profile.Snapshot(&detect.Counters{})
	a.profile.Release()
	hst.TakeOver(&s.e.cfg.Detect, estate, &src.facts)
	hst.takeFindings(a.profile)
	hst.before, hst.since, hst.alternatesMACs = a.profile.before, a.profile.since, true
	hst.candidate = candidateMAC{mac: src.mac, attempts: a.profile.candidate.attempts + tried}
	src.mac = a.mac
	src.flags &^= macSuspect
	s.follow(src)
}

// expireFormer ends the account that was set aside when its time is over.
func (s *shard) expireFormer(src *source, hst *host, k flowtable.HostKey, now int64) {
	a := hst.former
	if a == nil {
		return
	}
	switch own := src.facts.Attempts - hst.before.Attempts; {
	case now-a.last >= goneAfter && (hst.Sessions() > 0 || own >= minOwnAttempts && src.facts.Last-hst.since >= hour):
		s.closeFormer(src, hst, k, now, "mac_changed")
	case now-a.last >= maxAbsence:
		s.closeFormer(src, hst, k, now, "quiet")
	}
}

// closeFormer ends the account that was set aside.
func (s *shard) closeFormer(src *source, hst *host, k flowtable.HostKey, now int64, reason string) {
	a := hst.former
	hst.former = nil
	own := *src
	own.facts, own.mac = *hst.before, a.mac
	s.closeFindings(&own, a.profile, k, now, reason)
	a.profile.Release()
}
