package wire

import "spamsensor/sensor/frame"

// Skip reports whether a frame can be dropped by its ports alone, and with which outcome: 98 of 100
// frames of mixed traffic end here. It knows Ethernet with up to two tags, and IP headers of the
// usual length; Decode handles all other frames. wire is the frame's length on the wire in bytes,
// at least len(data). Several goroutines may call it.
func (d *Decoder) Skip(link frame.LinkType, data []byte, wire int) (Outcome, bool) {
	const shortest = 14 + 20 + 14 // up to the TCP flags
	if link != frame.Ethernet || len(data) < shortest {
		return 0, false
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
		if d.mail.Has(src) || d.mail.Has(dst) || isUnusualPort(src) || isUnusualPort(dst) {
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
