package detect

import "spamsensor/sensor/spoof"

// ConfirmNetwork records that an attempt at a network is the source's own, see package spoof.
func (p *Profile) ConfirmNetwork(net uint32) {
	if !p.guard.Full() {
		p.confirmNetwork(net)
	}
}

// genuine reports whether a guard knows enough of what the source has contacted.
func (p *Profile) genuine(g *spoof.Guard) bool {
	return !g.Undecided(p.nets.Len())
}

func (p *Profile) confirmNetwork(net uint32) {
	p.guardOneSided.Confirm(net)
	p.changed = p.guard.Confirm(net) || p.changed
}

// confirmOneSided records the same of a session of which one side was seen.
func (p *Profile) confirmOneSided(net uint32) {
	if !p.guard.Full() {
		p.changed = p.guardOneSided.Confirm(net) || p.changed
	}
}

// confirmServer records that the SYN of an attempt was sent again.
func (p *Profile) confirmServer(addr, net, isn uint32) {
	counts, maybe := p.guard.Waited(addr, isn)
	p.changed = p.changed || maybe
	if counts {
		p.confirmNetwork(net)
	}
}
