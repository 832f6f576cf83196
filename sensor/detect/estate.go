package detect

import (
	"math"
	"slices"
)

// Estate is what a machine takes with it to another address.
type Estate struct {
	host        Host
	nets, addrs SavedSet
}

// earlier are the attempts of a machine under other addresses.
type earlier struct {
	attempts uint32
	first    int64
}

// Estate: see Inherit. It shares nothing with the Host.
func (h *Host) Estate(f *Facts) *Estate {
	e := &Estate{*h, h.nets.save(), h.addrs.save()}
	w := &e.host
	w.names.distinct.table = slices.Clone(w.names.distinct.table)
	w.envelope.distinct.table = slices.Clone(w.envelope.distinct.table)
	w.nets, w.addrs = set{}, set{}
	if w.earlier.attempts == 0 {
		w.earlier.first = f.First
	}
	w.earlier.attempts += f.Attempts
	return e
}

// Inherit has a Host take over what is known of its machine's addresses before, and adds what it
// did under this one. f are its own facts: what it has done so far is not more than they hold. Its
// verdict is to be judged.
func (h *Host) Inherit(c *Config, e *Estate, f *Facts) {
	own := *h
	*h = e.host
	h.Room, h.off = own.Room, own.off
	for code := range h.reasons {
		if h.off>>code&1 != 0 {
			h.reasons[code] = Reason{}
		}
	}
	h.nets.load(&e.nets, h.Room)
	h.addrs.load(&e.addrs, h.Room)
	h.add(c, &own, f)
	own.Release()
	h.level, h.changed = NoLevel, true
	h.Adopt(c, f)
}

// add adds what another Host, o, knows to what h does, as if it were one that saw all of it, o's
// after its own. What needs the single observations in their order (the tests on rates) is only
// about right. f are o's facts.
func (h *Host) add(c *Config, o *Host, f *Facts) {
	now := f.Last
	if o.lookups != nil {
		h.lookups = o.lookups
	}
	o.addrs.each(func(v uint32) { h.addrs.add(v, h.Room) })
	o.nets.each(func(v uint32) {
		if h.nets.add(v, h.Room) {
			h.spread.contact(c, h, o.contacted(v, f))
		}
	})
	slots := func(to, from []Slot, span uint32) (most int) {
		for _, x := range from {
			if x.At != 0 {
				n, _ := Recently(to, x.hash, x.At, span)
				most = max(most, n)
			}
		}
		return most
	}
	if n := slots(h.hour[:], o.hour[:], 3600); n >= c.MassNetworks {
		h.found(ManyNetworks, now, float64(n), float64(c.MassNetworks), massWeight)
	} else if n >= c.ManyNetworks {
		h.found(ManyNetworks, now, float64(n), float64(c.ManyNetworks), 2.3)
	}
	if n := slots(h.submit[:], o.submit[:], 3600); n >= c.SubmitNetworks {
		h.found(SubmitSpread, now, float64(n), float64(c.SubmitNetworks), 4.6)
	}
	for i := max(0, o.fast.next-maxFast); i < o.fast.next; i++ { // maxFast at most
		h.fast.at[h.fast.next%maxFast] = o.fast.at[i%maxFast]
		h.fast.next++
	}
	h.flood.attempts += o.flood.attempts
	h.flood.servers += o.flood.servers
	h.outcome.add(c, &o.outcome)
	for _, x := range o.ports {
		if p := h.port(x.port); x.port != 0 && p != nil {
			p.attempts += x.attempts
			p.answered += x.answered
			p.opened += x.opened
			p.refused += x.refused
			p.unreachable += x.unreachable
		}
	}
	for _, n := range [][2]*uint32{{&h.external, &o.external}, {&h.repeated, &o.repeated}, {&h.answered, &o.answered}, {&h.opened, &o.opened},
		{&h.heard, &o.heard}, {&h.conflicting, &o.conflicting}, {&h.whole, &o.whole}, {&h.attested, &o.attested}} {
		*n[0] += *n[1]
	}
	h.oneSide = o.oneSide
	h.own.add(&o.own)
	h.hearsay.add(&o.hearsay)
	h.manner.add(&o.manner)
	h.server.add(&o.server)
	slots(h.servers[:], o.servers[:], 86400)
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
func (h *Host) addSaid(c *Config, o *Host, now int64, slots func(to, from []Slot, span uint32) int) {
	_, lower := c.bounds()
	for _, t := range [][2]*refusal{{&h.refusal, &o.refusal}, {&h.unlisted, &o.unlisted}} {
		to, from := t[0], t[1]
		to.llr = math.Max(lower, to.llr+from.llr)
		to.sessions += from.sessions
		to.refused += from.refused
		to.taken += from.taken
		to.all += from.all
	}
	u := &h.unknown
	u.recipients += o.unknown.recipients
	u.unknown += o.unknown.unknown
	u.llr = math.Max(lower, u.llr+o.unknown.llr)
	u.proved = u.proved || o.unknown.proved
	if o.unknown.unknown > 0 {
		h.judgeUnknown(c, now)
	}
	if n := slots(h.denied[:], o.denied[:], 86400); n >= 2 {
		h.found(Strangers, now, float64(n), 2, 4.6)
	}
	h.lists.add(&o.lists)
	w := &h.names
	w.given += o.names.given
	o.names.distinct.each(func(v uint32) { w.distinct.add(v, nil) })
	if n := slots(w.day[:], o.names.day[:], 86400); n >= c.HeloNames {
		h.found(HeloNames, now, float64(n), float64(c.HeloNames), 3.9)
	}
	for _, name := range o.names.name[:o.names.n] {
		w.remember(name)
	}
	if heloWeights[ClassifyHelo(o.names.worst)] > heloWeights[ClassifyHelo(w.worst)] || w.worst == "" {
		w.worst = o.names.worst
	}
	for i, n := range o.dialect {
		h.dialect[i] = uint16(min(math.MaxUint16, uint32(h.dialect[i])+uint32(n)))
	}
	h.judgeDialect(now)
	v := &h.envelope
	v.mails += o.envelope.mails
	o.envelope.distinct.each(func(x uint32) { v.distinct.add(x, nil) })
	senders := slots(v.senders[:], o.envelope.senders[:], 86400)
	if n := slots(v.recipients[:], o.envelope.recipients[:], 3600); n >= c.RecipientDomains {
		h.found(RecipientDomains, now, float64(n), float64(c.RecipientDomains), 2.3)
	}
	if o.refusal.refused > 0 {
		h.judgeRefusals(c, now)
	}
	if o.envelope.mails > 0 || o.refusal.refused > 0 {
		h.judgeSenders(c, max(senders, within(v.senders[:], Stamp(now), 86400)), now)
	}
}

// contacted is when a network was contacted, as far as that is known.
func (h *Host) contacted(net uint32, f *Facts) int64 {
	for _, x := range h.hour {
		if x.At != 0 && x.hash == net {
			return int64(x.At) * second
		}
	}
	return f.First
}

// add: see Host.add.
func (o *outcome) add(c *Config, from *outcome) {
	_, lower := c.bounds()
	o.llr = math.Max(lower, o.llr+from.llr)
	o.failed += from.failed
	o.worked += from.worked
	free := 0
	for _, w := range from.contacts {
		for w.state != settled && free < len(o.contacts) && o.contacts[free].state != settled {
			free++
		}
		if w.state != settled && free < len(o.contacts) {
			o.contacts[free] = w
			o.open++
		}
	}
}

// add: see Host.add.
func (o *own) add(from *own) {
	for _, net := range from.nets[:from.n] {
		o.turned(net)
	}
	for _, addr := range from.servers[:from.m] {
		if o.m < ownServers && !slices.Contains(o.servers[:o.m], addr) {
			o.servers[o.m] = addr
			o.m++
		}
	}
	o.isn = from.isn
}

// add: see Host.add. At what pace a probe looks is known of the earlier one.
func (m *manner) add(from *manner) {
	for _, n := range [][2]*uint32{{&m.internal, &from.internal}, {&m.attempts, &from.attempts}, {&m.halfOpen, &from.halfOpen}, {&m.mute, &from.mute},
		{&m.sessions, &from.sessions}, {&m.welcomed, &from.welcomed}, {&m.checks, &from.checks}, {&m.mails, &from.mails}, {&m.ttls, &from.ttls}, {&m.swept, &from.swept}} {
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

// add: see Host.add.
func (s *serverLike) add(from *serverLike) {
	if from.sessions > 0 {
		if s.sessions == 0 {
			s.name = from.name
		}
		s.several = s.several || from.several || s.name != from.name
		s.sessions += from.sessions
	}
	for _, d := range from.deferred {
		if d.At != 0 {
			Recently(s.deferred[:], d.hash, d.At, 4*3600)
		}
	}
	s.deferrals += from.deferrals
	s.retried += from.retried
	n := 0
	for _, x := range from.clients {
		if x.At != 0 {
			n, _ = Recently(s.clients[:], x.hash, x.At, 30*86400)
		}
	}
	s.served = max(s.served, from.served, uint32(n))
}

// attempts and since are those of the machine.
func (h *Host) attempts(f *Facts) uint32 { return f.Attempts + h.earlier.attempts }

func (h *Host) since(f *Facts) int64 {
	if h.earlier.attempts > 0 {
		return h.earlier.first
	}
	return f.First
}
