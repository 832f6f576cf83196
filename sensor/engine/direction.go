package engine

import (
	"spamsensor/sensor/wire"
)

// directionCache remembers the client of each connection whose two ports both are mail ports: an
// old mail server sends from port 25 too. Without a SYN the lower port is the server's. The cache
// has 256 slots, and a new connection overwrites the slot of an old one.
type directionCache struct{ seen [256]endpoints }

// endpoints are the ends of a connection: client first.
type endpoints struct {
	client, server         wire.Addr
	clientPort, serverPort uint16
}

// toServer reports whether the client sent a packet whose two ports both are mail ports.
func (o *directionCache) toServer(p *wire.Packet) bool {
	hash := uint(p.Src[15]) + uint(p.Dst[15]) + uint(p.SrcPort) + uint(p.DstPort)
	slot := &o.seen[hash%uint(len(o.seen))]
	forward := endpoints{p.Src, p.Dst, p.SrcPort, p.DstPort}
	backward := endpoints{p.Dst, p.Src, p.DstPort, p.SrcPort}
	switch p.Flags & (wire.SYN | wire.ACK) {
	// A SYN comes from the client, a SYN-ACK goes to it. Both are remembered.
	case wire.SYN:
		*slot = forward
		return true
	case wire.SYN | wire.ACK:
		*slot = backward
		return false
	}
	switch {
	case *slot == forward:
		return true
	case *slot == backward:
		return false
	// The connection began before the capture, or another one took its slot.
	case p.SrcPort != p.DstPort:
		return p.DstPort < p.SrcPort
	}
	// With equal ports the choice is arbitrary, but the same for both directions.
	return string(p.Src[:]) < string(p.Dst[:])
}
