package doctor

import (
	"encoding/binary"
	"fmt"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

var be, le = binary.BigEndian, binary.LittleEndian

// Ethertypes that the outer walk knows (https://www.iana.org/assignments/ieee-802-numbers).
const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherVLAN   = 0x8100
	etherIPv6   = 0x86dd
	etherMPLS   = 0x8847
	etherMPLSmc = 0x8848
	etherPPPoE  = 0x8864
	etherQinQ   = 0x88a8
	etherLLDP   = 0x88cc
	etherMACsec = 0x88e5
	etherITag   = 0x88e7
	etherETag   = 0x893f
	etherQinQ1  = 0x9100
	etherQinQ2  = 0x9200
	// Of GRE (draft-foschiano-erspan-03): types I and II, and type III.
	etherERSPAN  = 0x88be
	etherERSPAN3 = 0x22eb
)

// IP protocol numbers (https://www.iana.org/assignments/protocol-numbers).
const (
	protoICMP    = 1
	protoIPIP    = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIPv6    = 41
	protoGRE     = 47
	protoESP     = 50
	protoAH      = 51
	protoEtherIP = 97
	protoL2TP    = 115
	protoMPLS    = 137
)

// maxTags bounds the VLAN tags that are walked; a network has two, rarely three.
const maxTags = 4

// sight is what the outer headers of a frame say. It borrows the frame's bytes.
type sight struct {
	ether    bool // there are addresses of stations
	dst, src [6]byte
	tags     []uint16 // VLAN ids, outer first
	kind     string   // what is behind the tags, for people
	typ      uint16   // ethertype behind the tags, zero if there is none
	tunnel   string   // the tunnel that the sensor opens, or ""

	ip       bool
	from, to wire.Addr
	ttl      uint8
	id       uint16 // of IPv4
	proto    uint8
	fragment bool   // a part of a packet
	first    bool   // the first part, or a whole packet
	body     []byte // behind the IP header

	udp          bool
	sport, dport uint16
	payload      []byte // of UDP

	store [maxTags]uint16
}

// look reads the outer headers. It gives up at the first header that is not whole: the decoder
// counts why.
func (s *sight) look(link frame.LinkType, b []byte) {
	*s = sight{}
	s.headers(link, b)
	s.tunnel = s.tunnelName()
}

// headers reads the headers of a link.
func (s *sight) headers(link frame.LinkType, b []byte) {
	switch link {
	case frame.Ethernet:
		if len(b) < 14 {
			s.kind = "too short"
			return
		}
		s.ether = true
		copy(s.dst[:], b)
		copy(s.src[:], b[6:])
		s.ethernet(be.Uint16(b[12:]), b[14:])
	case frame.SLL:
		if len(b) >= 16 {
			s.ethernet(be.Uint16(b[14:]), b[16:])
		}
	case frame.SLL2:
		if len(b) >= 20 {
			s.ethernet(be.Uint16(b), b[20:])
		}
	case frame.Raw, frame.RawBSD, frame.RawOpen, frame.RawIPv4, frame.RawIPv6:
		s.rawIP(b)
	case frame.Null, frame.Loop:
		if len(b) >= 4 {
			s.rawIP(b[4:])
		}
	default:
		s.kind = link.String()
	}
}

// rawIP reads an IP header by its version.
func (s *sight) rawIP(b []byte) {
	switch {
	case len(b) > 0 && b[0]>>4 == 4:
		s.ethernet(etherIPv4, b)
	case len(b) > 0 && b[0]>>4 == 6:
		s.ethernet(etherIPv6, b)
	}
}

// ethernet strips tags and reads what is behind them. typ announces b.
func (s *sight) ethernet(typ uint16, b []byte) {
	for typ == etherVLAN || typ == etherQinQ || typ == etherQinQ1 || typ == etherQinQ2 {
		if len(b) < 4 || len(s.tags) == maxTags {
			s.kind = "too short"
			return
		}
		s.store[len(s.tags)] = be.Uint16(b) & 0xfff
		s.tags = s.store[:len(s.tags)+1]
		typ, b = be.Uint16(b[2:]), b[4:]
	}
	if typ < 0x600 {
		s.kind = llcName(b)
		return
	}
	s.typ, s.kind = typ, etherName(typ)
	switch typ {
	case etherIPv4:
		s.ipv4(b)
	case etherIPv6:
		s.ipv6(b)
	case etherLLDP:
		s.body = b
	}
}

// etherNames are the names of ethertypes that a network has.
var etherNames = map[uint16]string{etherIPv4: "IPv4", etherIPv6: "IPv6", etherARP: "ARP",
	etherMPLS: "MPLS", etherMPLSmc: "MPLS", etherPPPoE: "PPPoE", 0x8863: "PPPoE discovery",
	etherLLDP: "LLDP", etherMACsec: "MACsec", etherITag: "802.1ah", etherETag: "802.1BR",
	0x8035: "RARP", 0x8809: "LACP and slow protocols", 0x888e: "802.1X", 0x88f7: "PTP",
	0x8902: "CFM", 0x8906: "FCoE", 0x8914: "FCoE", 0x88b8: "GOOSE", 0x8892: "PROFINET",
	0x9000: "loopback test", 0x8899: "Realtek loop detection", 0x893a: "IEEE 1905",
	etherERSPAN3: "ERSPAN III without GRE",
	etherERSPAN:  "ERSPAN without GRE", 0x6558: "Ethernet in Ethernet"}

func etherName(typ uint16) string {
	if n, ok := etherNames[typ]; ok {
		return n
	}
	return fmt.Sprintf("0x%04x", typ)
}

// llcName names what is behind an LLC header (IEEE 802.2).
func llcName(b []byte) string {
	switch {
	case len(b) >= 8 && b[0] == 0xaa && string(b[3:8]) == "\x00\x00\x0c\x20\x00":
		return "CDP"
	case len(b) >= 2 && b[0] == 0x42 && b[1] == 0x42:
		return "spanning tree"
	}
	return "802.3 LLC"
}

// ipv4 reads an IPv4 header (RFC 791).
func (s *sight) ipv4(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return
	}
	header := int(b[0]&15) * 4
	if header < 20 || header > len(b) {
		return
	}
	s.ip, s.ttl, s.proto, s.id = true, b[8], b[9], be.Uint16(b[4:])
	s.from, s.to = mapped(b[12:16]), mapped(b[16:20])
	part := be.Uint16(b[6:])
	s.fragment, s.first = part&0x3fff != 0, part&0x1fff == 0
	if total := int(be.Uint16(b[2:])); total >= header && total < len(b) {
		b = b[:total]
	}
	s.transport(b[header:])
}

// ipv6 reads an IPv6 header and the extension headers that are usual (RFC 8200).
func (s *sight) ipv6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	s.ip, s.ttl, s.proto, s.first = true, b[7], b[6], true
	s.from, s.to = wire.Addr(b[8:24]), wire.Addr(b[24:40])
	b = b[40:]
	const maxHeaders = 8
	for range maxHeaders {
		switch s.proto {
		case 0, 43, 60: // hop by hop, routing, destination options
			n := 8
			if len(b) >= 2 {
				n += int(b[1]) * 8
			}
			if len(b) < n {
				return
			}
			s.proto, b = b[0], b[n:]
			continue
		case 44: // fragment
			if len(b) < 8 {
				return
			}
			part := be.Uint16(b[2:])
			s.fragment, s.first = part&0xfff9 != 0, part&0xfff8 == 0
			s.proto, b = b[0], b[8:]
			continue
		}
		break
	}
	s.transport(b)
}

// transport keeps what is behind the IP headers, and reads the ports of UDP.
func (s *sight) transport(b []byte) {
	s.body = b
	if s.proto == protoUDP && s.first && len(b) >= 8 {
		s.udp, s.sport, s.dport, s.payload = true, be.Uint16(b), be.Uint16(b[2:]), b[8:]
	}
}

// mapped is the 16-byte form of an IPv4 address; see wire.Addr.
func mapped(v4 []byte) (a wire.Addr) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], v4)
	return a
}

// icmp reports whether the frame is ICMP or ICMPv6.
func (s *sight) icmp() bool { return s.ip && (s.proto == protoICMP || s.proto == 58) }

// multicast reports whether the frame is for more than one station.
func (s *sight) multicast() bool { return s.dst[0]&1 != 0 }
