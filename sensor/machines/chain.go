package machines

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/verdict"
)

// addressChain is a machine, known by its link-layer address, and its addresses. With IPv4 it goes
// through three stages:
//
//	addresses follow one another   seen, past and consecutive grow
//	minChain in a row, two refused sameMachine: profiles and findings are merged
//	an address comes back, or      dissolve: each address is judged alone again,
//	two are in use at once         and the count begins anew
type addressChain struct {
	latest sources.NewAddress
	seen   []uint32 // hashes of its IPv4 addresses, the latest last
	// The latest addresses that followed one another, at most maxChain.
	past        []flowtable.HostKey
	consecutive int // how many addresses followed one another
	// IPv4 sessions of the machine itself, and sessions that it forwarded as a router.
	ownSessions, routedSessions uint32
	sameMachine                 bool                // the members are addresses of one machine
	members                     []flowtable.HostKey // those
	// one of each class, for the machine
	findings [verdict.Classes]emittedFinding
	rotation *rotation // nil if the machine is known by its link-layer address
}

const (
	// minChain is the number of IPv4 addresses that must have followed one another before they
	// count as one machine's.
	minChain = 4
	// maxChain bounds the addresses of a machine that are joined and named, maxSeen the addresses
	// that are recognized when they come back.
	maxChain, maxSeen = 64, 1024
	// maxSilence is how long an address may have been silent when the next one comes.
	maxSilence = 24 * hour
)

// chain returns the chain of a new address's machine. At maxMachines chains those without an
// address for maxSilence are dropped, or all.
func (t *Tracker) chain(a *sources.NewAddress) *addressChain {
	if l := t.chains[macKey(a.MAC)]; l != nil {
		return l
	}
	if t.chains == nil {
		t.chains, t.chainOf = map[uint64]*addressChain{}, map[flowtable.HostKey]*addressChain{}
	}
	if len(t.chains) >= maxMachines {
		// Chains that are silent for a day go first. If that is not enough, all go: a bridge or an
		// attacker shows more link-layer addresses than can be followed.
		for mac, old := range t.chains {
			if a.Time-old.latest.Time >= maxSilence {
				t.dissolve(old)
				delete(t.chains, mac)
			}
		}
		if len(t.chains) >= maxMachines {
			t.forgotten.Add(uint64(len(t.chains)))
			clear(t.chains)
			clear(t.chainOf)
			// Rotations have a bound of their own, and keep their members.
			for _, c := range t.rotations {
				for _, h := range c.chain.members {
					t.chainOf[h] = &c.chain
				}
			}
		}
	}
	l := &addressChain{}
	t.chains[macKey(a.MAC)] = l
	return l
}

// addMembers joins addresses to a machine, at most maxChain: a further one replaces the oldest.
func (t *Tracker) addMembers(l *addressChain, list ...flowtable.HostKey) {
	for _, h := range list {
		if t.chainOf[h] == l {
			continue
		}
		t.chainOf[h] = l
		if l.members = append(l.members, h); len(l.members) > maxChain {
			delete(t.chainOf, l.members[0])
			l.members = slices.Delete(l.members, 0, 1)
		}
	}
}

// dissolve splits a machine into its addresses again. Profiles that were merged stay merged, and
// findings stay with the address that has them.
func (t *Tracker) dissolve(l *addressChain) {
	for _, h := range l.members {
		delete(t.chainOf, h)
	}
	l.members, l.sameMachine, l.findings = nil, false, [verdict.Classes]emittedFinding{}
}

// maxMachines bounds the chains of addresses.
const maxMachines = 1024

// TrackAddresses handles the new addresses of a round, and returns the changes. The caller holds
// tickMu.
func (t *Tracker) TrackAddresses() (changes []sources.AddressChange) {
	t.newAddresses = t.sources.TakeAddresses(t.newAddresses[:0])
	// Shards run in any order, so the observations of a round are sorted. Time comes first; the
	// address and the link-layer address decide between equal times.
	list := t.newAddresses
	t.merger.Reset()
	for i := range list {
		t.merger.Add(timeRank(list[i].Time))
	}
	for _, p := range t.merger.Merged(func(x, y uint32) int {
		a, b := &list[x], &list[y]
		return cmp.Or(bytes.Compare(a.Source.Addr[:], b.Source.Addr[:]),
			bytes.Compare(a.MAC[:], b.MAC[:]))
	}) {
		a := &list[p.At]
		t.identify(a)
		if a.Mail {
			changes = append(changes, t.trackAddress(a)...)
		}
	}
	t.news = t.news || len(list) > 0
	return changes
}

// trackAddress handles one new address.
func (t *Tracker) trackAddress(a *sources.NewAddress) []sources.AddressChange {
	l := t.chain(a)
	was := l.latest
	switch {
	// The machine acted as a router.
	case a.Routed:
		l.routedSessions++
		return nil
	// The address stays the same.
	case was.Source == a.Source:
		l.latest.Time = a.Time
		l.ownSessions++
		return nil
	// This is the first address of the machine.
	case was.Time == 0:
	// Another VLAN or tunnel, another address family, or a pause: the old addresses say nothing
	// about the new one.
	case a.Source.Scope != was.Source.Scope || a.Time-was.Time >= maxSilence:
		t.dissolve(l)
	case a.Source.Scope.V6():
		// A new temporary address in the same /64 is enough; see RFC 8981.
		if [8]byte(was.Source.Addr[:8]) == [8]byte(a.Source.Addr[:8]) {
			l.latest = *a
			l.sameMachine = true
			t.addMembers(l, was.Source, a.Source)
			return []sources.AddressChange{{From: was.Source, To: a.Source, TTL: a.TTL}}
		}
		t.dissolve(l)
	}
	l.latest = *a
	if a.Source.Scope.V6() {
		return nil
	}
	l.ownSessions++
	hash := t.sources.Hash(&a.Source)
	// An address that comes back belongs to a machine that keeps several, for example a server with
	// an address for each customer.
	if slices.Contains(l.seen, hash) {
		if was.Source != a.Source { // it comes back
			l.past, l.consecutive = append(l.past[:0], a.Source), 1
			t.dissolve(l)
		}
		return nil
	}
	if l.seen = append(l.seen, hash); len(l.seen) > maxSeen {
		l.seen = slices.Delete(l.seen, 0, maxSeen/2)
	}
	// The bounds cost the oldest address its place in the chain.
	if len(l.past) == maxChain {
		delete(t.chainOf, l.past[0])
		l.past = slices.Delete(l.past, 0, 1)
	}
	l.past = append(l.past, a.Source)
	if l.consecutive++; l.routedSessions*2 > l.ownSessions || l.consecutive > 1 &&
		t.sources.HasConnection(&was.Source) {
		l.consecutive = 1
		t.dissolve(l)
		return nil
	}
	if l.sameMachine {
		t.addMembers(l, a.Source)
		return []sources.AddressChange{{From: was.Source, To: a.Source, TTL: a.TTL}}
	}
	// Fewer than minChain addresses, or addresses that were not refused, may be a DHCP server's
	// doing.
	run := l.past[max(0, len(l.past)-l.consecutive):]
	if l.consecutive < minChain || !t.sources.WereRefused(run) {
		return nil
	}
	l.sameMachine = true
	t.addMembers(l, a.Source)
	// From here on the machine is known: the profiles move from each address to the next.
	var changes []sources.AddressChange
	for i := range len(run) - 1 {
		changes = append(changes, sources.AddressChange{From: run[i], To: run[i+1], TTL: a.TTL})
	}
	return changes
}

// MergeAddresses moves the profiles of sources to their next addresses. The caller holds tickMu.
func (t *Tracker) MergeAddresses(changes []sources.AddressChange) {
	for i := range changes {
		m := &changes[i]
		chain := t.chainOf[m.From]
		t.sources.Transfer(m, chain != nil && chain == t.chainOf[m.To])
	}
}
