package detect

import "slices"

// own tells what a machine did from SYNs that somebody else sends in its name. An attempt is its own if the handshake was
// completed, if the SYN was sent again at the pace of a TCP that waits for an answer, or if the machine had just been told that
// address by the DNS. Networks are counted, and not attempts: a mail client has one to three providers whatever others do in its
// name, and sessions with these prove nothing about the rest. Servers are counted where SYNs were sent again: who hammers one provider
// waits in vain for more of its servers than a client has.
//
// TCPs choose another initial sequence number for each connection (RFC 6528). SYNs that are repeated in several connections
// with the same one come from a program that writes its own.
type own struct {
	nets [ownNetworks]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was repeated

	servers [ownServers]uint32 // to which it was repeated
	m       uint8
}

// ownNetworks is how many networks a machine must have turned to itself: one more than a mail client has providers.
const ownNetworks = 4

// ownServers is how many servers a machine must have waited for in vain: one more than what has the same few again and again.
const ownServers = probed + 1

// Unproved reports whether Own has anything to do.
func (h *Host) Unproved() bool { return !h.own.proved() }

// proved reports whether there were networks, or servers, enough.
func (o *own) proved() bool { return o.n >= ownNetworks || o.m >= ownServers }

// Own is the observation that an attempt at a network is the machine's own.
func (h *Host) Own(net uint32) {
	h.hearsay.turned(net)
	h.changed = h.own.turned(net) || h.changed
}

// turned notes a network, and reports whether it was the last that was wanted.
func (o *own) turned(net uint32) (enough bool) {
	if o.n >= ownNetworks || slices.Contains(o.nets[:o.n], net) {
		return false
	}
	o.nets[o.n] = net
	o.n++
	return o.n == ownNetworks
}

// insisted is the observation of a SYN that was sent again.
func (h *Host) insisted(addr, net, isn uint32) {
	o := &h.own
	if !h.Unproved() || o.n > 0 && o.isn == isn {
		return
	}
	if !slices.Contains(o.servers[:o.m], addr) {
		o.servers[o.m] = addr
		o.m++
		h.changed = h.changed || o.m == ownServers
	}
	o.isn = isn
	h.Own(net)
}

// real reports whether what speaks against the source is a machine's with a TCP of its own, and not a row of SYNs that
// somebody sends in its name: it was read in a session, or enough networks were the machine's own choice. Without that no
// verdict goes beyond suspect, however many SYNs there are.
func (h *Host) real() bool {
	if h.own.proved() || h.oneSide && h.hearsay.proved() {
		return true
	}
	for code := range h.reasons {
		if r := &h.reasons[code]; r.First != 0 && r.Weight > 0 && readable[Code(code).Family()] {
			return h.whole > 0 || h.oneSide && h.opened > 0
		}
	}
	return false
}
