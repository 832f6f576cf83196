package sources

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
)

// NewAddress is an observation of a machine under one of its addresses. A bot can take another
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
// Like an inboundNote, a NewAddress is handled at the end of a round. Knowledge moves and is not
// copied: a machine has one profile, however many addresses somebody takes in its name, and one
// finding of each class.
type NewAddress struct {
	Source flowtable.HostKey
	MAC    [6]byte // the sender of the frame
	Time   int64   // ns since 1970
	TTL    uint8   // hop limit of the packet, zero if it is not known
	Routed bool    // a router forwarded the packet, or its source is external
	// Mail says that the note counts for chains: a new IPv6 address, or a session with an external
	// server on port 25.
	Mail bool
}

// steadySessions is the number of sessions after which a source is not one of many addresses.
const steadySessions = 64

// maxNewAddresses bounds the observations of a round. A source beyond it is judged alone.
const maxNewAddresses = 256

// noteAddress records a new source. A packet that a router forwarded has the router's link-layer
// address, and a hop limit that no system begins with.
func (s *Observer) noteAddress(src *Source, p *track.Packet) {
	if !detect.InitialTTL(p.TTL) || src.flags&home == 0 || !s.eligible(src) ||
		p.MAC == [6]byte{} {
		return
	}
	s.notes.addNewAddress(NewAddress{Source: p.Key.ClientKey(), MAC: p.MAC, Time: p.Time,
		TTL: p.TTL, Mail: p.Key.Scope.V6()})
}

// noteSessionAddress records a session of a source. Sessions that a router forwarded are recorded
// too: a link-layer address with many of them is a router's, and proves nothing.
func (s *Observer) noteSessionAddress(src *Source, p *track.Packet, f *track.Flow) {
	if !p.ToServer || src.Counters.Sessions > steadySessions || p.MAC == [6]byte{} ||
		!f.SeenBothSides() {
		return
	}
	// An external source, or a hop limit below the initial one, says that a router forwarded the
	// packet.
	routed := src.flags&home == 0 || !detect.InitialTTL(p.TTL)
	v6, mail := p.Key.Scope.V6(), p.Key.ServerPort == 25
	if !routed && !s.eligible(src) || routed && (v6 || !mail) {
		return
	}
	s.notes.addNewAddress(NewAddress{p.Key.ClientKey(), p.MAC, p.Time, p.TTL, routed,
		!v6 && mail && (routed || f.Noted(peer.External) && !f.Noted(peer.Relay))})
}

// addNewAddress adds an observation for the end of the round.
func (s *shardNotes) addNewAddress(a NewAddress) {
	// The latest observation is often repeated, for example by several sessions of one source.
	if n := len(s.newAddresses); n > 0 && s.newAddresses[n-1].Source == a.Source &&
		s.newAddresses[n-1].MAC == a.MAC && (s.newAddresses[n-1].Mail || !a.Mail) {
		return
	}
	if len(s.newAddresses) >= maxNewAddresses {
		s.dropped++
		return
	}
	s.newAddresses = append(s.newAddresses, a)
}

// TakeAddresses appends the observations of the round to a list, in no order.
func (all *Set) TakeAddresses(list []NewAddress) []NewAddress {
	return drainShards(all, list, func(s *Observer) *[]NewAddress {
		return &s.notes.newAddresses
	})
}

// Hash returns a hash of a source's address.
func (all *Set) Hash(h *flowtable.HostKey) uint32 {
	return uint32(all.cfg.Table.Secret.HashHost(h))
}

// withSource calls f for a source, under its shard's lock; the profile may be nil. It does nothing
// if the source was evicted. f must not lock another shard.
func (all *Set) withSource(h *flowtable.HostKey, f func(s *Observer, r flowtable.Ref,
	src *Source,
	prof *profile)) {
	hash := all.cfg.Table.Secret.HashHost(h)
	s := all.shards[all.cfg.Table.ShardOf(hash)]
	s.Table.Lock()
	defer s.Table.Unlock()
	if r := s.Table.Sources.Find(hash, h); r != 0 {
		src := s.Table.Sources.At(r)
		f(s, r, src, s.profiles.At(src.profile))
	}
}

// HasConnection reports whether a source has an open flow.
func (all *Set) HasConnection(h *flowtable.HostKey) (is bool) {
	all.withSource(h, func(_ *Observer, _ flowtable.Ref, src *Source, _ *profile) {
		is = src.Counters.Concurrent > 0
	})
	return is
}

// WereRefused reports whether two of the sources were refused.
func (all *Set) WereRefused(list []flowtable.HostKey) bool {
	n := 0
	for i := range list {
		all.withSource(&list[i], func(_ *Observer, _ flowtable.Ref, _ *Source, prof *profile) {
			if prof != nil && prof.WasRefused() {
				n++
			}
		})
	}
	return n >= 2
}

// AddressChange says that a machine has another address.
type AddressChange struct {
	From, To flowtable.HostKey
	TTL      uint8 // of its packets
}

// Transfer moves the profile of one source to another, with its findings if findings is set: both
// are addresses of one machine then. The two sources may be in different shards, so each is locked
// on its own, and the profile is a Snapshot in between.
func (all *Set) Transfer(m *AddressChange, findings bool) {
	from, to := &m.From, &m.To
	var old *profile
	var snapshot *detect.Snapshot
	var counters detect.Counters
	all.withSource(from, func(s *Observer, _ flowtable.Ref, src *Source, prof *profile) {
		if prof == nil {
			return
		}
		// The snapshot shares nothing with the profile, which may be dropped below.
		snapshot = prof.Snapshot(&src.Counters)
		counters = src.Counters
		if prof.otherAddresses != nil {
			counters = counters.Plus(prof.otherAddresses)
		}
		old = prof
		if findings { // its findings move, too
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
	all.withSource(to, func(s *Observer, r flowtable.Ref, src *Source, prof *profile) {
		if prof == nil {
			prof = s.newProfile(r, src)
		}
		// The counters of the old address stay separate: they appear in the texts of findings, but
		// the new address did not cause them.
		prof.TakeOver(&all.cfg.Detect, snapshot, &src.Counters)
		prof.SetHopLimit(m.TTL)
		prof.addressChanged, prof.otherAddresses = false, &counters
		if findings {
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
