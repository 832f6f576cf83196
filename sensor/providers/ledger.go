package providers

import (
	"slices"

	"spamsensor/sensor/sketch"
)

// Origin is where a name comes from, the weakest first.
type Origin uint8

// The origins.
const (
	Unnamed  Origin = iota
	Asked           // the client asked for it in TLS
	Resolved        // an answer of the DNS named the server
	Greeted         // the server greeted with it
	origins
)

// maxNetworks is how many networks a name of each origin joins, within a day.
var maxNetworks = [origins]uint16{Asked: 16, Resolved: 32, Greeted: 96}

// The tables of a Ledger hold so much. A source whose servers have no names has none.
const maxProviders, maxJoined = 16, 96

// Ledger knows which networks of a source's servers belong to which provider. The zero value knows
// none.
type Ledger struct {
	providers []provider
	networks  []network
	latest    uint32 // place in networks of the one that was asked for last
	next      uint32 // how many networks have joined: the place of the next one, modulo maxJoined
	units     uint32
}

// provider is a provider with up to four names. Its unit is its first name.
type provider struct {
	names [4]uint32
	since uint32 // seconds: the networks are those of a day
	last  uint32
	// joined are the networks beside the first one, by the origin of the name that joined them.
	joined [origins]uint16
}

// network is a network whose unit is a provider.
type network struct {
	net, unit uint32
	by        Origin
}

// Change is what a name changes: the unit From is now To. Lost says that To was counted before, and
// Split that To counts for itself while From remains.
type Change struct {
	From, To    uint32
	Lost, Split bool
}

// Units is how many units there were.
func (l *Ledger) Units() int { return int(l.units) }

// Restore sets how many units there were before a restart. Their names are not known any more.
func (l *Ledger) Restore(units int) { l.units = uint32(units) }

// Unit is the unit of a network.
func (l *Ledger) Unit(net uint32) uint32 {
	if n := l.network(net); n != nil {
		return n.unit
	}
	return net
}

// Origin is where the name of a network's provider comes from.
func (l *Ledger) Origin(net uint32) Origin {
	if n := l.network(net); n != nil {
		return n.by
	}
	return Unnamed
}

// IsNamed reports whether the provider of a network is known.
func (l *Ledger) IsNamed(net uint32) bool { return l.network(net) != nil }

// network is what is known of a network, nil if nothing is. The attempt at a network, its answer
// and the handshake ask for it one after the other.
func (l *Ledger) network(net uint32) *network {
	if int(l.latest) < len(l.networks) && l.networks[l.latest].net == net {
		return &l.networks[l.latest]
	}
	for i := range l.networks {
		if n := &l.networks[i]; n.net == net {
			l.latest = uint32(i)
			return n
		}
	}
	return nil
}

// join notes that a network belongs to a provider.
func (l *Ledger) join(net, unit uint32, by Origin) {
	n := l.network(net)
	if n == nil {
		at := int(l.next % maxJoined)
		if at == len(l.networks) {
			l.networks = append(l.networks, network{})
		}
		n = &l.networks[at]
		l.next++
	}
	*n = network{net, unit, by}
}

// provider is the provider with a name, nil if there is none.
func (l *Ledger) provider(name uint32) *provider {
	if name == 0 {
		return nil
	}
	for i := range l.providers {
		if p := &l.providers[i]; p.names[0] != 0 && slices.Contains(p.names[:], name) {
			return p
		}
	}
	return nil
}

// add adds a provider, in the place of the one that was used the longest ago.
func (l *Ledger) add(name uint32, now int64) *provider {
	at := -1
	for i := range l.providers {
		if at < 0 || l.providers[i].last < l.providers[at].last {
			at = i
		}
	}
	// One that was united with another has never been used.
	if len(l.providers) < maxProviders && (at < 0 || l.providers[at].last > 0) {
		at = len(l.providers)
		l.providers = append(l.providers, provider{})
	}
	p := &l.providers[at]
	*p = provider{names: [4]uint32{name}, since: sketch.Stamp(now), last: sketch.Stamp(now)}
	return p
}

// admit reports whether a name of this origin may join one more network.
func (p *provider) admit(by Origin, now int64) bool {
	at := sketch.Stamp(now)
	p.last = at
	if at >= p.since+day {
		p.since, p.joined = at, [origins]uint16{}
	}
	if p.joined[by] >= maxNetworks[by] {
		return false
	}
	p.joined[by]++
	return true
}

// Contacted records an attempt at a network; name is what the DNS called the server, zero for
// nothing, and fresh says that the source never contacted the network before. It returns the unit,
// and whether the unit is new.
func (l *Ledger) Contacted(net, name uint32, fresh bool, now int64) (unit uint32, isNew bool) {
	p := l.provider(name)
	switch {
	case !fresh && p == nil, name == 0:
		if fresh {
			l.units++
		}
		return l.Unit(net), fresh
	case !fresh: // counted before there was a name, or forgotten
		if p.joined[Resolved] < maxNetworks[Resolved] && !l.IsNamed(net) {
			l.join(net, p.names[0], Resolved)
		}
		return l.Unit(net), false
	case p == nil:
		p, isNew = l.add(name, now), true
	case !p.admit(Resolved, now):
		l.units++
		return net, true
	}
	if isNew {
		l.units++
	}
	l.join(net, p.names[0], Resolved)
	return p.names[0], isNew
}

// Named records the name of a server in a network that was contacted before. It reports whether the
// units change.
func (l *Ledger) Named(net, name uint32, by Origin, now int64) (c Change, changed bool) {
	if name == 0 {
		return c, false
	}
	at, p := l.network(net), l.provider(name)
	switch {
	case at == nil && p == nil:
		l.join(net, l.add(name, now).names[0], by)
		return Change{From: net, To: name}, true
	case at == nil:
		if !p.admit(by, now) {
			return c, false
		}
		l.join(net, p.names[0], by)
		l.units -= min(l.units, 1)
		return Change{From: net, To: p.names[0], Lost: true}, true
	case by != Greeted || at.by == Greeted && (p == nil || p.names[0] == at.unit):
		return c, false // what the server says is known, or counts more
	}
	return l.greeted(at, p, name, now)
}

// greeted is Named for a greeting in a network of which another name was known.
func (l *Ledger) greeted(at *network, p *provider, name uint32, now int64) (c Change,
	changed bool) {
	from := l.provider(at.unit)
	switch {
	case p != nil && p == from: // the greeting confirms the name
		if from.joined[at.by] > 0 && from.admit(Greeted, now) {
			from.joined[at.by]--
		}
		at.by = Greeted
		return c, false
	case p == nil:
		if from != nil {
			if free := slices.Index(from.names[:], 0); free > 0 {
				from.names[free] = name
				at.by = Greeted
				return c, false
			}
		}
		// Greetings show that the name joins several providers.
		l.add(name, now)
		l.units++
		c = Change{From: at.unit, To: name, Split: true}
		at.unit, at.by = name, Greeted
		return c, true
	case from == nil || !p.admit(Greeted, now): // forgotten, or too many
		return c, false
	}
	return l.unite(from, p)
}

// unite makes two providers one, because a server of the first greets with a name of the second.
func (l *Ledger) unite(from, to *provider) (c Change, changed bool) {
	c = Change{From: from.names[0], To: to.names[0], Lost: true}
	for i := range l.networks {
		if n := &l.networks[i]; n.unit == c.From {
			n.unit = c.To
		}
	}
	for _, name := range from.names {
		if free := slices.Index(to.names[:], 0); free > 0 && name != 0 {
			to.names[free] = name
		}
	}
	for i, n := range from.joined {
		to.joined[i] += n
	}
	*from = provider{}
	l.units -= min(l.units, 1)
	return c, true
}

// Clone is a copy that shares no memory.
func (l *Ledger) Clone() Ledger {
	c := *l
	c.providers, c.networks = slices.Clone(l.providers), slices.Clone(l.networks)
	return c
}

// Adopt takes over the unit of a network that another ledger knows, and reports whether the unit is
// new. It is for a network that is new here.
func (l *Ledger) Adopt(o *Ledger, net uint32, now int64) (unit uint32, isNew bool) {
	n := o.network(net)
	if n == nil {
		return l.Contacted(net, 0, true, now)
	}
	p := o.provider(n.unit)
	if p == nil {
		return l.Contacted(net, 0, true, now)
	}
	for _, name := range p.names {
		if name != 0 && l.provider(name) != nil {
			return l.Contacted(net, name, true, now)
		}
	}
	return l.Contacted(net, n.unit, true, now)
}
