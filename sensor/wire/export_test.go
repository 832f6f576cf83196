package wire

import "spamsensor/sensor/frame"

// Slow is Decode without its shortcuts, for tests that compare the two.
func (d *Decoder) Slow(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	return d.slow(link, data, max(wire, len(data)), p)
}
