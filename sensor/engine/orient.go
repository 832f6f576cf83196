package engine

import (
	"net/netip"
	"sync"

	"github.com/gaissmai/bart"

	"spamsensor/flowtable"
	"spamsensor/sensor/wire"
)

// orient remembers who opened a connection whose two ports both are mail ports: an old
// mail server sends from port 25 too. Without a SYN the lower port is the server's.
// The memory is small and forgets by overwriting.
type orient struct {
	seen [256]struct {
		src, dst     wire.Addr
		sport, dport uint16
	}
}

func (o *orient) toServer(p *wire.Packet) bool {
	slot := &o.seen[(uint(p.Src[15])+uint(p.Dst[15])+uint(p.SrcPort)+uint(p.DstPort))%uint(len(o.seen))]
	switch p.Flags & (wire.SYN | wire.ACK) {
	case wire.SYN:
		slot.src, slot.dst, slot.sport, slot.dport = p.Src, p.Dst, p.SrcPort, p.DstPort
		return true
	case wire.SYN | wire.ACK:
		slot.src, slot.dst, slot.sport, slot.dport = p.Dst, p.Src, p.DstPort, p.SrcPort
		return false
	}
	switch {
	case slot.src == p.Src && slot.dst == p.Dst && slot.sport == p.SrcPort && slot.dport == p.DstPort:
		return true
	case slot.src == p.Dst && slot.dst == p.Src && slot.sport == p.DstPort && slot.dport == p.SrcPort:
		return false
	case p.SrcPort != p.DstPort:
		return p.DstPort < p.SrcPort
	}
	return string(p.Src[:]) < string(p.Dst[:])
}

// prefixes is a set of networks.
type prefixes struct {
	mu sync.RWMutex
	t  bart.Lite
	n  int
}

func (s *prefixes) set(list []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t = bart.Lite{}
	s.n = len(list)
	for _, p := range list {
		s.t.Insert(p.Masked())
	}
}

// has reports whether an address is in one of the networks.
func (s *prefixes) has(a flowtable.Addr, v6 bool) bool {
	if s.n == 0 {
		return false
	}
	addr := netip.AddrFrom16(a)
	if !v6 {
		addr = addr.Unmap()
	}
	return s.t.Contains(addr)
}
