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
type spoofGuard struct {
	nets [guardNetworks]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was repeated

	servers [guardServers]uint32 // to which it was repeated
	m       uint8
}

// guardNetworks is how many networks a machine must have turned to itself: one more than a mail client has providers.
const guardNetworks = 4

// guardServers is how many servers a machine must have waited for in vain: one more than what has the same few again and again.
const guardServers = probeTargets + 1

// Undecided reports whether Own has anything to do.
func (h *Profile) Undecided() bool { return !h.guard.proved() }

// proved reports whether there were networks, or servers, enough.
func (o *spoofGuard) proved() bool { return o.n >= guardNetworks || o.m >= guardServers }

// ConfirmNetwork is the observation that an attempt at a network is the machine's own.
func (h *Profile) ConfirmNetwork(net uint32) {
	h.guardOneSided.confirm(net)
	h.changed = h.guard.confirm(net) || h.changed
}

// confirm notes a network, and reports whether it was the last that was wanted.
func (o *spoofGuard) confirm(net uint32) (enough bool) {
	if o.n >= guardNetworks || slices.Contains(o.nets[:o.n], net) {
		return false
	}
	o.nets[o.n] = net
	o.n++
	return o.n == guardNetworks
}

// confirmServer is the observation of a SYN that was sent again.
func (h *Profile) confirmServer(addr, net, isn uint32) {
	o := &h.guard
	if !h.Undecided() || o.n > 0 && o.isn == isn {
		return
	}
	if !slices.Contains(o.servers[:o.m], addr) {
		o.servers[o.m] = addr
		o.m++
		h.changed = h.changed || o.m == guardServers
	}
	o.isn = isn
	h.ConfirmNetwork(net)
}

// notSpoofed reports whether what speaks against the source is a machine's with a TCP of its own, and not a row of SYNs that
// somebody sends in its name: it was read in a session, or enough networks were the machine's own choice. Without that no
// verdict goes beyond suspect, however many SYNs there are.
func (h *Profile) notSpoofed() bool {
	if h.guard.proved() || h.oneSided && h.guardOneSided.proved() {
		return true
	}
	for code := range h.reasons {
		if r := &h.reasons[code]; r.First != 0 && r.Weight > 0 && readable[Code(code).Family()] {
			return h.twoSided > 0 || h.oneSided && h.sessions > 0
		}
	}
	return false
}
