package track

import (
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// A decoy is a segment that the sensor reads and the server does not. A client that writes its own
// segments can put one before each real one: with a wrong checksum, a signature, a life too short,
// to another machine. (Ptacek and Newsham, "Insertion, Evasion, and Denial of Service", 1998, call
// it an insertion.) What a decoy differs in is compared with the other segments of the same client
// in the same connection, because what is right depends on where the capture is made: on the
// sending host no checksum is right. A segment with such a risk waits until the server acknowledges
// it, or a better one says something else; see tcp.DropRisk.

// The bits of a hint, which is what an attempt keeps of its SYN: whether the checksums are right,
// the time to live in units of 32, and four bits of the hash of the link-layer receiver. Zero is no
// hint.
const (
	hintRight = 1 << 7
	hintTTL   = 4 // shift
	hintTo    = 0x0f
)

// hint is what an attempt keeps of its SYN.
func (p *Packet) hint() uint8 {
	h := p.TTL>>5<<hintTTL | uint8(p.PeerLink)&hintTo
	if p.Checksum == wire.Right {
		h |= hintRight
	}
	return h
}

const (
	// ttlSpread is by how much the time to live of segments of one client may vary: the paths
	// through a network differ by a hop or two.
	ttlSpread = 2
	// shortTTL is the bound below which a time to live can end before the server.
	shortTTL = 32
)

// HeaderTrace is what a flow remembers of the headers of its two sides. Link-layer addresses are
// hashes, zero is no address.
//
// They are evidence where the client's frames come from the address to which the server's frames
// go. They are none where a capture's addresses were replaced by random ones.
type HeaderTrace struct {
	clientLink uint16 // receiver of the server's SYN-ACK
	gateway    uint16 // sender of the server's SYN-ACK
	PeerLink   uint16 // receiver of the client's latest segment without such a risk
	TTL        uint8  // of that segment
	serverTTL  uint8  // of the server's SYN-ACK
	synHint    uint8  // of the SYN
	sumsRight  bool   // the checksums of a segment of the client were right
	steady     bool   // a segment of the client came from clientLink
}

// usual reports whether a segment has the headers of the one before it, so that it has no DropRisk
// and there is nothing to remember of it.
func (l *HeaderTrace) usual(r *Row) bool {
	if r.Dir == tcp.Server {
		return r.from == l.gateway && r.to == l.clientLink && r.ttl() == l.serverTTL
	}
	same := r.from == l.clientLink
	if !l.steady { // a capture whose addresses are no evidence, or which has none
		same = !same || l.clientLink == 0
	}
	sum := r.Note & (checksumBits | signed)
	return same && r.to == l.PeerLink && r.ttl() == l.TTL && l.TTL != 0 &&
		(sum == uint8(wire.Unchecked) || sum == uint8(wire.Right)<<checksumShift && l.sumsRight)
}

// replyDropRisk compares a segment of the server with those before it. A client can forge the
// server's segments: then they come from the client's link-layer address, and have not come as far.
func (l *HeaderTrace) replyDropRisk(p *Packet) (d tcp.DropRisk) {
	if l.serverTTL == 0 || p.Flags.Has(wire.SYN) {
		l.gateway, l.clientLink, l.serverTTL = p.PeerLink, p.ClientLink, p.TTL
		return 0
	}
	moved := l.steady && (p.PeerLink != l.gateway || p.ClientLink != l.clientLink)
	fromClient := p.PeerLink != 0 && p.PeerLink == l.clientLink && p.PeerLink != l.gateway
	if moved || fromClient {
		d = tcp.OtherMAC
	}
	// A firewall resets a connection from nearer than its server.
	if p.Flags&wire.RST == 0 && max(p.TTL, l.serverTTL)-min(p.TTL, l.serverTTL) > ttlSpread {
		d |= tcp.LowHops
	}
	return d
}

// dropRisk compares a segment of the client with those before it.
func (l *HeaderTrace) dropRisk(p *Packet) (d tcp.DropRisk) {
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
		if p.TTL < l.TTL && l.TTL-p.TTL > ttlSpread {
			d |= tcp.LowHops
		}
	case l.synHint != 0 && p.TTL < shortTTL && p.TTL>>5 < l.synHint>>hintTTL&7:
		d |= tcp.LowHops
	}
	// The SYN went to where this segment goes, and not to the sender of the server's answer.
	hinted, to, gateway := l.synHint&hintTo, uint8(p.PeerLink)&hintTo, uint8(l.gateway)&hintTo
	switch {
	case l.steady:
		if p.ClientLink != l.clientLink || p.PeerLink != l.gateway && p.PeerLink != l.PeerLink {
			d |= tcp.OtherMAC
		}
	case l.clientLink == 0 || p.ClientLink != l.clientLink || p.PeerLink == l.gateway:
	case l.synHint != 0 && (to != hinted || gateway == hinted):
		d |= tcp.OtherMAC
	}
	if d != 0 {
		return d
	}
	l.TTL, l.PeerLink = p.TTL, p.PeerLink
	l.sumsRight = l.sumsRight || p.Checksum == wire.Right
	l.steady = l.steady || l.clientLink != 0 && p.ClientLink == l.clientLink
	return 0
}
