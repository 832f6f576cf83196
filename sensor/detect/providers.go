package detect

import (
	"spamsensor/sensor/providers"
	"spamsensor/sensor/sketch"
)

// The detectors of the family Volume count providers where names are known, and networks elsewhere;
// see package providers. A name can come after the SYN: then a network that was counted may turn
// out to be one of a provider that is known, and what was found with it is looked at again.

// recordUnit finds the unit of an attempt.
func (p *Profile) recordUnit(o *Observation) {
	name := uint32(0)
	// A name is looked for once for each network.
	if p.lookups != nil && (o.newNet || !p.providers.IsNamed(o.Net)) {
		name = p.lookups.Provider(o.Addr, o.Time)
	}
	o.unit, o.newUnit = p.providers.Contacted(o.Net, name, o.newNet, o.Time)
	o.excused = o.Port != 25 && p.accounts.Excuses(o.unit, o.Time)
}

// serverNamed is for a name of a server in a network that was contacted before.
func (p *Profile) serverNamed(c *Config, net, name uint32, by providers.Origin, now int64) {
	change, changed := p.providers.Named(net, name, by, now)
	if !changed {
		return
	}
	p.newNetworks.Change(change, now, c.NewNetworksThreshold)
	if !change.Split {
		p.accounts.Rename(change)
		sketch.Replace(p.hour[:], change.From, change.To)
		sketch.Replace(p.submit[:], change.From, change.To)
	}
	p.reviewVolume(c)
}

// accountWorks is for a provider that lets the source submit mail. Accounts do not count as long
// as a person may have as many; see providers.Accounts.
func (p *Profile) accountWorks(c *Config, o *Observation) {
	unit, many := p.providers.Unit(o.Net), p.accounts.Many()
	if !p.accounts.Add(unit, o.Time) {
		p.newNetworks.Excuse(unit, c.NewNetworksThreshold)
		sketch.Remove(p.hour[:], unit)
		sketch.Remove(p.submit[:], unit)
		p.reviewVolume(c)
		return
	}
	if many {
		return
	}
	// From now on they count, and so do those so far.
	p.newNetworks.CountAccounts(c.NewNetworksThreshold)
	if p.newNetworks.Fired() {
		p.raise(NewNetworks, o.Time, float64(p.providers.Units()), 4, 6.9)
	}
	p.judgeManyNetworks(c, mergeSlots(p.hour[:], p.accounts.Slots(), 3600), o.Time)
	p.judgeSubmitSpread(c, mergeSlots(p.submit[:], p.accounts.Slots(), 3600), o.Time)
}

// reviewVolume takes back what was found with networks that do not count any more.
func (p *Profile) reviewVolume(c *Config) {
	if !p.newNetworks.Fired() {
		p.takeBack(NewNetworks)
	}
	within := func(code Code, list []sketch.Slot) int {
		return sketch.CountRecent(list, sketch.Stamp(p.reasons[code].Last), 3600)
	}
	if within(ManyNetworks, p.hour[:]) < c.ManyNetworks {
		p.takeBack(ManyNetworks)
	}
	if within(SubmitSpread, p.submit[:]) < c.SubmitNetworks {
		p.takeBack(SubmitSpread)
	}
}

// takeBack lowers a reason, unless it is from before a restart: what it rested on was not kept.
func (p *Profile) takeBack(code Code) {
	if _, old := p.restored[code]; p.has(code) && !old {
		p.lower(code)
		p.changed = true
	}
}

// nameFirst names a network that was contacted before there was a profile, when a server answers.
func (p *Profile) nameFirst(c *Config, o *Observation) {
	if p.lookups == nil || p.addrs.Len() > 3 || p.providers.IsNamed(o.Net) {
		return
	}
	p.serverNamed(c, o.Net, p.lookups.Provider(o.Addr, o.Time), providers.Resolved, o.Time)
}

// KnowsServer reports whether the provider of a network is known from this origin or a better one.
func (p *Profile) KnowsServer(net uint32, by providers.Origin) bool {
	return p.providers.Origin(net) >= by
}
