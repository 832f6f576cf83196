package report

import "net/netip"

// homeCounts counts how often a network was at either end of a mail connection. If none of the
// configured home networks is in a capture, the most frequent network is likely to be the home
// network: it has the host that sends to many servers, or the server that many hosts send to.
type homeCounts map[netip.Prefix]uint64

// maxHomeNetworks bounds the networks that are counted. The network of most connections occurs
// early.
const maxHomeNetworks = 4096

// add counts n connections of an address.
func (h homeCounts) add(a netip.Addr, n uint64) {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return
	}
	if _, known := h[p]; known || len(h) < maxHomeNetworks {
		h[p] += n
	}
}

// guess is the most frequent network, if it was in at least half of all connections; else it is not
// valid.
func (h homeCounts) guess(all uint64) (best netip.Prefix) {
	for p, n := range h {
		if m := h[best]; n > m || n == m && p.Addr().Less(best.Addr()) {
			best = p
		}
	}
	if h[best]*2 < all {
		return netip.Prefix{}
	}
	return best
}
