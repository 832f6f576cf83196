package wire

import "math/bits"

// Checksum reports whether the checksums of the IPv4 header and of TCP are right. It is set for
// segments to mail ports, because a segment that the receiver drops is no attempt and no part of a
// dialogue.
type Checksum uint8

const (
	// Unchecked is the state of all other packets, and of packets that were not captured whole.
	Unchecked Checksum = iota
	// Right means that a receiver accepts the packet.
	Right
	// Offloaded is a TCP checksum that covers the pseudo-header alone: Linux and Windows write it
	// if the network card is to finish it. A capture on the sending host has such checksums.
	Offloaded
	// Wrong means that a receiver drops the packet, unless a network card was to write the
	// checksum.
	Wrong
)

// checkSegment checks the checksums of a segment that was captured whole.
func checkSegment(p *Packet, ipv4, tcp []byte) Checksum {
	if ipv4 != nil && !validSum(sum(0, ipv4)) {
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

// checkTCP checks the checksum of a segment; pseudo is the sum of its pseudo-header.
func checkTCP(pseudo uint64, tcp []byte) Checksum {
	if validSum(sum(pseudo, tcp)) {
		return Right
	}
	if be.Uint16(tcp[16:]) == fold(pseudo) {
		return Offloaded
	}
	return Wrong
}

// sum adds bytes to a one's complement sum of words of two bytes.
func sum(s uint64, b []byte) uint64 {
	t := sum64(0, b)
	return s + uint64(bits.ReverseBytes16(fold(t>>32+t&0xffffffff)))
}

// sum64 adds bytes to a one's complement sum of words of eight bytes. RFC 1071 allows words of any
// length and, up to the end, the other order of bytes. 32 bytes take 13 instructions.
func sum64(t uint64, b []byte) uint64 {
	var c uint64
	i := 0
	for ; i <= len(b)-32; i += 32 {
		t, c = bits.Add64(t, le.Uint64(b[i:]), 0)
		t, c = bits.Add64(t, le.Uint64(b[i+8:]), c)
		t, c = bits.Add64(t, le.Uint64(b[i+16:]), c)
		t, c = bits.Add64(t, le.Uint64(b[i+24:]), c)
		t, _ = bits.Add64(t, 0, c)
	}
	for ; i <= len(b)-8; i += 8 { // three rounds at most
		t, c = bits.Add64(t, le.Uint64(b[i:]), 0)
		t, _ = bits.Add64(t, 0, c)
	}
	// Up to seven bytes are left. They are the upper ones of the last eight bytes.
	var last uint64
	if n := uint(len(b) - i); n > 0 && len(b) >= 8 {
		last = le.Uint64(b[len(b)-8:]) >> (-n * 8 & 63)
	} else {
		for k := len(b) - 1; k >= i; k-- {
			last = last<<8 | uint64(b[k])
		}
	}
	t, c = bits.Add64(t, last, 0)
	return t + c
}

// validSum reports whether a one's complement sum, which is not zero, stands for zero. The sum of
// bytes with a right checksum does.
func validSum(s uint64) bool { return s%0xffff == 0 }

// fold reduces a sum of less than 2^48 to 16 bits.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
