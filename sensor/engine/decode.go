package engine

import (
	"encoding/binary"
	"runtime/debug"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// decodeBatch is a row of frames that are decoded one after the other, and the packets that they
// held, by shard. Several batches can be decoded side by side: a batch writes to nothing but its
// own memory.
type decodeBatch struct {
	e          *Engine
	frames     [][]frame.Frame
	decoded    int // frames so far
	decoder    wire.Decoder
	packet     wire.Packet // scratch of decodeFrame
	queues     [][]packet  // the packets, one queue for each shard
	bytes      []byte      // the payloads of the packets
	times      []int64     // the times of the packets, ns since 1970
	base       uint64      // the number of packets before the first of this batch
	outcome    [wire.Outcomes]uint64
	needsOrder bool // decoding stopped at a packet whose meaning depends on packets before it
	// SYNs whose checksum was verified
	syns      []checkedSYN
	wrongSYNs int // how many of syns are not right
}

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

// newDecodeBatch makes an empty batch.
func newDecodeBatch(e *Engine) decodeBatch {
	b := decodeBatch{e: e, queues: make([][]packet, len(e.shards))}
	// Each batch has a decoder of its own, because decoding has scratch memory.
	b.decoder.SetPorts(e.cfg.Ports)
	return b
}

// clear empties the batch and keeps its memory.
func (b *decodeBatch) clear() {
	b.frames, b.times, b.bytes = b.frames[:0], b.times[:0], b.bytes[:0]
	b.decoded, b.needsOrder = 0, false
	b.syns, b.wrongSYNs = b.syns[:0], 0
	b.outcome = [wire.Outcomes]uint64{}
	for i := range b.queues {
		b.queues[i] = b.queues[i][:0]
	}
}

// decode decodes the batch's frames. o holds the state that needs packets in their order: the
// opener of each connection between two mail ports, and fragments. Without o decoding stops at the
// first packet that needs this state, and needsOrder is set.
//
// Frames of a file are borrowed from a mapping. If the file is truncated meanwhile, reading them
// faults; the frames from there on are counted as vanished. A frame that panics is counted, and the
// next one is decoded.
func (b *decodeBatch) decode(o *orderedDecode) {
	for !b.decodeRest(o) { // each call but the last drops a frame
	}
}

// decodeRest decodes the frames that are not decoded yet. It reports false if some are left.
func (b *decodeBatch) decodeRest(o *orderedDecode) (over bool) {
	// A fault in the mapped file becomes a panic that can be recovered. The setting holds for this
	// goroutine until the function returns.
	b.decoder.SetFragments(nil)
	if o != nil {
		b.decoder.SetFragments(&o.fragments)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		switch {
		case r == nil:
		// The rest of the file is gone: every frame that is not decoded yet counts as vanished.
		case isFault(r):
			for _, list := range b.frames {
				b.outcome[wire.Vanished] += uint64(len(list))
			}
			b.outcome[wire.Vanished] -= uint64(b.decoded)
			over = true
		default:
			b.e.recordPanic(describe(r))
			b.outcome[wire.Panicked]++
			b.decoded++
		}
	}()
	// After a panic decoding goes on behind the frame that caused it.
	skip := b.decoded
	for _, list := range b.frames {
		n := min(skip, len(list))
		skip -= n
		list = list[n:]
		for i := range list {
			if !b.decodeFrame(&list[i], o) {
				return true
			}
		}
	}
	return true
}

// decodeFrame decodes one frame, counts its outcome, and enqueues its packet. It reports false if
// the frame needs order.
func (b *decodeBatch) decodeFrame(f *frame.Frame, o *orderedDecode) bool {
	// A negative time is a large unsigned number.
	if uint64(f.Time) >= endOfTime {
		b.outcome[wire.BadTime]++
		b.decoded++
		return true
	}
	w := &b.packet
	if o != nil {
		o.fragments.Now = f.Time
	}
	outcome := b.decoder.Decode(f.Link, f.Data, f.Len, w)
	if outcome <= wire.MailError {
		// Outcomes up to MailError are packets of mail connections: TCP segments, and ICMP errors
		// that quote one.
		toServer := b.decoder.IsMailPort(w.DstPort)
		// Both ports are mail ports: only the SYN shows which end is the client.
		if toServer && w.Kind == wire.TCP && b.decoder.IsMailPort(w.SrcPort) {
			if o == nil {
				b.needsOrder = true
				return false
			}
			toServer = o.toServer(w)
		}
		b.enqueue(w, f, toServer)
	} else if outcome == wire.TCPFragment && o == nil {
		b.needsOrder = true
		return false
	} else if outcome == wire.DNSMessage || outcome == wire.DNSSegment {
		b.enqueueDNS(w, f)
	}
	b.outcome[outcome]++
	b.decoded++
	return true
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
