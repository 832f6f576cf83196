package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// An address can be given to another machine, and one machine can have several link-layer
// addresses: teamed network cards take turns, and so do machines that hide. An attempt from another
// link-layer address than before begins an account of its own, and the former one is set aside:
// nothing of it is forgotten, and its findings stay open. If the former comes back, or a third one
// comes, it is one machine, or nobody can tell, and the accounts are put together for good. If it
// stays away for hours, and the other one has more than a few SYNs, which anybody can send, the
// address is another machine's: the findings of the former are closed.

// newMAC is what is known of link-layer addresses that are not the source's.
type newMAC struct {
	mac   [6]byte // the latest
	kinds uint32  // how many since the source's own was seen
	all   uint32  // attempts from them, at any time
	gone  int64   // the latest attempt from the source's own
}

// aside is the account of the link-layer address that a source had before.
type aside struct {
	old  *host
	mac  [6]byte
	gone int64 // its latest attempt
}

const (
	// apart is for how long the former link-layer address must have been silent when the other one
	// comes. Addresses that take turns faster are judged together from the beginning.
	apart = minute
	// vacant is for how long it must be silent to be gone.
	vacant = 6 * hour
	// waitedFor is for how long it is waited for if the other one has hardly tried: as long as a
	// level takes to drop to none.
	waitedFor = 72 * hour
	// steady is how many attempts the other one must have made, in an hour or more, if it has no
	// session.
	steady = 8
)

// moved notices an attempt from another link-layer address. Frames that a router passed on have the
// router's, and there may be two that take turns.
func (s *shard) moved(src *source, p *packet) {
	if p.mac == src.mac {
		src.flags &^= strange
		return
	}
	if !detect.InitialTTL(p.ttl) || src.host == 0 || src.mac == [6]byte{} || src.flags&home == 0 {
		return
	}
	hst := s.hosts.at(src.host)
	if hst.aside != nil {
		s.reunite(src, hst, p)
		if p.mac == src.mac {
			return
		}
	}
	m := &hst.mac
	if src.flags&strange == 0 {
		src.flags |= strange
		*m = newMAC{gone: src.facts.Last, all: m.all}
	}
	if m.mac != p.mac {
		m.mac = p.mac
		m.kinds++
	}
	m.all++
	if silent := p.time - m.gone; m.kinds == 1 && (silent >= vacant || silent >= apart && !hst.mixed) {
		s.setAside(src, hst, p)
	}
}

// setAside begins anew with a source for another link-layer address.
func (s *shard) setAside(src *source, hst *host, p *packet) {
	old, before := *hst, src.facts
	*hst = host{since: p.time, before: &before, waiting: old.waiting, aside: &aside{&old, src.mac, old.mac.gone}}
	hst.Room = &s.room
	src.mac = p.mac
	src.flags &^= strange
	s.follow(src)
}

// reunite puts the account that was set aside and that of now together.
func (s *shard) reunite(src *source, hst *host, p *packet) {
	a, tried := hst.aside, src.facts.Attempts-hst.before.Attempts
	hst.aside = nil
	s.closeFindings(src, hst, p.key.Host(), p.time, "superseded")
	hst.findings = [detect.Classes]*finding{}
	estate := a.old.Snapshot(&detect.Counters{})
	a.old.Release()
	hst.TakeOver(&s.e.cfg.Detect, estate, &src.facts)
	hst.take(a.old)
	hst.before, hst.since, hst.mixed = a.old.before, a.old.since, true
	hst.mac = newMAC{mac: src.mac, all: a.old.mac.all + tried}
	src.mac = a.mac
	src.flags &^= strange
	s.follow(src)
}

// outlives ends the account that was set aside when its time is over.
func (s *shard) outlives(src *source, hst *host, k flowtable.Host, now int64) {
	a := hst.aside
	if a == nil {
		return
	}
	switch own := src.facts.Attempts - hst.before.Attempts; {
	case now-a.gone >= vacant && (hst.Sessions() > 0 || own >= steady && src.facts.Last-hst.since >= hour):
		s.leave(src, hst, k, now, "mac_changed")
	case now-a.gone >= waitedFor:
		s.leave(src, hst, k, now, "quiet")
	}
}

// leave ends the account that was set aside.
func (s *shard) leave(src *source, hst *host, k flowtable.Host, now int64, reason string) {
	a := hst.aside
	hst.aside = nil
	own := *src
	own.facts, own.mac = *hst.before, a.mac
	s.closeFindings(&own, a.old, k, now, reason)
	a.old.Release()
}
