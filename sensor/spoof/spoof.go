// Package spoof separates a source's own attempts from SYNs that another machine sends with its
// address.
//
// An attempt is genuine if the handshake was completed, if the SYN was sent again at the pace of a
// TCP that waits for an answer, if the DNS had just named that address to the source, or if it was
// refused and the refusal went back to the link-layer address from which the SYN came. Networks
// are counted, and not attempts: a mail client has one to three providers whatever others send with
// its address, and sessions with these prove nothing about other attempts. Servers are counted
// where SYNs were sent again: a bot that uses one provider waits for more servers of it than a
// client has.
//
// A TCP chooses another initial sequence number for each connection (RFC 6528). SYNs of several
// connections that are sent again with one number come from a program that writes its own.
//
// What a forger can imitate: each field of the packets that it sends, and with them the order of
// ports, the clock of timestamps and the options of any system. So none of these counts. What it
// cannot: it gets no answer, unless it takes the place of the machine on the link. A RST or an ICMP
// error goes to the link-layer address that the router has learnt for the source. If that is not
// the one from which the SYN came, another machine sent the SYN. A forger that also sends with the
// link-layer address of its victim draws the victim's frames to its own port of the switch, and the
// victim loses its network.
//
// The package gives no verdict: package detect does. Addresses and networks are keyed hashes.
package spoof

import "slices"

// minNetworks is how many networks a source must have chosen itself: one more than a mail client
// has providers.
const minNetworks = 4

// minServers is for how many servers a source must have waited: one more than a probe has.
const minServers = 6

// Guard counts the genuine attempts of a source, as far as that is needed. The zero value has none.
type Guard struct {
	nets [minNetworks]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was sent again

	servers [minServers]uint32 // to which a SYN was sent again
	m       uint8
}

// Undecided reports whether networks and servers are too few.
func (g *Guard) Undecided() bool { return g.n < minNetworks && g.m < minServers }

// Confirm counts a network, and reports whether it was the last that was needed.
func (g *Guard) Confirm(net uint32) (enough bool) {
	if g.n >= minNetworks || slices.Contains(g.nets[:g.n], net) {
		return false
	}
	g.nets[g.n] = net
	g.n++
	return g.n == minNetworks
}

// Waited counts the server of an attempt whose SYN was sent again, with the SYN's sequence number.
// counts reports whether its network is to be confirmed, enough whether it was the last server that
// was needed.
func (g *Guard) Waited(addr, isn uint32) (counts, enough bool) {
	// An attempt with the sequence number of the one before may come from a program that forges
	// SYNs.
	if !g.Undecided() || g.n > 0 && g.isn == isn {
		return false, false
	}
	if !slices.Contains(g.servers[:g.m], addr) {
		g.servers[g.m] = addr
		g.m++
		enough = g.m == minServers
	}
	g.isn = isn
	return true, enough
}

// Networks are the networks that were counted. The slice belongs to the guard.
func (g *Guard) Networks() []uint32 { return g.nets[:g.n] }

// Servers are the servers that were counted. The slice belongs to the guard.
func (g *Guard) Servers() []uint32 { return g.servers[:g.m] }

// Restore takes over what a checkpoint kept of a guard.
func (g *Guard) Restore(networks, servers []uint32) {
	g.n = uint8(copy(g.nets[:], networks))
	g.m = uint8(copy(g.servers[:], servers))
}

// Merge adds the networks and servers of o, which came later.
func (g *Guard) Merge(o *Guard) {
	for _, net := range o.Networks() {
		g.Confirm(net)
	}
	for _, addr := range o.Servers() {
		if g.m < minServers && !slices.Contains(g.Servers(), addr) {
			g.servers[g.m] = addr
			g.m++
		}
	}
	g.isn = o.isn
}
