package wire

import "spamsensor/sensor/frame"

// rareLink strips the link headers that few captures have; see link.
func (d *Decoder) rareLink(link frame.LinkType, b []byte, cut int, p *Packet) Outcome {
	switch link {
	case frame.PKTAP, frame.PKTAPUser:
		return d.pktap(b, cut, p)
	case frame.ERF:
		return d.erf(b, cut, p)
	case frame.Enc:
		// family 4, security parameter index 4, flags 4, in the byte order of the host
		return d.behind(12, layerIP, b, cut, p)
	case frame.ATM:
		return d.walk(layerLLC, b, cut, p)
	case frame.Prism, frame.AVS:
		// Prism: code 4, length 4, in the byte order of the host. AVS: version 4, length 4.
		if len(b) < 8 {
			return short(cut, ShortLink)
		}
		n := be.Uint32(b[4:])
		if link == frame.Prism && be.Uint32(b)&0xfffff000 != 0x80211000 && le.Uint32(b[4:]) < n {
			n = le.Uint32(b[4:])
		}
		return d.behind(n, layerWLAN, b, cut, p)
	case frame.PPPD, frame.PPPDir:
		// direction 1, and PPP with both of its first bytes, with the control byte alone (pppd) or
		// with neither
		if len(b) < 2 {
			return short(cut, ShortLink)
		}
		if b[1] == 0x03 {
			return d.walk(layerPPP, b[2:], cut, p)
		}
		return d.walk(layerPPP, b[1:], cut, p)
	case frame.HDLCDir:
		// direction 1, address 1, control 1, ethertype 2
		if len(b) < 5 {
			return short(cut, ShortLink)
		}
		return d.walk(uint32(be.Uint16(b[3:])), b[5:], cut, p)
	case frame.IP1394:
		// receiver 8, sender 8, ethertype 2
		if len(b) < 18 {
			return short(cut, ShortLink)
		}
		return d.walk(uint32(be.Uint16(b[16:])), b[18:], cut, p)
	case frame.BRCMPrepend:
		return d.behind(4, layerEthernet, b, cut, p)
	case frame.BRCMTag, frame.DSA:
		return d.switchTag(4, b, cut, p)
	case frame.EDSA:
		return d.switchTag(8, b, cut, p)
	}
	return UnknownLink
}

// behind walks from a layer behind n bytes.
func (d *Decoder) behind(n uint32, proto uint32, b []byte, cut int, p *Packet) Outcome {
	if uint64(n) > uint64(len(b)) {
		return short(cut, ShortLink)
	}
	return d.walk(proto, b[n:], cut, p)
}

// switchTag strips the tag of n bytes that a switch chip puts behind the addresses of Ethernet.
func (d *Decoder) switchTag(n int, b []byte, cut int, p *Packet) Outcome {
	if len(b) < 14+n {
		return short(cut, ShortLink)
	}
	copy(d.to[:], b)
	copy(d.mac[:], b[6:12])
	d.multicast = b[0]&1 != 0
	proto := uint32(be.Uint16(b[12+n:]))
	if proto < 0x600 {
		proto = layerLLC
	}
	return d.walk(proto, b[14+n:], cut, p)
}

// pktap strips the header of Apple's packet tap (bsd/net/pktap.h in XNU), little-endian: length 4,
// kind of record 4, link type 4, interface, flags, process and more.
func (d *Decoder) pktap(b []byte, cut int, p *Packet) Outcome {
	const isPacket, shortest = 1, 12
	if len(b) < shortest {
		return short(cut, ShortLink)
	}
	n, kind, inner := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
	switch {
	case n < shortest, uint64(n) > uint64(len(b)):
		return short(cut, ShortLink)
	case kind != isPacket:
		return OtherEther
	}
	switch inner {
	case uint32(frame.PKTAP), uint32(frame.PKTAPUser), uint32(frame.PPI):
		return UnknownLink // no system nests them
	}
	if inner > 0xffff {
		return UnknownLink
	}
	return d.link(frame.LinkType(inner), b[n:], cut, p)
}

// erf strips the header of an Endace card: time 8, more headers 1, type 7, flags 8, length 16,
// losses 16, length on the wire 16; further headers of 8 bytes, each of which begins with the bit
// for the next; and for Ethernet two bytes of padding.
func (d *Decoder) erf(b []byte, cut int, p *Packet) Outcome {
	const ethernet, colorEthernet, dsmColorEthernet = 2, 11, 16
	if len(b) < 16 {
		return short(cut, ShortLink)
	}
	typ, more := b[8]&0x7f, b[8]&0x80 != 0
	b = b[16:]
	for more { // each round consumes eight bytes
		if len(b) < 8 {
			return short(cut, ShortLink)
		}
		more = b[0]&0x80 != 0
		b = b[8:]
	}
	switch typ {
	case ethernet, colorEthernet, dsmColorEthernet:
		return d.behind(2, layerEthernet, b, cut, p)
	}
	return OtherEther
}
