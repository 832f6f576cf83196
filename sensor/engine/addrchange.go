package engine

import (
	"bytes"
	"cmp"
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
)

// newAddress is an observation of a machine under one of its addresses. A bot can take another
// address for each mail: of IPv6 it has 2^64 to choose from, of IPv4 the free ones of its network.
// So the evidence of one machine is joined over its addresses, by its link-layer address.
//
// Temporary addresses of IPv6 (RFC 8981) change every day, so there the first packet of a new
// address in the same /64 is enough. With IPv4 a link-layer address can have several addresses for
// better reasons: a router's, which lowers the hop limit and forwards external addresses; a
// bridge's that hides other machines; a server's with an address for each customer. So only a
// session with an external server on port 25 counts, seen from both sides, and minChain addresses
// must have followed one another: no address comes back, no address has an open flow when the next
// one has its session, and two addresses were refused.
//
// Like an inboundNote, a newAddress is handled at the end of a round. Knowledge moves and is not
// copied: a machine has one profile, however many addresses somebody takes in its name, and one
// finding of each class.
type newAddress struct {
	source flowtable.HostKey
	mac    [6]byte // the sender of the frame
	time   int64   // ns since 1970
	ttl    uint8   // hop limit of the packet
	routed bool    // a router forwarded the packet, or its source is external
}

// maxNewAddresses bounds the observations of a round. A source beyond it is judged alone.
const maxNewAddresses = 256

// noteAddress records a new source with IPv6. A packet that a router forwarded has the router's
// link-layer address, and a hop limit that no system begins with.
func (s *sourceObserver) noteAddress(src *source, p *track.Packet) {
	if !p.Key.Scope.V6() || !detect.InitialTTL(p.TTL) || src.flags&home == 0 || !s.eligible(src) ||
		p.MAC == [6]byte{} {
		return
	}
	s.notes.addNewAddress(newAddress{source: p.Key.ClientKey(), mac: p.MAC, time: p.Time,
		ttl: p.TTL})
}

// noteSessionAddress records a session of a source with IPv4. Sessions that a router forwarded are
// recorded too: a link-layer address with many of them is a router's, and proves nothing.
func (s *sourceObserver) noteSessionAddress(src *source, p *track.Packet, f *track.Flow) {
	if p.Key.Scope.V6() || !p.ToServer || src.facts.Sessions > steadySessions ||
		p.MAC == [6]byte{} || p.Key.ServerPort != 25 || !f.SeenBothSides() {
		return
	}
	// An external source, or a hop limit below the initial one, says that a router forwarded the
	// packet.
	routed := src.flags&home == 0 || !detect.InitialTTL(p.TTL)
	if !routed && (!f.Noted(peer.External) || f.Noted(peer.Relay) || !s.eligible(src)) {
		return
	}
	s.notes.addNewAddress(newAddress{p.Key.ClientKey(), p.MAC, p.Time, p.TTL, routed})
}

// addNewAddress adds an observation for the end of the round.
func (s *shardNotes) addNewAddress(a newAddress) {
	// The latest observation is often repeated, for example by several sessions of one source.
	if n := len(s.newAddresses); n > 0 && s.newAddresses[n-1].source == a.source &&
		s.newAddresses[n-1].mac == a.mac {
		return
	}
	if len(s.newAddresses) >= maxNewAddresses {
		s.dropped++
		return
	}
	s.newAddresses = append(s.newAddresses, a)
}

// addressTracker joins the addresses of machines that change them. The holder of tickMu owns it.
type addressTracker struct {
	chains    map[[6]byte]*addressChain           // by link-layer address, at most maxMachines
	chainOf   map[flowtable.HostKey]*addressChain // of the members
	rotations map[rotationKey]*rotation           // at most maxRotations
	held      []entry                             // findings that are held back, at most maxHeld
	forgotten atomic.Uint64                       // machines that were dropped at a bound
}

// addressChain is a machine, known by its link-layer address, and its addresses. With IPv4 it goes
// through three stages:
//
//	addresses follow one another   seen, past and consecutive grow
//	minChain in a row, two refused sameMachine: profiles and findings are merged
//	an address comes back, or      dissolve: each address is judged alone again,
//	two are in use at once         and the count begins anew
type addressChain struct {
	latest newAddress
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

// emittedFinding is a finding of a machine with several addresses, as it was emitted.
type emittedFinding struct {
	id      string
	seq     int
	level   verdict.Level
	open    bool
	updated int64 // time of its latest event, ns
	lists   int   // blocklists that it named
}

const (
	// minChain is the number of IPv4 addresses that must have followed one another before they
	// count as one machine's.
	minChain = 4
	// maxChain bounds the addresses of a machine that are joined and named, maxSeen the addresses
	// that are recognized when they come back.
	maxChain, maxSeen = 64, 1024
	// steadySessions is the number of sessions after which a source is not one of many addresses.
	steadySessions = 64
	// maxSilence is how long an address may have been silent when the next one comes.
	maxSilence = 24 * hour
)

// addressChange says that a machine has another address.
type addressChange struct {
	from, to flowtable.HostKey
	ttl      uint8 // of its packets
}

// trackAddresses handles the new addresses of a round, and returns the changes. The caller holds
// tickMu.
func (e *Engine) trackAddresses() (changes []addressChange) {
	e.newAddresses = drainShards(e, e.newAddresses[:0], func(s *shard) *[]newAddress {
		return &s.notes.newAddresses
	})
	// Shards run in any order, so the observations of a round are sorted. Time comes first; the
	// address and the link-layer address decide between equal times.
	all := e.newAddresses
	slices.SortFunc(all, func(a, b newAddress) int {
		return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.source.Addr[:],
			b.source.Addr[:]), bytes.Compare(a.mac[:], b.mac[:]))
	})
	for i := range all {
		changes = append(changes, e.trackAddress(&all[i])...)
	}
	return changes
}

// trackAddress handles one new address.
func (e *Engine) trackAddress(a *newAddress) []addressChange {
	l := e.addresses.chain(a)
	was := l.latest
	switch {
	// The machine acted as a router.
	case a.routed:
		l.routedSessions++
		return nil
	// The address stays the same.
	case was.source == a.source:
		l.latest.time = a.time
		l.ownSessions++
		return nil
	// This is the first address of the machine.
	case was.time == 0:
	// Another VLAN or tunnel, another address family, or a pause: the old addresses say nothing
	// about the new one.
	case a.source.Scope != was.source.Scope || a.time-was.time >= maxSilence:
		e.addresses.dissolve(l)
	case a.source.Scope.V6():
		// A new temporary address in the same /64 is enough; see RFC 8981.
		if [8]byte(was.source.Addr[:8]) == [8]byte(a.source.Addr[:8]) {
			l.latest = *a
			l.sameMachine = true
			e.addresses.addMembers(l, was.source, a.source)
			return []addressChange{{was.source, a.source, a.ttl}}
		}
		e.addresses.dissolve(l)
	}
	l.latest = *a
	if a.source.Scope.V6() {
		return nil
	}
	l.ownSessions++
	hash := uint32(e.table.Secret.HashHost(&a.source))
	// An address that comes back belongs to a machine that keeps several, for example a server with
	// an address for each customer.
	if slices.Contains(l.seen, hash) {
		if was.source != a.source { // it comes back
			l.past, l.consecutive = append(l.past[:0], a.source), 1
			e.addresses.dissolve(l)
		}
		return nil
	}
	if l.seen = append(l.seen, hash); len(l.seen) > maxSeen {
		l.seen = slices.Delete(l.seen, 0, maxSeen/2)
	}
	// The bounds cost the oldest address its place in the chain.
	if len(l.past) == maxChain {
		delete(e.addresses.chainOf, l.past[0])
		l.past = slices.Delete(l.past, 0, 1)
	}
	l.past = append(l.past, a.source)
	if l.consecutive++; l.routedSessions*2 > l.ownSessions || l.consecutive > 1 &&
		e.hasConnection(&was.source) {
		l.consecutive = 1
		e.addresses.dissolve(l)
		return nil
	}
	if l.sameMachine {
		e.addresses.addMembers(l, a.source)
		return []addressChange{{was.source, a.source, a.ttl}}
	}
	// Fewer than minChain addresses, or addresses that were not refused, may be a DHCP server's
	// doing.
	run := l.past[max(0, len(l.past)-l.consecutive):]
	if l.consecutive < minChain || !e.wereRefused(run) {
		return nil
	}
	l.sameMachine = true
	e.addresses.addMembers(l, a.source)
	// From here on the machine is known: the profiles move from each address to the next.
	var changes []addressChange
	for i := range len(run) - 1 {
		changes = append(changes, addressChange{run[i], run[i+1], a.ttl})
	}
	return changes
}

// chain returns the chain of a new address's machine. At maxMachines chains those without an
// address for maxSilence are dropped, or all.
func (t *addressTracker) chain(a *newAddress) *addressChain {
	if l := t.chains[a.mac]; l != nil {
		return l
	}
	if t.chains == nil {
		t.chains, t.chainOf = map[[6]byte]*addressChain{}, map[flowtable.HostKey]*addressChain{}
	}
	if len(t.chains) >= maxMachines {
		// Chains that are silent for a day go first. If that is not enough, all go: a bridge or an
		// attacker shows more link-layer addresses than can be followed.
		for mac, old := range t.chains {
			if a.time-old.latest.time >= maxSilence {
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
	t.chains[a.mac] = l
	return l
}

// addMembers joins addresses to a machine, at most maxChain: a further one replaces the oldest.
func (t *addressTracker) addMembers(l *addressChain, list ...flowtable.HostKey) {
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
func (t *addressTracker) dissolve(l *addressChain) {
	for _, h := range l.members {
		delete(t.chainOf, h)
	}
	l.members, l.sameMachine, l.findings = nil, false, [verdict.Classes]emittedFinding{}
}

// withSource calls f for a source, under its shard's lock; the profile may be nil. It does nothing
// if the source was evicted. f must not lock another shard.
func (e *Engine) withSource(h *flowtable.HostKey, f func(s *sourceObserver, r flowtable.Ref,
	src *source,
	prof *profile)) {
	hash := e.table.Secret.HashHost(h)
	s := &e.shards[e.table.ShardOf(hash)]
	s.t.Lock()
	defer s.t.Unlock()
	if r := s.t.Sources.Find(hash, h); r != 0 {
		src := s.t.Sources.At(r)
		f(&s.sources, r, src, s.sources.profiles.At(src.profile))
	}
}

// hasConnection reports whether a source has an open flow.
func (e *Engine) hasConnection(h *flowtable.HostKey) (is bool) {
	e.withSource(h, func(_ *sourceObserver, _ flowtable.Ref, src *source, _ *profile) {
		is = src.facts.Concurrent > 0
	})
	return is
}

// wereRefused reports whether two of the sources were refused.
func (e *Engine) wereRefused(list []flowtable.HostKey) bool {
	n := 0
	for i := range list {
		e.withSource(&list[i], func(_ *sourceObserver, _ flowtable.Ref, _ *source, prof *profile) {
			if prof != nil && prof.WasRefused() {
				n++
			}
		})
	}
	return n >= 2
}

// mergeAddresses moves the profiles of sources to their next addresses. The caller holds tickMu.
func (e *Engine) mergeAddresses(changes []addressChange) {
	for i := range changes {
		e.transfer(&changes[i])
	}
}

// transfer moves the profile of one source to another, with its findings if both are addresses of
// one machine. The two sources may be in different shards, so each is locked on its own, and the
// profile is a Snapshot in between.
func (e *Engine) transfer(m *addressChange) {
	from, to := &m.from, &m.to
	chain := e.addresses.chainOf[*from]
	var old *profile
	var snapshot *detect.Snapshot
	var facts detect.Counters
	e.withSource(from, func(s *sourceObserver, _ flowtable.Ref, src *source, prof *profile) {
		if prof == nil {
			return
		}
		// The snapshot shares nothing with the profile, which may be dropped below.
		snapshot = prof.Snapshot(&src.facts)
		facts = src.facts
		if prof.otherAddresses != nil {
			facts = facts.Plus(prof.otherAddresses)
		}
		old = prof
		if chain != nil && chain == e.addresses.chainOf[*to] { // its findings move, too
			copied := *prof
			old = &copied
			prof.findings = finding.Book{}
		}
		// Without an open finding the old profile has no use any more. With one, it stays until the
		// finding is closed.
		if prof.addressChanged = true; !prof.anyOpen() {
			s.dropProfile(src, *from, 0, "address_changed")
		}
	})
	if old == nil {
		return
	}
	e.withSource(to, func(s *sourceObserver, r flowtable.Ref, src *source, prof *profile) {
		if prof == nil {
			prof = s.newProfile(r, src)
		}
		// The counters of the old address stay separate: they appear in the texts of findings, but
		// the new address did not cause them.
		prof.TakeOver(&e.cfg.Detect, snapshot, &src.facts)
		prof.SetHopLimit(m.ttl)
		prof.addressChanged, prof.otherAddresses = false, &facts
		if chain != nil && chain == e.addresses.chainOf[*to] {
			prof.takeFindings(old)
			if prof.anyOpen() {
				s.follow(src)
			}
		}
		if !prof.contactsPending { // the tick judges it
			prof.contactsPending = true
			s.pendingContacts = append(s.pendingContacts, r)
		}
	})
}

// takeFindings takes over the findings of the machine's former address. If both addresses have a
// finding of one class, the older id stays, so that the machine keeps one finding of each class.
func (h *profile) takeFindings(old *profile) {
	for c, f := range old.findings {
		if f != nil && (h.findings[c] == nil || f.Open && !h.findings[c].Open) {
			h.findings[c] = f
		} else if f != nil {
			h.findings[c].ID, h.findings[c].Seq = f.ID, max(f.Seq, h.findings[c].Seq)
		}
	}
	h.evidence = append(slices.Clone(old.evidence), h.evidence...)
	h.evidence = h.evidence[:min(len(h.evidence), finding.MaxEvidence)]
	h.sessionsEmitted += old.sessionsEmitted
	h.suppressed += old.suppressed
	h.opaque += old.opaque
	h.oneWay += old.oneWay
	h.doubtful += old.doubtful
	h.foreign += old.foreign
}

// merge joins the findings of a machine with several addresses into one, and reports whether it is
// to be emitted: a finding about the latest address alone says less than the machine's finding. An
// emitted finding names the addresses of the machine.
func (t *addressTracker) merge(k flowtable.HostKey, f *finding.Finding, lists int) (news bool) {
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

// maxMachines bounds the chains of addresses.
const maxMachines = 1024
