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
	h := p.TTL>>5<<hintTTL | uint8(p.PeerLink)&hintTo
	if p.Checksum == wire.Right {
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
type HeaderTrace struct {
	clientLink uint16 // receiver of the server's SYN-ACK: the client's own address
	gateway    uint16 // sender of the server's SYN-ACK
	PeerLink   uint16 // receiver of the client's latest segment without a risk
	TTL        uint8  // hop limit of that segment
	serverTTL  uint8  // hop limit of the server's SYN-ACK
	synHint    uint8  // of the SYN
	sumsRight  bool   // a segment of the client had right checksums
	steady     bool   // a segment of the client came from own
}

// replyDropRisk compares a segment of the server with those before it. A client can forge such a
// segment: then it comes from the client's own link-layer address, and over fewer hops.
func (l *HeaderTrace) replyDropRisk(p *packet) (d tcp.DropRisk) {
	if l.serverTTL == 0 || p.Flags.Has(wire.SYN) {
		l.gateway, l.clientLink, l.serverTTL = p.PeerLink, p.ClientLink, p.TTL
		return 0
	}
	moved := l.steady && (p.PeerLink != l.gateway || p.ClientLink != l.clientLink)
	if moved || p.PeerLink != 0 && p.PeerLink == l.clientLink && p.PeerLink != l.gateway {
		d = tcp.OtherMAC // it comes from the client itself, for example
	}
	// A firewall resets a connection, over fewer hops than its server.
	if p.Flags&wire.RST == 0 && max(p.TTL, l.serverTTL)-min(p.TTL, l.serverTTL) > shorter {
		d |= tcp.LowHops
	}
	return d
}

// dropRisk compares a segment of the client with those before it.
func (l *HeaderTrace) dropRisk(p *packet) (d tcp.DropRisk) {
	if p.Flags.Has(wire.SYN) {
		return 0
	}
	if p.Checksum > wire.Right && (l.sumsRight || l.synHint&hintRight != 0) {
		if d = tcp.BadChecksum; p.Checksum == wire.Offloaded {
			d = tcp.PartialChecksum
		}
	}
	if p.Signed {
		d |= tcp.UnaskedMD5
	}
	switch {
	case l.TTL != 0:
		if p.TTL < l.TTL && l.TTL-p.TTL > shorter {
			d |= tcp.LowHops
		}
	case l.synHint != 0 && p.TTL < diesEarly && p.TTL>>5 < l.synHint>>hintTTL&7:
		d |= tcp.LowHops
	}
	hinted := l.synHint & hintTo
	switch {
	case l.steady:
		if p.ClientLink != l.clientLink || p.PeerLink != l.gateway && p.PeerLink != l.PeerLink {
			d |= tcp.OtherMAC
		}
	case l.clientLink == 0 || p.ClientLink != l.clientLink || p.PeerLink == l.gateway:
	case l.synHint != 0 && (uint8(p.PeerLink)&hintTo != hinted || uint8(l.gateway)&hintTo == hinted):
		d |= tcp.OtherMAC // the SYN went to another address, or to that of the server's answer
	}
	if d != 0 {
		return d
	}
	l.TTL, l.PeerLink = p.TTL, p.PeerLink
	l.sumsRight = l.sumsRight || p.Checksum == wire.Right
	l.steady = l.steady || l.clientLink != 0 && p.ClientLink == l.clientLink
	return 0
}
