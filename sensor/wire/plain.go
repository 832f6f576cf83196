package wire

import (
	"math/bits"

	"spamsensor/sensor/frame"
)

// plain decodes the segments that are nearly as usual as those of Decode: Ethernet with at most one
// tag, an IPv4 header of five words or an IPv6 header without extension headers, and a TCP header
// that was captured whole. It takes 200 instructions, a third of slow.
func (d *Decoder) plain(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	const least = 14 + 20 + 20
	if link != frame.Ethernet || len(data) < 4+least {
		return d.rare(link, data, wire, p)
	}
	typ, ip := be.Uint16(data[12:]), data[14:]
	p.Tags = 0
	if typ == etherVLAN {
		p.Tags, p.VLAN[0] = 1, be.Uint16(ip)&0x0fff
		typ, ip = be.Uint16(ip[2:]), ip[4:]
	}
	room := uint(wire - (len(data) - len(ip))) // for the IP packet
	h := (*[40]byte)(ip)
	var tcp []byte
	var length uint // of TCP
	switch {
	case typ == etherIPv4 && h[0] == 0x45:
		x := le.Uint64(h[2:])
		length = uint(bits.ReverseBytes16(uint16(x))) - 20
		if x&fragmented != 0 || x>>56 != protoTCP || length-20 > room-40 {
			return d.rare(link, data, wire, p)
		}
		p.V6, p.TTL, p.Sum = false, h[8], uint32(be.Uint16(h[4:]))<<16
		setMapped(&p.Src, h[12:16])
		setMapped(&p.Dst, h[16:20])
		tcp = ip[20:]
	case typ == etherIPv6 && h[0]>>4 == 6 && h[6] == protoTCP && len(ip) >= 60:
		length = uint(be.Uint16(h[4:]))
		if length-20 > room-60 {
			return d.rare(link, data, wire, p)
		}
		p.V6, p.TTL, p.Sum = true, h[7], 0
		p.Src, p.Dst = Addr(h[8:24]), Addr(h[24:40])
		tcp = ip[40:]
	default:
		return d.rare(link, data, wire, p)
	}
	t := (*[20]byte)(tcp)
	p.SrcPort, p.DstPort = be.Uint16(t[:]), be.Uint16(t[2:])
	toServer := d.IsMailPort(p.DstPort)
	captured, offset, flags := min(length, uint(len(tcp))), uint(t[12]>>4)*4, Flags(t[13])
	if !toServer && !d.IsMailPort(p.SrcPort) || offset-20 > captured-20 || !flags.acceptable() {
		return d.rare(link, data, wire, p)
	}
	p.Payload, p.Len, p.Wire = tcp[offset:captured], uint32(length-offset), uint32(wire)
	p.Kind, p.Flags, p.Checksum, p.Tunnel = TCP, flags, Unchecked, 0
	p.Seq, p.Ack = be.Uint32(t[4:]), be.Uint32(t[8:])
	p.Sum |= uint32(be.Uint16(t[16:]))
	p.To, p.MAC = [6]byte(data), [6]byte(data[6:])
	p.Stamp, p.Urgent, p.Stamped, p.Signed = 0, 0, false, false
	if flags.Has(URG) {
		p.Urgent = be.Uint16(t[18:])
	}
	if toServer || flags.Has(SYN) {
		return p.inspectPlain(ip, toServer)
	}
	return Mail
}

// inspectPlain is inspect and firstSYN for a segment of Decode or plain. ip begins with its IP
// header.
func (p *Packet) inspectPlain(ip []byte, toServer bool) Outcome {
	header := uint(20)
	if p.V6 {
		header = 40
	}
	offset, whole := uint(ip[header+12]>>4)*4, len(p.Payload) == int(p.Len)
	if p.isFirstSYN() {
		p.Urgent = 0
		if whole && offset > 20 && !noSignature(ip[header:]) {
			return BadTCPOption
		}
		if p.To[0]&1 != 0 || !p.ordinary() && !p.addressable(p.MAC != [6]byte{}) {
			return BadAddress
		}
		toServer = true // checked as well
	} else if offset > 20 {
		p.options(ip[header:], int(offset), toServer)
	}
	switch {
	case !toServer || !whole:
		return Mail
	case p.V6:
		return p.check6(ip)
	}
	return p.check4(ip)
}

// check4 is checkSegment for an IPv4 packet of Decode or plain that was captured whole; it returns
// Mail. It takes 50 instructions, and as many for each 100 bytes of payload.
//
// The addresses stand directly before the TCP header, so that pseudo-header and segment are one
// sequence of bytes. A sum that must be zero can be of words of the other order of bytes.
func (p *Packet) check4(ip []byte) Outcome {
	h := (*[40]byte)(ip)
	length, addresses := uint(be.Uint16(h[2:])), le.Uint64(h[12:])
	header, c := bits.Add64(le.Uint64(h[:]), le.Uint64(h[8:]), 0)
	header, _ = bits.Add64(header, addresses>>32, c)
	pseudo := uint64(protoTCP+length-20) << 8 // in that order
	t, c := bits.Add64(pseudo, addresses, 0)
	t, c = bits.Add64(t, le.Uint64(h[20:]), c)
	t, c = bits.Add64(t, le.Uint64(h[28:]), c)
	t, _ = bits.Add64(t, uint64(le.Uint32(h[36:])), c)
	if p.Checksum = Wrong; !validSum(header) {
		return Mail
	}
	if length > 40 {
		t = sum64(t, ip[40:length])
	}
	if p.Checksum = Right; !validSum(t) {
		p.Checksum = checkSegment(p, nil, ip[20:length])
	}
	return Mail
}

// check6 is check4 for IPv6.
func (p *Packet) check6(ip []byte) Outcome {
	length := uint(be.Uint16(ip[4:]))
	ip = ip[:40+length]
	if p.Checksum = Right; !validSum(sum64(uint64(protoTCP+length)<<8, ip[8:])) {
		p.Checksum = checkSegment(p, nil, ip[40:])
	}
	return Mail
}
