package detect

import "slices"

// own tells what a machine did from SYNs that somebody else sends in its name. An attempt is its own if the handshake was
// completed, if the SYN was sent again at the pace of a TCP that waits for an answer, or if the machine had just been told that
// address by the DNS. Networks are counted, and not attempts: a mail client has one to three providers whatever others do in its
// name, and sessions with these prove nothing about the rest.
//
// TCPs choose another initial sequence number for each connection (RFC 6528). SYNs that are repeated in several connections
// with the same one come from a program that writes its own.
type own struct {
	nets [ownNetworks]uint32
	n    uint8
	isn  uint32 // of the latest attempt that counted because its SYN was repeated
}

// ownNetworks is how many networks a machine must have turned to itself: one more than a mail client has providers.
const ownNetworks = 4

// Unproved reports whether Own has anything to do.
func (h *Host) Unproved() bool { return h.own.n < ownNetworks }

// Own is the observation that an attempt at a network is the machine's own.
func (h *Host) Own(net uint32) {
	o := &h.own
	if o.n >= ownNetworks || slices.Contains(o.nets[:o.n], net) {
		return
	}
	o.nets[o.n] = net
	o.n++
	h.changed = h.changed || o.n == ownNetworks
}

// insisted is the observation of a SYN that was sent again.
func (h *Host) insisted(net, isn uint32) {
	if o := &h.own; o.n > 0 && o.isn == isn && !slices.Contains(o.nets[:o.n], net) {
		return
	}
	h.own.isn = isn
	h.Own(net)
}

// real reports whether what speaks against the source is a machine's with a TCP of its own, and not a row of SYNs that
// somebody sends in its name: it was read in a session, or enough networks were the machine's own choice. Without that no
// verdict goes beyond suspect, however many SYNs there are.
func (h *Host) real() bool {
	if h.own.n >= ownNetworks {
		return true
	}
	for code := range h.reasons {
		if r := &h.reasons[code]; r.First != 0 && r.Weight > 0 && readable[Code(code).Family()] {
			return h.opened > 0
		}
	}
	return false
}
