package wire

import "fmt"

// LinkType is the kind of link a frame was captured on, numbered as in capture
// files (https://www.tcpdump.org/linktypes.html).
type LinkType uint16

// The link types that Decode knows.
const (
	Null     LinkType = 0   // BSD loopback, family in the byte order of the capturing host
	Ethernet LinkType = 1   //
	PPP      LinkType = 9   // PPP, with or without HDLC address and control
	RawBSD   LinkType = 12  // IP without link header, as some BSDs number it
	RawOpen  LinkType = 14  // the same on OpenBSD
	PPPHDLC  LinkType = 50  // PPP in HDLC-like framing (RFC 1662)
	Raw      LinkType = 101 // IP without link header
	CiscoHD  LinkType = 104 // Cisco HDLC
	Loop     LinkType = 108 // OpenBSD loopback, family in network byte order
	SLL      LinkType = 113 // Linux cooked capture
	RawIPv4  LinkType = 228
	RawIPv6  LinkType = 229
	SLL2     LinkType = 276 // Linux cooked capture version 2
)

// Known reports whether Decode can read frames of this link type.
func (l LinkType) Known() bool {
	switch l {
	case Null, Ethernet, PPP, RawBSD, RawOpen, PPPHDLC, Raw, CiscoHD, Loop, SLL, RawIPv4, RawIPv6, SLL2:
		return true
	}
	return false
}

// String names the link type for messages.
func (l LinkType) String() string {
	names := map[LinkType]string{Null: "NULL", Ethernet: "Ethernet", PPP: "PPP", RawBSD: "raw IP", RawOpen: "raw IP",
		PPPHDLC: "PPP over HDLC", Raw: "raw IP", CiscoHD: "Cisco HDLC", Loop: "LOOP", SLL: "Linux cooked",
		RawIPv4: "raw IPv4", RawIPv6: "raw IPv6", SLL2: "Linux cooked v2",
		105: "802.11", 127: "802.11 radiotap", 119: "802.11 Prism", 147: "user-defined (USER0)", 195: "802.15.4",
		220: "USB", 189: "USB", 187: "Bluetooth", 201: "Bluetooth", 239: "NFLOG"}
	if n, ok := names[l]; ok {
		return n
	}
	return fmt.Sprintf("type %d", uint16(l))
}

// link strips the link header. cut is how many bytes of the frame the capture left out.
func (d *Decoder) link(link LinkType, b []byte, cut int, p *Packet) Outcome {
	switch link {
	case Ethernet:
		return d.walk(layerEthernet, b, cut, p)
	case SLL:
		// packet type 2, ARPHRD type 2, address length 2, address 8, protocol 2
		if len(b) < 16 {
			return short(cut, ShortLink)
		}
		if be.Uint16(b[4:]) == 6 {
			copy(d.mac[:], b[6:12])
		}
		d.group = isGroup(be.Uint16(b))
		return d.walk(sllProto(be.Uint16(b[14:])), b[16:], cut, p)
	case SLL2:
		// protocol 2, reserved 2, interface 4, ARPHRD type 2, packet type 1, address length 1, address 8
		if len(b) < 20 {
			return short(cut, ShortLink)
		}
		if b[11] == 6 {
			copy(d.mac[:], b[12:18])
		}
		d.group = isGroup(uint16(b[10]))
		return d.walk(sllProto(be.Uint16(b)), b[20:], cut, p)
	case Raw, RawBSD, RawOpen, RawIPv4, RawIPv6:
		return d.walk(layerIP, b, cut, p)
	case Null, Loop:
		if len(b) < 4 {
			return short(cut, ShortLink)
		}
		// The family's number differs between systems (AF_INET6 is 10, 24, 28 or 30)
		// and its byte order between hosts: whether it is IP at all is decided here,
		// which IP by the packet itself.
		switch family := be.Uint32(b) | be.Uint32([]byte{b[3], b[2], b[1], b[0]}); family & 0xff {
		case 2, 10, 24, 28, 30:
			return d.walk(layerIP, b[4:], cut, p)
		}
		return OtherEther
	case CiscoHD:
		// address 1, control 1, ethertype 2
		if len(b) < 4 {
			return short(cut, ShortLink)
		}
		return d.walk(uint32(be.Uint16(b[2:])), b[4:], cut, p)
	case PPP, PPPHDLC:
		return d.walk(layerPPP, b, cut, p)
	}
	return UnknownLink
}

// isGroup reports whether a cooked frame was a broadcast (1) or a multicast (2).
func isGroup(packetType uint16) bool { return packetType == 1 || packetType == 2 }

// sllProto maps the protocol field of a cooked header to a layer: 1 and 4 are
// 802.3 without and with LLC, anything else is an ethertype.
func sllProto(proto uint16) uint32 {
	if proto == 4 || proto == 1 {
		return layerLLC
	}
	return uint32(proto)
}

// short is the outcome of a header that does not fit: the capture cut it, or it is
// really not there.
func short(cut int, o Outcome) Outcome {
	if cut > 0 {
		return Truncated
	}
	return o
}
