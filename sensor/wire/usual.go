package wire

import "spamsensor/sensor/frame"

// UsualFrames says for the usual frame what Skip returns with these mail ports.
func UsualFrames(ports []uint16) *frame.UsualFrames {
	u := &frame.UsualFrames{TCP: uint8(OtherTCP), SYN: uint8(OtherSYN), UDP: uint8(OtherUDP)}
	u.Ports.Add(ports...)
	u.Ports.Add(unusualPorts[:]...)
	return u
}
