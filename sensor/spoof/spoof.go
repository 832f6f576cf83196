// Package spoof separates a source's own attempts from SYNs that another machine sends with its
// address.
//
// An attempt is genuine if the handshake was completed, if the SYN was sent again at the pace of a
// TCP that waits for an answer, or if the DNS had just named that address to the source. Networks
// are counted, and not attempts: a mail client has one to three providers whatever others send with
// its address. Servers are counted where SYNs were sent again: a bot that uses one provider waits
// for more servers of it than a client has.
//
// Genuine networks say nothing about attempts at others. So they must be enough for all that were
// contacted: one in 32, four at least; sixteen are always enough, because a machine that has chosen
// sixteen networks itself is no ordinary client.
//
// A TCP chooses another initial sequence number for each connection (RFC 6528). SYNs of several
// connections that are sent again with one number come from a program that writes its own.
//
// What a forger can imitate: each field of the packets that it sends, also the link-layer address,
// and with them the order of ports, the clock of timestamps and the options of any system. So none
// of these counts, nor does a RST or an ICMP error, which answers a forged SYN as well and goes to
// the real owner of the address in any case. What it cannot: it gets no answer, so that it holds no
// dialogue. A machine behind a firewall that rejects at once sends each SYN once; it is known by
// its lookups alone.
//
// The package gives no verdict: package detect does. Addresses and networks are keyed hashes.
package spoof

import "slices"

const (
	// minNetworks is how many networks a source must have chosen itself: one more than a mail
	// client has providers.
	minNetworks = 4
	// minServers is for how many servers a source must have waited: one more than a probe has.
	minServers = 6
	// share is the part of all networks that must be genuine, and most how many are always enough.
	share, most = 32, 16
)

// Guard counts the genuine attempts of a source, as far as that is needed. The zero value has none.
type Guard struct {
	nets [most]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was sent again

	servers [minServers]uint32 // to which a SYN was sent again
	m       uint8
}

// Undecided reports whether genuine networks and servers are too few for a source that has
// contacted so many networks.
func (g *Guard) Undecided(networks int) bool {
	return int(g.n) < min(max(networks/share, minNetworks), most) && g.m < minServers
}

// Full reports whether the guard counts no further, because it is decided for good.
func (g *Guard) Full() bool { return g.n == most || g.m == minServers }

// Confirm counts a network, and reports whether it may have decided.
func (g *Guard) Confirm(net uint32) (maybe bool) {
	if g.n == most || slices.Contains(g.nets[:g.n], net) {
		return false
	}
	g.nets[g.n] = net
	g.n++
	return g.n >= minNetworks
}

// Waited counts the server of an attempt whose SYN was sent again, with the SYN's sequence number.
// counts reports whether its network is to be confirmed, maybe whether it may have decided.
func (g *Guard) Waited(addr, isn uint32) (counts, maybe bool) {
	// An attempt with the sequence number of the one before may come from a program that forges
	// SYNs.
	if g.Full() || g.isn == isn && (g.n > 0 || g.m > 0) {
		return false, false
	}
	if !slices.Contains(g.servers[:g.m], addr) {
		g.servers[g.m] = addr
		g.m++
		maybe = g.m == minServers
	}
	g.isn = isn
	return true, maybe
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
