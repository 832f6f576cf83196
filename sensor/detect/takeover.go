package detect

import (
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/heloname"
)

// Snapshot is the profile of a machine at an address, to be taken over at another address. The sets
// of destinations are in the form of a checkpoint, so that the snapshot holds nothing of the
// Budget.
type Snapshot struct {
	v6          bool // the address is an IPv6 one; see Part
	profile     Profile
	counters    Counters
	nets, addrs sketch.Saved
	netCount    int // networks
}

// previous has the attempts of a machine at other addresses, and when it made the first.
type previous struct {
	attempts uint32
	first    int64
}

// Snapshot is the profile as TakeOver needs it. It shares nothing with the profile.
func (p *Profile) Snapshot(n *Counters) *Snapshot {
	s := &Snapshot{profile: *p, counters: *n, nets: p.nets.Save(), addrs: p.addrs.Save(),
		netCount: p.nets.Len()}
	w := &s.profile
	w.unshare()
	w.nets, w.addrs = sketch.Set{}, sketch.Set{}
	if w.previous.attempts == 0 {
		w.previous.first = n.First
	}
	w.previous.attempts += n.Attempts
	return s
}

// unshare gives a copy of a profile its own memory, but for the sets of destinations.
func (p *Profile) unshare() {
	p.heloNames.distinct = p.heloNames.distinct.Clone()
	p.envelope.distinct = p.envelope.distinct.Clone()
	p.providers = p.providers.Clone()
	p.share = p.share.Clone()
}

// TakeOver puts the profile of a machine's former address before what the machine has done at this
// one. n are the counters of this address; they hold at least what the profile has seen so far. The
// verdict is to be judged again.
func (p *Profile) TakeOver(c *Config, s *Snapshot, n *Counters) {
	now := *p
	*p = s.profile
	// The budget and the declared role belong to this address.
	p.Budget, p.role = now.Budget, now.role
	p.nets.Load(&s.nets, p.Budget)
	p.addrs.Load(&s.addrs, p.Budget)
	p.merge(c, &now, n)
	now.Release()
	// The next verdict counts as new, whatever its level.
	p.level, p.changed = verdict.NoLevel, true
	p.Adopt(c, n)
}

// merge adds the profile o, as if p had seen all of it after its own. Tests that need the single
// observations in their order (the tests on rates) come out only about right. n are the counters of
// o.
func (p *Profile) merge(c *Config, o *Profile, n *Counters) {
	p.mergeAttempts(c, o, n)
	for _, x := range [][2]*uint32{
		{&p.external, &o.external}, {&p.retransmitted, &o.retransmitted},
		{&p.answered, &o.answered}, {&p.sessions, &o.sessions},
		{&p.greeted, &o.greeted}, {&p.spoken, &o.spoken}, {&p.conflicting, &o.conflicting},
		{&p.twoSided, &o.twoSided}, {&p.attested, &o.attested},
		{&p.taken, &o.taken}, {&p.submitNets, &o.submitNets},
	} {
		*x[0] += *x[1]
	}
	p.oneSided, p.oneSideSoFar = o.oneSided, o.oneSideSoFar
	p.half.Total += o.half.Total
	p.half.Accepted += o.half.Accepted
	p.guard.Merge(&o.guard)
	p.guardOneSided.Merge(&o.guardOneSided)
	p.behaviour.Merge(&o.behaviour)
	p.mta.merge(&o.mta)
	p.mergeTLSNames(o, n.Last)
	p.mergeReasons(o)
	p.mergeDialogues(c, o, n.Last)
}

// mergeAttempts is the part of merge for attempts and their outcome.
func (p *Profile) mergeAttempts(c *Config, o *Profile, n *Counters) {
	now := n.Last
	if o.lookups != nil {
		p.lookups = o.lookups
	}
	p.addrs.Union(&o.addrs, p.Budget)
	if o.nets.Estimated() { // the reasons hold what its single networks showed
		p.nets.Union(&o.nets, p.Budget)
		p.providers.Restore(p.providers.Units() + o.providers.Units())
	}
	o.nets.Each(func(v uint32) {
		if !p.nets.Add(v, p.Budget) {
			return
		}
		at := o.contacted(v, n)
		if unit, isNew := p.providers.Adopt(&o.providers, v, at); isNew {
			p.newUnit(c, unit, at)
		}
	})
	p.judgeManyNetworks(c, mergeSlots(p.hour[:], o.hour[:], 3600), now)
	p.judgeSubmitSpread(c, mergeSlots(p.submit[:], o.submit[:], 3600), now)
	for i := max(0, o.burst.next-maxBurst); i < o.burst.next; i++ { // maxBurst at most
		p.burst.at[p.burst.next%maxBurst] = o.burst.at[i%maxBurst]
		p.burst.next++
	}
	// Periods of a flood at two addresses are not aligned; their counts are added all the same.
	p.flood.attempts += o.flood.attempts
	p.flood.servers += o.flood.servers
	p.contacts.Merge(&o.contacts, c.Alpha)
	p.share.Merge(&o.share)
	p.ports.Merge(&o.ports)
}

// mergeReasons is the part of merge for the reasons. Of two the earlier First, the later Last and
// the larger Value stay, and the Threshold goes with the larger Weight.
func (p *Profile) mergeReasons(o *Profile) {
	for code := range o.reasons {
		if x, r := &o.reasons[code], &p.reasons[code]; x.First != 0 {
			if r.First == 0 || x.First < r.First {
				r.First = x.First
			}
			r.Last, r.Value = max(r.Last, x.Last), max(r.Value, x.Value)
			if math.Abs(x.Weight) > math.Abs(r.Weight) {
				r.Weight, r.Threshold = x.Weight, x.Threshold
			}
			p.raised |= Code(code).bit()
		}
	}
}

// mergeDialogues is the part of merge for what client and servers said.
func (p *Profile) mergeDialogues(c *Config, o *Profile, now int64) {
	p.refusalTest.merge(c, &o.refusalTest)
	p.refusers.merge(&o.refusers)
	p.refusalTestUnlisted.merge(c, &o.refusalTestUnlisted)
	p.unknownUsers.Merge(&o.unknownUsers, c.Alpha)
	p.unknownOfOwn.Merge(&o.unknownOfOwn, c.Alpha)
	if o.unknownUsers.Unknown > 0 {
		p.judgeUnknownUsers(c, now)
	}
	p.judgeRelayDenials(mergeSlots(p.relayDenied[:], o.relayDenied[:], 86400), now)
	p.blocklists.merge(&o.blocklists)
	w := &p.heloNames
	w.given += o.heloNames.given
	w.distinct.Union(&o.heloNames.distinct, nil)
	p.judgeHeloNames(c, mergeSlots(w.day[:], o.heloNames.day[:], 86400), now)
	for _, name := range o.heloNames.name[:o.heloNames.n] {
		w.remember(name)
	}
	theirs, ours := heloname.Classify(o.heloNames.worst), heloname.Classify(w.worst)
	if heloWeights[theirs] > heloWeights[ours] || w.worst == "" {
		w.worst = o.heloNames.worst
	}
	for i, n := range o.dialect {
		p.dialect[i] = uint16(min(math.MaxUint16, uint32(p.dialect[i])+uint32(n)))
	}
	p.judgeOddities(now)
	e := &p.envelope
	e.mails += o.envelope.mails
	e.distinct.Union(&o.envelope.distinct, nil)
	senders := mergeSlots(e.senders[:], o.envelope.senders[:], 86400)
	p.judgeRecipientDomains(c, mergeSlots(e.recipients[:], o.envelope.recipients[:], 3600), now)
	if o.refusalTest.Refused > 0 {
		p.judgeRefusals(c, now)
	}
	if o.envelope.mails > 0 || o.refusalTest.Refused > 0 {
		senders = max(senders, sketch.CountRecent(e.senders[:], sketch.Stamp(now), 86400))
		p.judgeSenderDomains(c, senders, now)
	}
}

// mergeSlots adds the used slots of a list to another, and returns the largest number of different
// ones within span seconds.
func mergeSlots(to, from []sketch.Slot, span uint32) (most int) {
	for _, x := range from {
		if x.At != 0 {
			n, _ := sketch.AddRecent(to, x.Hash, x.At, span)
			most = max(most, n)
		}
	}
	return most
}

// contacted is when a network was contacted, as far as that is known.
func (p *Profile) contacted(net uint32, n *Counters) int64 {
	unit := p.providers.Unit(net)
	for _, x := range p.hour {
		if x.At != 0 && x.Hash == unit {
			return int64(x.At) * second
		}
	}
	return n.First
}

// attempts is how many attempts the machine made, at all its addresses.
func (p *Profile) attempts(n *Counters) uint32 { return n.Attempts + p.previous.attempts }

// since is when the machine made its first attempt, at whatever address.
func (p *Profile) since(n *Counters) int64 {
	if p.previous.attempts > 0 {
		return p.previous.first
	}
	return n.First
}
