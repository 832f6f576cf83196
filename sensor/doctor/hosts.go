package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/wire"
)

// pairKey are two addresses that exchange packets, the lower first.
type pairKey struct{ a, b wire.Addr }

// addPair counts the sender and the receiver of a packet to one station.
func (e *exam) addPair(src, dst wire.Addr, ttl uint8, s *sight) {
	if !usable(src) || !usable(dst) || s.ether && s.multicast() && s.tunnel == "" {
		return
	}
	from, to := e.host(src), e.host(dst)
	if from == nil || to == nil {
		e.counts.Unheld++
		return
	}
	from.sent++
	from.addTTL(ttl)
	from.addStation(s, ttl)
	k := pairKey{src, dst}
	if slices.Compare(src[:], dst[:]) > 0 {
		k = pairKey{dst, src}
	}
	if e.pairs[k] {
		return
	}
	if len(e.pairs) >= maxFlows {
		e.counts.Unheld++
		return
	}
	e.pairs[k] = true
	from.peers++
	to.peers++
}

// usable reports whether an address belongs to one host in the network: no multicast, broadcast or
// loopback address, none that is valid on its link only.
func usable(a wire.Addr) bool {
	x := netip.AddrFrom16(a).Unmap()
	return x.IsValid() && !x.IsMulticast() && !x.IsUnspecified() && !x.IsLoopback() &&
		!x.IsLinkLocalUnicast() && x != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// host returns the entry of an address, nil if the table is full.
func (e *exam) host(a wire.Addr) *host {
	h := e.hosts[a]
	if h == nil && len(e.hosts) < maxHosts {
		x := netip.AddrFrom16(a).Unmap()
		h = &host{home: e.isHome(a), own: slices.Contains(e.linkBefore.Addrs, x)}
		e.hosts[a] = h
	}
	return h
}

// addTTL keeps the first different values.
func (h *host) addTTL(ttl uint8) {
	for i, t := range h.ttls {
		if t == ttl {
			return
		}
		if t == 0 {
			h.ttls[i] = ttl
			return
		}
	}
}

// initialTTL reports whether a packet with this TTL has passed no router: systems begin with one
// of these values (64 Linux, BSD, Apple; 128 Windows; 255 network devices; 32 old ones).
func initialTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 || ttl == 32 }

// routed reports whether packets of the host have passed a router on their way here.
func (h *host) routed() bool {
	return slices.ContainsFunc(h.ttls[:], func(t uint8) bool { return t != 0 && !initialTTL(t) })
}

// addStation notices two stations in two VLANs that have the same address.
func (h *host) addStation(s *sight, ttl uint8) {
	if !s.ether || s.tunnel != "" || !initialTTL(ttl) || len(s.tags) == 0 {
		return
	}
	tag := tagsName(s.tags)
	switch {
	case h.tag == "":
		h.mac, h.tag = s.src, tag
	case h.tag != tag && h.mac != s.src:
		h.twice = true
	}
}

// network is the network by which hosts are listed: /24 or /64.
func network(a wire.Addr) netip.Prefix {
	x := netip.AddrFrom16(a).Unmap()
	bits := 24
	if x.Is6() {
		bits = 64
	}
	p, _ := x.Prefix(bits)
	return p
}

// hostsOf counts the hosts that ok selects, by network.
func (e *exam) hostsOf(ok func(*host) bool) map[netip.Prefix]int {
	hosts := map[netip.Prefix]int{}
	for a, h := range e.hosts {
		if !h.own && ok(h) {
			hosts[network(a)]++
		}
	}
	return hosts
}

// busyNetworks are the networks of the hosts that ok selects, those with the most hosts first.
func (e *exam) busyNetworks(ok func(*host) bool) []netip.Prefix {
	hosts := e.hostsOf(ok)
	return slices.SortedFunc(maps.Keys(hosts), func(a, b netip.Prefix) int {
		return cmp.Or(hosts[b]-hosts[a], a.Addr().Compare(b.Addr()))
	})
}

// networks lists the networks of the hosts that ok selects, with the number of their hosts, at most
// n of them.
func (e *exam) networks(n int, ok func(*host) bool) string {
	hosts, texts := e.hostsOf(ok), []string(nil)
	for i, p := range e.busyNetworks(ok) {
		if i == n {
			texts = append(texts, fmt.Sprintf("and %d more networks", len(hosts)-n))
			break
		}
		texts = append(texts, fmt.Sprintf("%s (%d)", p, hosts[p]))
	}
	return strings.Join(texts, ", ")
}

// busiest is the address with the most peers that ok selects, and its share of all pairs.
func (e *exam) busiest(ok func(*host) bool) (addr netip.Addr, h *host, share float64) {
	var best wire.Addr
	for a, x := range e.hosts {
		if ok(x) && (h == nil || x.peers > h.peers ||
			x.peers == h.peers && slices.Compare(a[:], best[:]) < 0) {
			best, h = a, x
		}
	}
	if h == nil || len(e.pairs) == 0 {
		return addr, nil, 0
	}
	return netip.AddrFrom16(best).Unmap(), h, float64(h.peers) / float64(len(e.pairs))
}
