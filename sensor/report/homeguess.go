package report

import (
	"encoding/binary"
	"net/netip"
)

// homeCounts counts how often a network was at either end of a mail connection. If none of the
// configured home networks is in a capture, the most frequent network is likely to be the home
// network: it has the host that sends to many servers, or the server that many hosts send to.
//
// Each session counts, so that keys are numbers: they take a fifth of the time of netip.Prefix.
type homeCounts struct {
	v4 map[uint32]uint64 // by the first 24 bits of the address
	v6 map[uint64]uint64 // by the first 64 bits
}

// maxHomeNetworks bounds the networks that are counted. The network of most connections occurs
// early.
const maxHomeNetworks = 4096

// add counts n connections of an address.
func (h *homeCounts) add(a netip.Addr, n uint64) {
	room := len(h.v4)+len(h.v6) < maxHomeNetworks
	switch {
	case a.Is4():
		b := a.As4()
		h.v4 = addTo(h.v4, binary.BigEndian.Uint32(b[:])>>8, n, room)
	case a.Is6():
		b := a.As16()
		h.v6 = addTo(h.v6, binary.BigEndian.Uint64(b[:]), n, room)
	}
}

// addTo adds to a count. Without room a new count is not begun.
func addTo[K comparable](m map[K]uint64, k K, n uint64, room bool) map[K]uint64 {
	if m == nil {
		m = map[K]uint64{}
	}
	if had := m[k]; had > 0 || room {
		m[k] = had + n
	}
	return m
}

// guess is the most frequent network, if it was in at least half of all connections; else it is not
// valid.
func (h *homeCounts) guess(all uint64) (best netip.Prefix) {
	var most uint64
	look := func(p netip.Prefix, n uint64) {
		if n > most || n == most && p.Addr().Less(best.Addr()) {
			best, most = p, n
		}
	}
	for k, n := range h.v4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], k<<8)
		look(netip.PrefixFrom(netip.AddrFrom4(b), 24), n)
	}
	for k, n := range h.v6 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], k)
		look(netip.PrefixFrom(netip.AddrFrom16(b), 64), n)
	}
	if most*2 < all {
		return netip.Prefix{}
	}
	return best
}
