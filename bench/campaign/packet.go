package campaign

import (
	"encoding/binary"
	"net/netip"

	"spamsensor/sensor/wire/wiretest"
)

// The protocols of a Packet.
const (
	ICMP = 1
	TCP  = 6
	UDP  = 17
)

// The flags of a Packet, as in a TCP header (RFC 9293, section 3.1).
const (
	FIN = wiretest.FIN
	SYN = wiretest.SYN
	RST = wiretest.RST
	PSH = wiretest.PSH
	ACK = wiretest.ACK
)

// Packet is a packet on the mirror port, before it is framed. Payload is borrowed from the
// session's steps: it is valid during the call that gets the packet, and must not be changed.
type Packet struct {
	Time     int64 // nanoseconds since 1970
	Src, Dst netip.AddrPort
	Proto    uint8
	Flags    uint8
	Seq, Ack uint32
	ID       uint16 // IPv4 identification
	TTL      uint8
	MAC      [6]byte // of the host or router that sent the frame
	Inside   bool    // one of the site's hosts is the sender
	Payload  []byte
	// Quoted is the SYN of Dst that an ICMP error is about.
	Quoted struct {
		To       netip.AddrPort
		FromPort uint16
		Seq      uint32
	}
	Host *Host // the host that caused it
}

// mapped is the IPv6 address of an IPv4 address: a /48 for each public /24, and a /64 in fd00::/8
// for each internal /24.
func mapped(a netip.Addr) netip.Addr {
	b := a.As4()
	if b[0] == 10 {
		return netip.AddrFrom16([16]byte{0xfd, 0x10, 0, 0, 0, 0, b[1], b[2], 2, 0, 0, 0xff, 0xfe, 0,
			0, b[3]})
	}
	return netip.AddrFrom16([16]byte{0x2a, 0x0a, b[0], b[1], b[2], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		b[3]})
}

// Framer makes frames of packets: Ethernet, IP, TCP, UDP or ICMP with right checksums, inside the
// encapsulation Wrap. The zero value makes plain Ethernet.
type Framer struct {
	Wrap *Encapsulation
	buf  [2048]byte
}

// router is the MAC of the site's router.
var router = [6]byte{2, 0xff, 0, 0, 0, 1}

var be = binary.BigEndian

// Frame returns the bytes of a frame, valid until the next call.
func (f *Framer) Frame(p *Packet) []byte {
	b := f.buf[:14]
	to := router
	if !p.Inside {
		to = p.Host.MAC
	}
	copy(b, to[:])
	copy(b[6:], p.MAC[:])
	b = f.datagram(b, p)
	if f.Wrap == nil || f.Wrap.wrap == nil {
		for len(b) < 60 { // the shortest frame of Ethernet
			b = append(b, 0)
		}
		return b
	}
	return f.Wrap.wrap(b)
}

// datagram appends the IP packet to an Ethernet header and sets its type.
func (f *Framer) datagram(b []byte, p *Packet) []byte {
	src, dst := p.Src.Addr(), p.Dst.Addr()
	v6 := src.Is6()
	if v6 {
		be.PutUint16(b[12:], 0x86dd)
		b = append(b, 0x60, 0, 0, 0, 0, 0, nextHeader(p.Proto, true), p.TTL)
		s, d := src.As16(), dst.As16()
		b = append(append(b, s[:]...), d[:]...)
	} else {
		be.PutUint16(b[12:], 0x0800)
		b = append(b, 0x45, 0, 0, 0, byte(p.ID>>8), byte(p.ID), 0x40, 0, p.TTL, p.Proto, 0, 0)
		s, d := src.As4(), dst.As4()
		b = append(append(b, s[:]...), d[:]...)
	}
	at := len(b)
	switch p.Proto {
	case TCP:
		offset := byte(5)
		if p.Flags&SYN != 0 {
			offset = 6
		}
		b = segment(b, p.Src.Port(), p.Dst.Port(), p.Seq, p.Ack, offset<<4, p.Flags)
		if p.Flags&SYN != 0 {
			b = append(b, 2, 4, 5, 0xb4) // MSS 1460
		}
		b = append(b, p.Payload...)
		be.PutUint16(b[at+16:], pseudoChecksum(b, at, v6, TCP))
	case UDP:
		b = be.AppendUint16(be.AppendUint16(b, p.Src.Port()), p.Dst.Port())
		b = append(be.AppendUint32(b, uint32(8+len(p.Payload))<<16), p.Payload...)
		be.PutUint16(b[at+6:], pseudoChecksum(b, at, v6, UDP))
	case ICMP:
		b = f.unreachable(b, p, v6)
	}
	if v6 {
		be.PutUint16(b[18:], uint16(len(b)-at))
		if p.Proto == ICMP {
			be.PutUint16(b[at+2:], pseudoChecksum(b, at, v6, 58))
		}
		return b
	}
	be.PutUint16(b[16:], uint16(len(b)-14))
	be.PutUint16(b[24:], wiretest.Checksum(b[14:34]))
	if p.Proto == ICMP {
		be.PutUint16(b[at+2:], wiretest.Checksum(b[at:]))
	}
	return b
}

// nextHeader is the protocol number of a packet in IPv4 or IPv6: ICMPv6 is 58 (RFC 4443).
func nextHeader(proto uint8, v6 bool) uint8 {
	if proto == ICMP && v6 {
		return 58
	}
	return proto
}

// segment appends a TCP header without a checksum; offset is its byte with the data offset.
func segment(b []byte, from, to uint16, seq, ack uint32, offset, flags byte) []byte {
	b = be.AppendUint16(be.AppendUint16(b, from), to)
	b = be.AppendUint32(be.AppendUint32(b, seq), ack)
	return append(b, offset, flags, 0xfa, 0xf0, 0, 0, 0, 0)
}

// unreachable appends an ICMP error: administratively prohibited (RFC 1812, 5.2.7.1; RFC
// 4443, 3.1). It quotes the IP header and the TCP header of the SYN.
func (f *Framer) unreachable(b []byte, p *Packet, v6 bool) []byte {
	from, to := p.Dst.Addr(), p.Quoted.To.Addr()
	if v6 {
		b = append(b, 1, 1, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 24, TCP, 64)
		s, d := from.As16(), to.As16()
		b = append(append(b, s[:]...), d[:]...)
	} else {
		b = append(b, 3, 13, 0, 0, 0, 0, 0, 0)
		at := len(b)
		b = append(b, 0x45, 0, 0, 44, 0, 7, 0x40, 0, 63, TCP, 0, 0)
		s, d := from.As4(), to.As4()
		b = append(append(b, s[:]...), d[:]...)
		be.PutUint16(b[at+10:], wiretest.Checksum(b[at:at+20]))
	}
	return append(segment(b, p.Quoted.FromPort, p.Quoted.To.Port(), p.Quoted.Seq, 0, 6<<4, SYN), 2,
		4, 5, 0xb4)
}

// pseudoChecksum is the checksum of the bytes from at on, with the pseudo header of the addresses
// in front of it (RFC 9293, 3.1; RFC 8200, 8.1).
func pseudoChecksum(b []byte, at int, v6 bool, proto byte) uint16 {
	addrs := b[at-8 : at]
	if v6 {
		addrs = b[at-32 : at]
	}
	n := len(b) - at
	return wiretest.Checksum(addrs, []byte{0, proto, byte(n >> 8), byte(n)}, b[at:])
}
