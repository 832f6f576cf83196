package engine

import (
	"net/netip"
	"sync"

	"github.com/gaissmai/bart"

	"spamsensor/flowtable"
	"spamsensor/sensor/wire"
)

// hash decides which end of a packet is the client, and where it belongs.
func (w *Worker) hash(p *wire.Packet, from uint16) {
	n := len(w.batch) - 1
	w.hashes = w.hashes[:n+1]
	h := &w.hashes[n]
	h.seq, h.from = w.seq, from
	h.toServer = w.decoder.IsMailPort(p.DstPort)
	if h.toServer && p.Kind == wire.TCP && w.decoder.IsMailPort(p.SrcPort) {
		h.toServer = w.orient.toServer(p)
	}
	space := uint32(0)
	if w.e.cfg.SeparateVLANs {
		for _, v := range p.VLAN[:p.Tags] {
			space = space*0x9e3779b1 + uint32(v) + 1
		}
	}
	if w.e.cfg.SeparateTunnels {
		space = space*0x85ebca6b + p.Tunnel
	}
	k := &h.key
	*k = flowtable.Key{Client: p.Src, Server: p.Dst, ClientPort: p.SrcPort, ServerPort: p.DstPort, Scope: flowtable.NewScope(p.V6, space<<1)}
	if !h.toServer {
		k.Client, k.Server, k.ClientPort, k.ServerPort = k.Server, k.Client, k.ServerPort, k.ClientPort
	}
	host := k.Host()
	h.host = w.e.table.Secret.Host(&host)
	h.flow = w.e.table.Secret.Flow(h.host, k)
	i := w.e.table.ShardOf(h.host)
	w.lists[i] = append(w.lists[i], uint32(n))
}

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
