package wire

import "spamsensor/sensor/frame"

// isUnusualPort reports whether segments of a port are not skipped although it is no mail port: it
// is a port of DNS or of a tunnel. UsualFrames has one set of ports for TCP and UDP.
func isUnusualPort(p uint16) bool { return p == portDNS || isTunnelPort(p) || isOpaquePort(p) }

// UsualFrames says for the usual frame what Skip returns with these mail ports.
func UsualFrames(ports []uint16) *frame.UsualFrames {
	u := &frame.UsualFrames{TCP: uint8(OtherTCP), SYN: uint8(OtherSYN), UDP: uint8(OtherUDP)}
	u.Ports.Add(ports...)
	for p := range 1 << 16 {
		if isUnusualPort(uint16(p)) {
			u.Ports.Add(uint16(p))
		}
	}
	return u
}
