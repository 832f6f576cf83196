package engine

import (
	"encoding/binary"

	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// A client that writes its own segments can put a decoy before each real one: a segment that the
// sensor reads and the server drops, because of a wrong checksum, a signature, a hop limit that
// expires on the way, or another link-layer address. A decoy is recognised by its difference from
// the other segments of the same client in the same connection, because the right values depend on
// the place of the capture: on the sending host no checksum is right. A segment with such a risk
// waits until the server acknowledges it, or a segment without it replaces it; see tcp.DropRisk.

// marks are findings in a segment's header.
type marks uint8

const (
	stamped marks = 1 << iota // the segment has a timestamp
	signed                    // see wire.Packet.Signed
)

// The bits of a hint, which an attempt keeps of its SYN (see flowtable.Attempt.Hint): whether the
// checksums are right, the hop limit in units of 32, and four bits of the hash of the link-layer
// receiver. Zero is no hint.
const (
	hintRight = 1 << 7
	hintTTL   = 4 // shift
	hintTo    = 0x0f
)

// hint is the hint of a SYN.
func (p *packet) hint() uint8 {
	h := p.ttl>>5<<hintTTL | uint8(p.peerLink)&hintTo
	if p.checksum == wire.Right {
		h |= hintRight
	}
	return h
}

// hashMAC is a hash of a link-layer address under the table's secret; zero is none.
func (e *Engine) hashMAC(mac *[6]byte) uint16 {
	v := uint64(binary.LittleEndian.Uint32(mac[:])) | uint64(binary.LittleEndian.Uint16(mac[4:]))<<32
	if v == 0 {
		return 0
	}
	v = (v ^ e.table.Secret[1]) * 0x9e3779b97f4a7c15
	return uint16(v>>48) | 1
}

const (
	// shorter is by how much the hop limit of segments of one client may vary: the paths through a
	// network differ by a hop or two.
	shorter = 2
	// diesEarly: a segment with a lower hop limit can expire before the server.
	diesEarly = 32
)

// headerTrace is the trace of a flow's headers, of both sides. Link-layer addresses are hashes, zero
// is none.
//
// The addresses are evidence only where the client's frames come from the address to which the
// server's frames go. They are none where a capture's addresses were replaced by random ones.
type headerTrace struct {
	own     uint16 // receiver of the server's SYN-ACK: the client's own address
	gateway uint16 // sender of the server's SYN-ACK
	to      uint16 // receiver of the client's latest segment without a risk
	ttl     uint8  // hop limit of that segment
	far     uint8  // hop limit of the server's SYN-ACK
	hint    uint8  // of the SYN
	right   bool   // a segment of the client had right checksums
	steady  bool   // a segment of the client came from own
}

// replyDropRisk compares a segment of the server with those before it. A client can forge such a
// segment: then it comes from the client's own link-layer address, and over fewer hops.
func (l *headerTrace) replyDropRisk(p *packet) (d tcp.DropRisk) {
	if l.far == 0 || p.flags.Has(wire.SYN) {
		l.gateway, l.own, l.far = p.peerLink, p.clientLink, p.ttl
		return 0
	}
	moved := l.steady && (p.peerLink != l.gateway || p.clientLink != l.own)
	if moved || p.peerLink != 0 && p.peerLink == l.own && p.peerLink != l.gateway {
		d = tcp.OtherMAC // it comes from the client itself, for example
	}
	// A firewall resets a connection, over fewer hops than its server.
	if p.flags&wire.RST == 0 && max(p.ttl, l.far)-min(p.ttl, l.far) > shorter {
		d |= tcp.LowHops
	}
	return d
}

// dropRisk compares a segment of the client with those before it.
func (l *headerTrace) dropRisk(p *packet) (d tcp.DropRisk) {
	if p.flags.Has(wire.SYN) {
		return 0
	}
	if p.checksum > wire.Right && (l.right || l.hint&hintRight != 0) {
		if d = tcp.BadChecksum; p.checksum == wire.Offloaded {
			d = tcp.PartialChecksum
		}
	}
	if p.marks&signed != 0 {
		d |= tcp.UnaskedMD5
	}
	switch {
	case l.ttl != 0:
		if p.ttl < l.ttl && l.ttl-p.ttl > shorter {
			d |= tcp.LowHops
		}
	case l.hint != 0 && p.ttl < diesEarly && p.ttl>>5 < l.hint>>hintTTL&7:
		d |= tcp.LowHops
	}
	hinted := l.hint & hintTo
	switch {
	case l.steady:
		if p.clientLink != l.own || p.peerLink != l.gateway && p.peerLink != l.to {
			d |= tcp.OtherMAC
		}
	case l.own == 0 || p.clientLink != l.own || p.peerLink == l.gateway:
	case l.hint != 0 && (uint8(p.peerLink)&hintTo != hinted || uint8(l.gateway)&hintTo == hinted):
		d |= tcp.OtherMAC // the SYN went to another address, or to that of the server's answer
	}
	if d != 0 {
		return d
	}
	l.ttl, l.to = p.ttl, p.peerLink
	l.right = l.right || p.checksum == wire.Right
	l.steady = l.steady || l.own != 0 && p.clientLink == l.own
	return 0
}
