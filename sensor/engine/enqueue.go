package engine

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// enqueue copies a decoded packet to the queue of its client's shard, and its payload to
// decodeBatch.bytes: frames are borrowed from the capture until Take returns, and a shard's packets
// should lie together. The result is valid until the next call. With Fill it takes 210
// instructions beside the hash of the client.
func (b *decodeBatch) enqueue(w *wire.Packet, f *frame.Frame, toServer bool) *track.Row {
	client := &w.Src
	if !toServer {
		client = &w.Dst
	}
	scope := flowtable.NewScope(w.V6, 0)
	if b.e.cfg.SeparateVLANs || b.e.cfg.SeparateTunnels {
		scope = b.e.scope(w)
	}
	// All packets of a client are in one shard, in both directions.
	hash := b.side.HashClient(client, scope)
	shard := b.e.table.ShardOf(hash)
	q := b.queues[shard]
	// First SYNs are listed for checksums.judge.
	if w.Flags&(wire.SYN|wire.ACK) == wire.SYN && toServer && w.Checksum != wire.Unchecked {
		b.syns = append(b.syns, checkedSYN{uint32(shard), uint32(len(q)), w.Checksum})
		if w.Checksum != wire.Right {
			b.wrongSYNs++
		}
	}
	if len(q) == cap(q) {
		q = slices.Grow(q, max(64, len(q)))
	}
	q = q[:len(q)+1] // all of the row is written: it is not cleared
	b.queues[shard] = q
	x := &q[len(q)-1]
	x.ClientHash, x.Time, x.Offset = hash, f.Time, uint32(len(b.bytes))
	if len(w.Payload) > 0 {
		b.bytes = append(b.bytes, w.Payload...)
	}
	b.times = append(b.times, f.Time)
	b.side.Fill(x, w, f.From, toServer, scope)
	return x
}

// payload is the payload of a packet of the batch.
func (b *decodeBatch) payload(x *track.Row) []byte {
	return b.bytes[x.Offset : x.Offset+b.side.Captured(x)]
}

// portDNS is the port of DNS servers.
const portDNS = 53

// enqueueDNS puts a DNS message about mail into the queue of its client's shard. A query to an
// internal resolver also goes to the resolver's shard: its own queries are made for other hosts.
// All other DNS messages are dropped here, before they cost anything.
func (b *decodeBatch) enqueueDNS(w *wire.Packet, f *frame.Frame) {
	if w.Flags != 0 { // over TCP
		w.Payload = dns.TCP(w.Payload)
	}
	kind := dns.Interesting(w.Payload)
	if kind == dns.Other {
		return
	}
	toServer := w.DstPort == portDNS
	if toServer == (w.Payload[2]&0x80 != 0) {
		return // a query from the server, or an answer to it
	}
	b.enqueue(w, f, toServer)
	if toServer && b.e.peers.Home.Has(w.Dst, w.V6) {
		b.enqueue(w, f, false).Note |= track.Resolver // as if the resolver were the client
	}
}

// scope keeps overlapping address spaces apart, by VLAN or tunnel, if the configuration asks for
// it. The constants are odd numbers without structure, so that different stacks of tags give
// different scopes.
func (e *Engine) scope(p *wire.Packet) flowtable.Scope {
	space := uint32(0)
	if e.cfg.SeparateVLANs {
		for _, v := range p.VLAN[:p.Tags] {
			space = space*0x9e3779b1 + uint32(v) + 1
		}
	}
	if e.cfg.SeparateTunnels {
		space = space*0x85ebca6b + p.Tunnel
	}
	return flowtable.NewScope(p.V6, space<<1)
}
