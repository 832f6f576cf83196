package wire

// Checksum says whether the checksums of a segment are right: that of the IPv4 header and
// that of TCP. It is known of segments to mail ports, because what a receiver drops is neither an attempt nor
// anybody's word.
type Checksum uint8

const (
	// Unchecked is any other packet, and one that was not captured whole.
	Unchecked Checksum = iota
	// Right is what a receiver accepts.
	Right
	// Offloaded is a TCP checksum that covers the pseudo-header alone: Linux and Windows write
	// that where the network card is to finish it. Whoever captures on the sending host sees it.
	Offloaded
	// Wrong is what a receiver drops. A card may have been meant to write it nevertheless.
	Wrong
)

// checkSegment judges the checksums of a segment that is there whole.
func checkSegment(p *Packet, ipv4, tcp []byte) Checksum {
	if ipv4 != nil && !whole(sum(0, ipv4)) {
		return Wrong
	}
	pseudo := uint64(protoTCP) + uint64(len(tcp))
	if p.V6 {
		pseudo = sum(sum(pseudo, p.Src[:]), p.Dst[:])
	} else {
		pseudo += uint64(be.Uint32(p.Src[12:])) + uint64(be.Uint32(p.Dst[12:]))
	}
	return checkTCP(pseudo, tcp)
}

// checkTCP compares the checksum of a segment with what its pseudo-header adds up to.
func checkTCP(pseudo uint64, tcp []byte) Checksum {
	if whole(sum(pseudo, tcp)) {
		return Right
	}
	if be.Uint16(tcp[16:]) == fold(pseudo) {
		return Offloaded
	}
	return Wrong
}

// sum adds to a one's complement sum (RFC 1071). Words of four bytes in a wide integer need no
// care for carries.
func sum(s uint64, b []byte) uint64 {
	for ; len(b) >= 16; b = b[16:] {
		x, y := be.Uint64(b), be.Uint64(b[8:])
		s += x>>32 + x&0xffffffff + y>>32 + y&0xffffffff
	}
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(be.Uint32(b))
	}
	if len(b) >= 2 {
		s += uint64(be.Uint16(b)) << 16
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// whole reports whether a one's complement sum that is not zero stands for zero, as that of bytes with a right checksum does.
func whole(s uint64) bool { return s%0xffff == 0 }

// fold brings a sum of less than 2^48 to 16 bits.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
