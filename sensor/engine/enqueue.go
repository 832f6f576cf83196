package engine

import (
	"encoding/binary"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// packet is what the shards need of a wire.Packet. Its payload is copied to decodeBatch.bytes,
// because frames are borrowed from the capture until Take returns, and a shard's packets should lie
// together. The struct has 128 bytes, two cache lines.
type packet struct {
	track.Packet
	number           uint32 // in the batch, from 1
	offset, captured uint32 // of the captured part in decodeBatch.bytes
	badChecksum      bool   // checksums.judge rejected it: the shard skips it
	resolver         bool   // a DNS query to an internal resolver, in the queue of that resolver
}

// enqueue copies a decoded packet to the queue of its client's shard. The result is valid until the
// next call.
func (b *decodeBatch) enqueue(w *wire.Packet, f *frame.Frame, toServer bool) *packet {
	client, server, clientPort, serverPort := &w.Src, &w.Dst, w.SrcPort, w.DstPort
	if !toServer {
		client, server, clientPort, serverPort = server, client, serverPort, clientPort
	}
	// All packets of a client are in one shard, in both directions.
	t, scope := b.e.table, b.e.scope(w)
	hash := t.Secret.HashAddr(client, scope)
	shard := t.ShardOf(hash)
	q := &b.queues[shard]
	// First SYNs are listed for checksums.judge.
	if w.Checksum != wire.Unchecked && toServer && w.Flags&(wire.SYN|wire.ACK) == wire.SYN {
		b.syns = append(b.syns, checkedSYN{uint32(shard), uint32(len(*q)), w.Checksum})
		if w.Checksum != wire.Right {
			b.wrongSYNs++
		}
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, w.Payload...)
	b.times = append(b.times, f.Time)
	// The fields are set in place: a literal is built elsewhere first and then copied, which
	// takes three times as long (see flowtable.Key.Set).
	*q = append(*q, packet{})
	x := &(*q)[len(*q)-1]
	x.Key.Set(client, server, clientPort, serverPort, scope)
	x.ClientHash, x.FlowHash = hash, t.Secret.HashFlow(hash, &x.Key)
	x.Time, x.number = f.Time, uint32(len(b.times))
	x.Seq, x.Ack, x.Sum, x.Len = w.Seq, w.Ack, w.Sum, w.Len
	x.offset, x.captured = uint32(at), uint32(len(w.Payload))
	x.VLAN[0], x.VLAN[1], x.Tags = w.VLAN[0], w.VLAN[1], min(w.Tags, 2)
	x.MAC, x.Input, x.TTL = w.MAC, f.From, w.TTL
	x.Flags, x.Kind, x.ToServer = w.Flags, w.Kind, toServer
	x.Stamp, x.Checksum, x.Urgent = w.Stamp, w.Checksum, w.Urgent
	x.Stamped, x.Signed = w.Stamped, w.Signed
	x.ClientLink, x.PeerLink = b.e.hashMAC(&w.MAC), b.e.hashMAC(&w.To)
	if !toServer || w.Kind == wire.ICMPError { // an error has the direction of what it quotes
		x.ClientLink, x.PeerLink = x.PeerLink, x.ClientLink
	}
	return x
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
		b.enqueue(w, f, false).resolver = true // as if the resolver were the client
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

// hashMAC returns a hash of a link-layer address under the table's secret, zero for no address. 16
// bits are enough to compare the frames of one connection.
func (e *Engine) hashMAC(mac *[6]byte) uint16 {
	v := uint64(binary.LittleEndian.Uint32(mac[:])) |
		uint64(binary.LittleEndian.Uint16(mac[4:]))<<32
	if v == 0 {
		return 0
	}
	v = (v ^ e.table.Secret[1]) * 0x9e3779b97f4a7c15
	return uint16(v>>48) | 1
}
