package wire

import (
	"math/bits"

	"spamsensor/sensor/frame"
)

// usual is the beginning of the usual packet behind the addresses of Ethernet, as a little-endian
// load gives it without its last byte: ethertype 16, version 4, words 4.
const usual = 0x45_00_08_00

// fragmented has the bits of eight bytes from the total length on, loaded in the same way, that are
// zero in a packet that is not a fragment.
const fragmented = 0xff3f << 32

// portSet is a set of ports. A port is looked up as a little-endian load gives it, so that
// SkipUsual need not swap its bytes.
type portSet [65536 / 64]uint64

func (s *portSet) add(p uint16) {
	p = bits.ReverseBytes16(p)
	s[p/64] |= 1 << (p % 64)
}

func (s *portSet) has(loaded uint16) bool { return s[loaded/64]>>(loaded%64)&1 != 0 }

// unusualPorts are the ports whose packets SkipUsual does not drop, beside the mail ports: of DNS
// and of tunnels.
var unusualPorts = [...]uint16{portDNS, portVXLAN, portVXLANLinux, portVXLANGPE, portGENEVE,
	portTZSP, portL2TP, portGTP, portESP, portCAPWAP, portWireGuard}

// SkipUsual is Skip for the usual frame of Ethernet: untagged, an IPv4 header of five words, TCP or
// UDP. It takes 45 instructions. known is false for all other frames, which are for Skip or Decode.
// If it is true, o is the outcome of a frame that can be dropped, or Mail for one that Decode has
// to decode. wire is as for Skip. Several goroutines may call it.
func (d *Decoder) SkipUsual(data []byte, wire int) (o Outcome, known bool) {
	// ethertype, version 4, words 4
	if len(data) < 14+20+20 || le.Uint32(data[12:])<<8 != usual {
		return Mail, false
	}
	// total length 16, identification 16, fragment 16, ttl 8, protocol 8
	x := le.Uint64(data[16:])
	length := uint(bits.ReverseBytes16(uint16(x)))
	ports, proto := le.Uint32(data[34:]), byte(x>>56)
	// Decode refuses a packet that is shorter than its header or longer than the frame, for all
	// ports.
	if x&fragmented != 0 || length-40 > uint(wire-54) {
		return Mail, false
	}
	if d.unusual.has(uint16(ports)) || d.unusual.has(uint16(ports>>16)) {
		return Mail, proto == protoTCP
	}
	switch proto {
	case protoUDP:
		return OtherUDP, true
	case protoTCP:
		return otherSegment(Flags(data[47])), true
	}
	return Mail, false
}

// Skip reports whether a frame can be dropped by its ports alone, and with which outcome: 98 of 100
// frames of mixed traffic end here. It knows Ethernet with up to two tags, and IP headers of the
// usual length; Decode handles all other frames. wire is the frame's length on the wire in bytes,
// at least len(data). Several goroutines may call it.
func (d *Decoder) Skip(link frame.LinkType, data []byte, wire int) (Outcome, bool) {
	const shortest = 14 + 20 + 14 // up to the TCP flags
	if link != frame.Ethernet || len(data) < shortest {
		return 0, false
	}
	if o, known := d.SkipUsual(data, wire); known {
		return o, o != Mail
	}
	typ, b := be.Uint16(data[12:]), data[14:]
	wire -= 14
	for range 2 {
		if typ != etherVLAN && typ != etherQinQ {
			break
		}
		typ, b, wire = be.Uint16(b[2:]), b[4:], wire-4
	}
	// Decode refuses a packet that is shorter than its header or longer than the frame, for all
	// ports.
	var proto byte
	var length int
	switch typ {
	case etherIPv4:
		if len(b) < 20+14 || b[0] != 0x45 || be.Uint16(b[6:])&0x3fff != 0 {
			return 0, false
		}
		length, wire = int(be.Uint16(b[2:]))-20, wire-20
		proto, b = b[9], b[20:]
	case etherIPv6:
		if len(b) < 40+14 || b[0]>>4 != 6 {
			return 0, false
		}
		length, wire = int(be.Uint16(b[4:])), wire-40
		proto, b = b[6], b[40:]
	default:
		return 0, false
	}
	if length < 20 || length > wire {
		return 0, false
	}
	src, dst := be.Uint16(b), be.Uint16(b[2:])
	switch proto {
	case protoTCP:
		if d.IsMailPort(src) || d.IsMailPort(dst) || src == portDNS || dst == portDNS {
			return 0, false
		}
		return otherSegment(Flags(b[13])), true
	case protoUDP:
		if isOpaquePort(dst) {
			return OtherTunnel, src != portDNS
		}
		return OtherUDP, src != portDNS && dst != portDNS && !isTunnelPort(dst)
	}
	return 0, false
}

// otherSegment is the outcome of a segment of other ports.
func otherSegment(f Flags) Outcome {
	if f&(SYN|ACK) == SYN {
		return OtherSYN
	}
	return OtherTCP
}
