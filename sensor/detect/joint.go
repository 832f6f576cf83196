package detect

import (
	"cmp"
	"slices"
)

// Joined returns the profile of a machine that has several addresses: p of the address that stands
// for it, with the counters n, and parts of the others. It shares nothing that changes with
// them, takes no Budget, and has the latest verdict of p, so that Judge goes on from there.
//
// The tests of two profiles are added up; see merge. An address family that leads nowhere is left
// out; see brokenBeside.
func (p *Profile) Joined(c *Config, n *Counters, v6 bool, others []*Snapshot) *Profile {
	own := p.Part(n, v6)
	var all []*Snapshot
	for _, s := range others {
		if !s.brokenBeside(own) {
			all = append(all, s)
		}
	}
	if !slices.ContainsFunc(others, own.brokenBeside) {
		all = append(all, own)
	}
	if len(all) == 0 {
		all = append(all, own)
	}
	sum := all[0].open()
	attempts, first := all[0].profile.previous.attempts, all[0].profile.previous.first
	for _, s := range all[1:] {
		sum.merge(c, s.open(), &s.counters)
		attempts += s.profile.previous.attempts
		first = min(first, s.profile.previous.first)
	}
	// Of the attempts those with n are counted by n.
	sum.previous = previous{attempts - min(attempts, n.Attempts), first}
	sum.role, sum.lookups, sum.oneSided = p.role, cmp.Or(p.lookups, sum.lookups), p.oneSided
	for _, s := range others { // a role that is declared for one of the addresses is the machine's
		sum.role = cmp.Or(sum.role, s.profile.role)
	}
	sum.level, sum.verdict, sum.decided, sum.changed = p.level, p.verdict, p.decided, true
	return sum
}

// Part returns the snapshot of an address for Joined. v6 says that it is an IPv6 one.
func (p *Profile) Part(n *Counters, v6 bool) *Snapshot {
	s := p.Snapshot(n)
	s.v6 = v6
	if l := s.profile.lookups; l != nil { // the host goes on to write to its own
		copied := *l
		s.profile.lookups = &copied
	}
	return s
}

// TakeVerdict takes over the latest verdict of a machine that the profile is a part of.
func (p *Profile) TakeVerdict(of *Profile) {
	p.level, p.verdict, p.decided, p.changed = of.level, of.verdict, of.decided, of.changed
	p.oneSided = of.oneSided
}

// open is a profile of what the snapshot holds. The snapshot stays as it is.
func (s *Snapshot) open() *Profile {
	p := s.profile
	p.Budget = nil
	p.unshare()
	p.nets.Load(&s.nets, nil)
	p.addrs.Load(&s.addrs, nil)
	return &p
}

// brokenBeside reports whether nothing was reached at this address, and each of its networks may be
// the other address of a server that was reached at o: a client with IPv6 and IPv4 tries both, one
// after the other or side by side (RFC 8305), and where one of the two has no route all attempts
// fail. That says nothing about the host. A bot whose mail is blocked in one family fails at more
// networks than its user reaches in the other.
func (s *Snapshot) brokenBeside(o *Snapshot) bool {
	return s.v6 != o.v6 && s.profile.answered == 0 && s.profile.sessions == 0 &&
		o.profile.answered > 0 && s.netCount <= o.netCount
}
