package wire

import "spamsensor/sensor/frame"

// Known reports whether Decode can read frames of this link type.
func Known(l frame.LinkType) bool {
	switch l {
	case frame.Null, frame.Ethernet, frame.PPP, frame.RawBSD, frame.RawOpen, frame.PPPHDLC,
		frame.PPPEther,
		frame.Raw, frame.CiscoHD, frame.WLAN, frame.Loop, frame.SLL, frame.PFLog, frame.Radiotap,
		frame.PPI,
		frame.RawIPv4, frame.RawIPv6, frame.NFLog, frame.SLL2,
		frame.PKTAP, frame.PKTAPUser, frame.ERF, frame.Enc, frame.ATM, frame.Prism, frame.AVS,
		frame.PPPD, frame.PPPDir, frame.HDLCDir, frame.IP1394,
		frame.BRCMTag, frame.BRCMPrepend, frame.DSA, frame.EDSA:
		return true
	}
	return false
}

// link strips the link header. cut is the number of bytes of the frame that were not captured.
func (d *Decoder) link(link frame.LinkType, b []byte, cut int, p *Packet) Outcome {
	switch link {
	case frame.Ethernet:
		return d.walk(layerEthernet, b, cut, p)
	case frame.SLL:
		// packet type 2, ARPHRD type 2, address length 2, address 8, protocol 2
		if len(b) < 16 {
			return short(cut, ShortLink)
		}
		if be.Uint16(b[4:]) == 6 {
			copy(d.mac[:], b[6:12])
		}
		d.multicast = isMulticast(be.Uint16(b))
		return d.walk(sllProto(be.Uint16(b[14:])), b[16:], cut, p)
	case frame.SLL2:
		// protocol 2, reserved 2, interface 4, ARPHRD type 2, packet type 1, address length 1,
		// address 8
		if len(b) < 20 {
			return short(cut, ShortLink)
		}
		if b[11] == 6 {
			copy(d.mac[:], b[12:18])
		}
		d.multicast = isMulticast(uint16(b[10]))
		return d.walk(sllProto(be.Uint16(b)), b[20:], cut, p)
	case frame.Raw, frame.RawBSD, frame.RawOpen, frame.RawIPv4, frame.RawIPv6:
		return d.walk(layerIP, b, cut, p)
	case frame.Null, frame.Loop:
		if len(b) < 4 {
			return short(cut, ShortLink)
		}
		// The family's number differs between systems (AF_INET6 is 10, 24, 28 or 30) and its byte
		// order between hosts: the family decides whether the packet is IP, and the packet itself
		// which version.
		switch family := be.Uint32(b) | be.Uint32([]byte{b[3], b[2], b[1], b[0]}); family & 0xff {
		case 2, 10, 24, 28, 30:
			return d.walk(layerIP, b[4:], cut, p)
		}
		return OtherEther
	case frame.CiscoHD:
		// address 1, control 1, ethertype 2
		if len(b) < 4 {
			return short(cut, ShortLink)
		}
		return d.walk(uint32(be.Uint16(b[2:])), b[4:], cut, p)
	case frame.PPP, frame.PPPHDLC:
		return d.walk(layerPPP, b, cut, p)
	case frame.PPPEther:
		return d.walk(etherPPPoE, b, cut, p)
	case frame.WLAN:
		return d.walk(layerWLAN, b, cut, p)
	case frame.Radiotap:
		// version 1, padding 1, length 2 (little-endian), as many bytes in all
		// (https://www.radiotap.org)
		if len(b) < 4 || len(b) < int(le.Uint16(b[2:])) {
			return short(cut, ShortLink)
		}
		return d.walk(layerWLAN, b[le.Uint16(b[2:]):], cut, p)
	case frame.PPI:
		// version 1, flags 1, length 2 (little-endian), link type 4 (little-endian)
		if len(b) < 8 || len(b) < int(le.Uint16(b[2:])) {
			return short(cut, ShortLink)
		}
		if inner := le.Uint32(b[4:]); inner != uint32(frame.PPI) && inner <= 0xffff {
			return d.link(frame.LinkType(inner), b[le.Uint16(b[2:]):], cut, p)
		}
	case frame.PFLog:
		// length 1, family 1, action 1, ...; padded to words
		if len(b) < 1 || len(b) < (int(b[0])+3)&^3 {
			return short(cut, ShortLink)
		}
		return d.walk(layerIP, b[(int(b[0])+3)&^3:], cut, p)
	case frame.NFLog:
		return d.nflog(b, cut, p)
	default:
		return d.rareLink(link, b, cut, p)
	}
	return UnknownLink
}

// nflog finds the packet in a netfilter log
// (https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html): family 8, version 8, resource 16, and
// then fields in the byte order of the capturing host, padded to words: length 16, type 16, value.
// The first field is the packet's header (1).
func (d *Decoder) nflog(b []byte, cut int, p *Packet) Outcome {
	const payload, hardware = 9, 3
	if len(b) < 8 {
		return short(cut, ShortLink)
	}
	big := b[6] == 0
	for b = b[4:]; len(b) >= 4; { // each field has four bytes at least
		n, typ := int(le.Uint16(b)), le.Uint16(b[2:])
		if big {
			n, typ = int(be.Uint16(b)), be.Uint16(b[2:])
		}
		switch {
		case n < 4:
			return ShortLink
		case typ == payload && n > len(b):
			return d.walk(layerIP, b[4:], cut, p)
		case typ == payload:
			return d.walk(layerIP, b[4:n], 0, p)
		case n > len(b):
			return short(cut, ShortLink)
		case typ == hardware && n >= 4+4+6: // length 16, padding 16, address 64
			copy(d.mac[:], b[8:])
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return short(cut, OtherEther) // logged without the packet
}

// isMulticast reports whether a cooked frame was a broadcast (1) or a multicast (2).
func isMulticast(packetType uint16) bool { return packetType == 1 || packetType == 2 }

// sllProto maps the protocol field of a cooked header to a layer: 1 and 4 are 802.3 without and
// with LLC, other values are ethertypes.
func sllProto(proto uint16) uint32 {
	if proto == 4 || proto == 1 {
		return layerLLC
	}
	return uint32(proto)
}

// short is the outcome of a header that is not whole: Truncated if the capture cut it, else o.
func short(cut int, o Outcome) Outcome {
	if cut > 0 {
		return Truncated
	}
	return o
}
