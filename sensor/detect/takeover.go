package detect

import (
	"math"
	"slices"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Snapshot is what a machine takes with it to another address.
type Snapshot struct {
	host        Profile
	nets, addrs sketch.Saved
}

// previous are the attempts of a machine under other addresses.
type previous struct {
	attempts uint32
	first    int64
}

// Estate: see Inherit. It shares nothing with the Profile.
func (h *Profile) Snapshot(f *Counters) *Snapshot {
	e := &Snapshot{*h, h.nets.Save(), h.addrs.Save()}
	w := &e.host
	w.heloNames.distinct = w.heloNames.distinct.Clone()
	w.envelope.distinct = w.envelope.distinct.Clone()
	w.nets, w.addrs = sketch.Set{}, sketch.Set{}
	if w.previous.attempts == 0 {
		w.previous.first = f.First
	}
	w.previous.attempts += f.Attempts
	return e
}

// TakeOver has a Profile take over what is known of its machine's addresses before, and adds what it
// did under this one. f are its own facts: what it has done so far is not more than they hold. Its
// verdict is to be judged.
func (h *Profile) TakeOver(c *Config, e *Snapshot, f *Counters) {
	own := *h
	*h = e.host
	h.Budget, h.ignored = own.Budget, own.ignored
	for code := range h.reasons {
		if h.ignored>>code&1 != 0 {
			h.reasons[code] = verdict.Reason{}
		}
	}
	h.nets.Load(&e.nets, h.Budget)
	h.addrs.Load(&e.addrs, h.Budget)
	h.add(c, &own, f)
	own.Release()
	h.level, h.changed = verdict.NoLevel, true
	h.Adopt(c, f)
}

// add adds what another Profile, o, knows to what h does, as if it were one that saw all of it, o's
// after its own. What needs the single observations in their order (the tests on rates) is only
// about right. f are o's facts.
func (h *Profile) add(c *Config, o *Profile, f *Counters) {
	now := f.Last
	if o.lookups != nil {
		h.lookups = o.lookups
	}
	o.addrs.Each(func(v uint32) { h.addrs.Add(v, h.Budget) })
	o.nets.Each(func(v uint32) {
		if h.nets.Add(v, h.Budget) {
			h.newNetworks.contact(c, h, o.contacted(v, f))
		}
	})
	slots := func(to, from []sketch.Slot, span uint32) (most int) {
		for _, x := range from {
			if x.At != 0 {
				n, _ := sketch.AddRecent(to, x.Hash, x.At, span)
				most = max(most, n)
			}
		}
		return most
	}
	if n := slots(h.hour[:], o.hour[:], 3600); n >= c.MassNetworks {
		h.raise(ManyNetworks, now, float64(n), float64(c.MassNetworks), massWeight)
	} else if n >= c.ManyNetworks {
		h.raise(ManyNetworks, now, float64(n), float64(c.ManyNetworks), 2.3)
	}
	if n := slots(h.submit[:], o.submit[:], 3600); n >= c.SubmitNetworks {
		h.raise(SubmitSpread, now, float64(n), float64(c.SubmitNetworks), 4.6)
	}
	for i := max(0, o.burst.next-maxBurst); i < o.burst.next; i++ { // maxFast at most
		h.burst.at[h.burst.next%maxBurst] = o.burst.at[i%maxBurst]
		h.burst.next++
	}
	h.flood.attempts += o.flood.attempts
	h.flood.servers += o.flood.servers
	h.contacts.add(c, &o.contacts)
	for _, x := range o.ports {
		if p := h.port(x.port); x.port != 0 && p != nil {
			p.attempts += x.attempts
			p.answered += x.answered
			p.opened += x.opened
			p.refused += x.refused
			p.unreachable += x.unreachable
		}
	}
	for _, n := range [][2]*uint32{{&h.external, &o.external}, {&h.retransmitted, &o.retransmitted}, {&h.answered, &o.answered}, {&h.sessions, &o.sessions},
		{&h.spoken, &o.spoken}, {&h.conflicting, &o.conflicting}, {&h.twoSided, &o.twoSided}, {&h.attested, &o.attested}} {
		*n[0] += *n[1]
	}
	h.oneSided = o.oneSided
	h.guard.add(&o.guard)
	h.guardOneSided.add(&o.guardOneSided)
	h.behaviour.add(&o.behaviour)
	h.mta.add(&o.mta)
	slots(h.tlsServers[:], o.tlsServers[:], 86400)
	for code := range o.reasons {
		if x, r := &o.reasons[code], &h.reasons[code]; x.First != 0 {
			if r.First == 0 || x.First < r.First {
				r.First = x.First
			}
			r.Last, r.Value = max(r.Last, x.Last), max(r.Value, x.Value)
			if math.Abs(x.Weight) > math.Abs(r.Weight) {
				r.Weight, r.Threshold = x.Weight, x.Threshold
			}
		}
	}
	h.addSaid(c, o, now, slots)
}

// addSaid is the part of add that is about what was said and answered.
func (h *Profile) addSaid(c *Config, o *Profile, now int64, slots func(to, from []sketch.Slot, span uint32) int) {
	_, lower := c.bounds()
	for _, t := range [][2]*refusalTest{{&h.refusalTest, &o.refusalTest}, {&h.refusalTestUnlisted, &o.refusalTestUnlisted}} {
		to, from := t[0], t[1]
		to.llr = math.Max(lower, to.llr+from.llr)
		to.sessions += from.sessions
		to.refused += from.refused
		to.accepted += from.accepted
		to.total += from.total
	}
	u := &h.unknownUsers
	u.recipients += o.unknownUsers.recipients
	u.unknown += o.unknownUsers.unknown
	u.llr = math.Max(lower, u.llr+o.unknownUsers.llr)
	u.proved = u.proved || o.unknownUsers.proved
	if o.unknownUsers.unknown > 0 {
		h.judgeUnknown(c, now)
	}
	if n := slots(h.relayDenied[:], o.relayDenied[:], 86400); n >= 2 {
		h.raise(RelayDenials, now, float64(n), 2, 4.6)
	}
	h.blocklists.add(&o.blocklists)
	w := &h.heloNames
	w.given += o.heloNames.given
	o.heloNames.distinct.Each(func(v uint32) { w.distinct.Add(v, nil) })
	if n := slots(w.day[:], o.heloNames.day[:], 86400); n >= c.HeloNames {
		h.raise(HeloNames, now, float64(n), float64(c.HeloNames), 3.9)
	}
	for _, name := range o.heloNames.name[:o.heloNames.n] {
		w.remember(name)
	}
	if heloWeights[ClassifyHelo(o.heloNames.worst)] > heloWeights[ClassifyHelo(w.worst)] || w.worst == "" {
		w.worst = o.heloNames.worst
	}
	for i, n := range o.dialect {
		h.dialect[i] = uint16(min(math.MaxUint16, uint32(h.dialect[i])+uint32(n)))
	}
	h.judgeDialect(now)
	v := &h.envelope
	v.mails += o.envelope.mails
	o.envelope.distinct.Each(func(x uint32) { v.distinct.Add(x, nil) })
	senders := slots(v.senders[:], o.envelope.senders[:], 86400)
	if n := slots(v.recipients[:], o.envelope.recipients[:], 3600); n >= c.RecipientDomains {
		h.raise(RecipientDomains, now, float64(n), float64(c.RecipientDomains), 2.3)
	}
	if o.refusalTest.refused > 0 {
		h.judgeRefusals(c, now)
	}
	if o.envelope.mails > 0 || o.refusalTest.refused > 0 {
		h.judgeSenders(c, max(senders, sketch.CountRecent(v.senders[:], sketch.Stamp(now), 86400)), now)
	}
}

// contacted is when a network was contacted, as far as that is known.
func (h *Profile) contacted(net uint32, f *Counters) int64 {
	for _, x := range h.hour {
		if x.At != 0 && x.Hash == net {
			return int64(x.At) * second
		}
	}
	return f.First
}

// add: see Profile.add.
func (o *contacts) add(c *Config, from *contacts) {
	_, lower := c.bounds()
	o.llr = math.Max(lower, o.llr+from.llr)
	o.failed += from.failed
	o.worked += from.worked
	free := 0
	for _, w := range from.pending {
		for w.state != resolved && free < len(o.pending) && o.pending[free].state != resolved {
			free++
		}
		if w.state != resolved && free < len(o.pending) {
			o.pending[free] = w
			o.unresolved++
		}
	}
}

// add: see Profile.add.
func (o *spoofGuard) add(from *spoofGuard) {
	for _, net := range from.nets[:from.n] {
		o.confirm(net)
	}
	for _, addr := range from.servers[:from.m] {
		if o.m < guardServers && !slices.Contains(o.servers[:o.m], addr) {
			o.servers[o.m] = addr
			o.m++
		}
	}
	o.isn = from.isn
}

// add: see Profile.add. At what pace a probe looks is known of the earlier one.
func (m *behaviour) add(from *behaviour) {
	for _, n := range [][2]*uint32{{&m.internal, &from.internal}, {&m.attempts, &from.attempts}, {&m.halfOpen, &from.halfOpen}, {&m.silentSessions, &from.silentSessions},
		{&m.sessions, &from.sessions}, {&m.acceptedSessions, &from.acceptedSessions}, {&m.callouts, &from.callouts}, {&m.mailSessions, &from.mailSessions}, {&m.ttls, &from.ttls}, {&m.sweeps, &from.sweeps}} {
		*n[0] += *n[1]
	}
	for _, x := range from.ttl {
		for i := range m.ttl {
			if t := &m.ttl[i]; x.n > 0 && (t.ttl == x.ttl || t.n == 0) {
				t.ttl = x.ttl
				t.n += x.n
				break
			}
		}
	}
}

// add: see Profile.add.
func (s *mtaLike) add(from *mtaLike) {
	if from.sessions > 0 {
		if s.sessions == 0 {
			s.name = from.name
		}
		s.severalNames = s.severalNames || from.severalNames || s.name != from.name
		s.sessions += from.sessions
	}
	for _, d := range from.deferred {
		if d.At != 0 {
			sketch.AddRecent(s.deferred[:], d.Hash, d.At, 4*3600)
		}
	}
	s.deferrals += from.deferrals
	s.retried += from.retried
	n := 0
	for _, x := range from.clients {
		if x.At != 0 {
			n, _ = sketch.AddRecent(s.clients[:], x.Hash, x.At, 30*86400)
		}
	}
	s.served = max(s.served, from.served, uint32(n))
}

// attempts and since are those of the machine.
func (h *Profile) attempts(f *Counters) uint32 { return f.Attempts + h.previous.attempts }

func (h *Profile) since(f *Counters) int64 {
	if h.previous.attempts > 0 {
		return h.previous.first
	}
	return f.First
}
