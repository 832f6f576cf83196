package engine

import (
	"spamsensor/sensor/wire"
)

// directionCache remembers who opened a connection whose two ports both are mail ports: an old
// mail server sends from port 25 too. Without a SYN the lower port is the server's.
// The memory is small and forgets by overwriting.
type directionCache struct {
	seen [256]struct {
		src, dst     wire.Addr
		sport, dport uint16
	}
}

func (o *directionCache) toServer(p *wire.Packet) bool {
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
