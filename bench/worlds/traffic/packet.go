package traffic

import (
	"encoding/binary"
	"net/netip"
)

// MAC is a link-layer address of Ethernet.
type MAC [6]byte

// Flags of TCP (RFC 9293 section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// Protocol numbers of IP.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// route is what the headers below TCP and UDP say about a packet.
type route struct {
	src, dst   netip.Addr
	smac, dmac MAC
	vlan       uint16 // 0: no tag
	ttl        uint8
	id         uint16 // of IPv4
}

// segment is what the header of TCP says.
type segment struct {
	sport, dport uint16
	seq, ack     uint32
	flags        uint8
	window       uint16
	options      []byte // padded to four bytes
}

// frame puts the headers of IP and Ethernet before a payload.
func (r *route) frame(proto uint8, payload []byte) []byte {
	ip := r.ip(proto, payload)
	b := make([]byte, 0, 18+len(ip))
	b = append(b, r.dmac[:]...)
	b = append(b, r.smac[:]...)
	if r.vlan != 0 {
		b = append(b, 0x81, 0x00, byte(r.vlan>>8), byte(r.vlan))
	}
	if r.src.Is4() {
		b = append(b, 0x08, 0x00)
	} else {
		b = append(b, 0x86, 0xdd)
	}
	b = append(b, ip...)
	for len(b) < 60 { // the shortest frame of Ethernet without its check sequence
		b = append(b, 0)
	}
	return b
}

// ip is the packet with its header (RFC 791, RFC 8200).
func (r *route) ip(proto uint8, payload []byte) []byte {
	if r.src.Is4() {
		h := make([]byte, 20, 20+len(payload))
		h[0] = 0x45
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
		binary.BigEndian.PutUint16(h[4:], r.id)
		h[6] = 0x40 // do not fragment
		h[8], h[9] = r.ttl, proto
		copy(h[12:], r.src.AsSlice())
		copy(h[16:], r.dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], ^fold(sum(0, h)))
		return append(h, payload...)
	}
	h := make([]byte, 40, 40+len(payload))
	h[0] = 0x60
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	h[6], h[7] = proto, r.ttl
	copy(h[8:], r.src.AsSlice())
	copy(h[24:], r.dst.AsSlice())
	return append(h, payload...)
}

// checksum is the checksum of a payload with its pseudo-header (RFC 9293 section 3.1).
func (r *route) checksum(proto uint8, payload []byte) uint16 {
	s := sum(0, r.src.AsSlice())
	s = sum(s, r.dst.AsSlice())
	s += uint32(proto) + uint32(len(payload))
	return ^fold(sum(s, payload))
}

// sum adds 16-bit words (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold is the sum as 16 bits.
func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// tcp is a segment with its checksum.
func (r *route) tcp(s *segment, data []byte) []byte {
	n := 20 + len(s.options)
	b := make([]byte, n, n+len(data))
	binary.BigEndian.PutUint16(b[0:], s.sport)
	binary.BigEndian.PutUint16(b[2:], s.dport)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12] = byte(n/4) << 4
	b[13] = s.flags
	binary.BigEndian.PutUint16(b[14:], s.window)
	copy(b[20:], s.options)
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[16:], r.checksum(protoTCP, b))
	return b
}

// udp is a datagram with its checksum.
func (r *route) udp(sport, dport uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(b[0:], sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(data)))
	b = append(b, data...)
	c := r.checksum(protoUDP, b)
	if c == 0 {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(b[6:], c)
	return b
}

// unreachable is an ICMP error with the beginning of the packet that it is about (RFC 792, RFC
// 4443 section 3.1). The code is one of ICMP for IPv4, and is translated for IPv6.
func (r *route) unreachable(code uint8, about []byte) (proto uint8, b []byte) {
	if r.src.Is4() {
		b = append([]byte{3, code, 0, 0, 0, 0, 0, 0}, about[:min(len(about), 28)]...)
		binary.BigEndian.PutUint16(b[2:], ^fold(sum(0, b)))
		return protoICMP, b
	}
	code = map[uint8]uint8{0: 0, 1: 3, 3: 4, 9: 1, 10: 1, 13: 1}[code]
	b = append([]byte{1, code, 0, 0, 0, 0, 0, 0}, about[:min(len(about), 1200)]...)
	binary.BigEndian.PutUint16(b[2:], r.checksum(protoICMPv6, b))
	return protoICMPv6, b
}
