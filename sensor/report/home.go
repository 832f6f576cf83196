package report

import "net/netip"

// homes counts how often a network was at either end of a mail connection. Where no network of ours is
// in a capture, the one that was there most often is likely to be it: that of the host that sends to many, or of the server
// that many send to.
type homes map[netip.Prefix]uint64

// maxHomes bounds it. A network that is in most connections is met early.
const maxHomes = 4096

func (h homes) add(a netip.Addr, n uint64) {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return
	}
	if _, known := h[p]; known || len(h) < maxHomes {
		h[p] += n
	}
}

// guess is the network that was met most often, if it was in half of so many connections; else it is not valid.
func (h homes) guess(all uint64) (best netip.Prefix) {
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
