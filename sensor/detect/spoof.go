package detect

import "slices"

// spoofGuard separates a source's own attempts from SYNs that another machine sends with its
// address. An attempt is genuine if the handshake was completed, if the SYN was sent again at the
// pace of a TCP that waits for an answer, or if the DNS had just named that address to the source.
// Networks are counted, and not attempts: a mail client has one to three providers whatever others
// send with its address, and sessions with these prove nothing about other attempts. Servers are
// counted where SYNs were sent again: a bot that uses one provider waits for more servers of it
// than a client has.
//
// A TCP chooses another initial sequence number for each connection (RFC 6528). SYNs of several
// connections that are sent again with one number come from a program that writes its own.
type spoofGuard struct {
	nets [guardNetworks]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was sent again

	servers [guardServers]uint32 // to which a SYN was sent again
	m       uint8
}

// guardNetworks is how many networks a source must have chosen itself: one more than a mail client
// has providers.
const guardNetworks = 4

// guardServers is for how many servers a source must have waited: one more than a probe has.
const guardServers = probeTargets + 1

// undecided reports whether networks and servers are too few.
func (g *spoofGuard) undecided() bool { return g.n < guardNetworks && g.m < guardServers }

// confirm counts a network, and reports whether it was the last that was needed.
func (g *spoofGuard) confirm(net uint32) (enough bool) {
	if g.n >= guardNetworks || slices.Contains(g.nets[:g.n], net) {
		return false
	}
	g.nets[g.n] = net
	g.n++
	return g.n == guardNetworks
}

// ConfirmNetwork records that an attempt at a network is the source's own.
func (p *Profile) ConfirmNetwork(net uint32) {
	if p.guard.undecided() {
		p.confirmNetwork(net)
	}
}

func (p *Profile) confirmNetwork(net uint32) {
	p.guardOneSided.confirm(net)
	p.changed = p.guard.confirm(net) || p.changed
}

// confirmOneSided records the same of a session of which one side was seen.
func (p *Profile) confirmOneSided(net uint32) {
	if p.guard.undecided() {
		p.changed = p.guardOneSided.confirm(net) || p.changed
	}
}

// confirmServer records that the SYN of an attempt was sent again.
func (p *Profile) confirmServer(addr, net, isn uint32) {
	// An attempt with the sequence number of the one before may come from a program that forges
	// SYNs.
	g := &p.guard
	if !g.undecided() || g.n > 0 && g.isn == isn {
		return
	}
	if !slices.Contains(g.servers[:g.m], addr) {
		g.servers[g.m] = addr
		g.m++
		p.changed = p.changed || g.m == guardServers
	}
	g.isn = isn
	p.confirmNetwork(net)
}

// merge adds the networks and servers of o, which came later.
func (g *spoofGuard) merge(o *spoofGuard) {
	for _, net := range o.nets[:o.n] {
		g.confirm(net)
	}
	for _, addr := range o.servers[:o.m] {
		if g.m < guardServers && !slices.Contains(g.servers[:g.m], addr) {
			g.servers[g.m] = addr
			g.m++
		}
	}
	g.isn = o.isn
}
