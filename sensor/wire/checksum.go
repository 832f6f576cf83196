package wire

import "math/bits"

// Checksum says whether the checksums of a first SYN are right: that of the IPv4 header and
// that of TCP. Only of these packets it is known, because they are few and because they are what a
// receiver counts by.
type Checksum uint8

const (
	// Unchecked is any other packet, and a SYN that was not captured whole.
	Unchecked Checksum = iota
	// Right is what a receiver accepts.
	Right
	// Offloaded is a TCP checksum that covers the pseudo-header alone: Linux and Windows write
	// that where the network card is to finish it. Whoever captures on the sending host sees it.
	Offloaded
	// Wrong is what a receiver drops. A card may have been meant to write it nevertheless.
	Wrong
)

// checkSYN judges the checksums of a SYN that is there whole.
func checkSYN(p *Packet, ipv4, tcp []byte) Checksum {
	pseudo := sum(sum(uint64(protoTCP)+uint64(len(tcp)), p.Src[:]), p.Dst[:])
	if !p.V6 { // the mapped form has two times 0xffff in front, which is zero in this arithmetic
		if ipv4 != nil && fold(sum(0, ipv4)) != 0xffff {
			return Wrong
		}
	}
	if fold(sum(pseudo, tcp)) == 0xffff {
		return Right
	}
	if be.Uint16(tcp[16:]) == fold(pseudo) {
		return Offloaded
	}
	return Wrong
}

// sum adds 16-bit words in one's complement (RFC 1071), eight bytes at a time.
func sum(s uint64, b []byte) uint64 {
	var c uint64
	for ; len(b) >= 8; b = b[8:] {
		s, c = bits.Add64(s, be.Uint64(b), c)
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		s, c = bits.Add64(s, be.Uint64(rest[:]), c)
	}
	s, c = bits.Add64(s, 0, c)
	return s + c
}

// fold brings a sum to 16 bits.
func fold(s uint64) uint16 {
	s = s&0xffffffff + s>>32
	s = s&0xffffffff + s>>32
	s = s&0xffff + s>>16
	s = s&0xffff + s>>16
	return uint16(s)
}
