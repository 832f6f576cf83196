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

// Decode decodes one frame of the given link type. data is its captured part, wire its length on
// the wire in bytes (0 means len(data)). If the outcome is Mail, MailError, DNSMessage or
// DNSSegment, p is set except for Time; otherwise p's content is undefined. p borrows data.
//
// Nearly all segments that Skip passes are in untagged frames of Ethernet and have an IPv4 header
// of five words. This function is for them; it takes 145 instructions, and 110 more to check the
// checksums of 100 bytes. Most fields have a statement of their own, because the compiler computes
// all values of a statement before it stores the first. Those that share one are neighbours in
// Packet, and are stored at once.
func (d *Decoder) Decode(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	wire = max(wire, len(data))
	// ethertype, version 4, words 4
	if link != frame.Ethernet || len(data) < 14+20+20 || le.Uint32(data[12:])<<8 != usual {
		return d.plain(link, data, wire, p)
	}
	h := (*[14 + 20 + 20]byte)(data)
	// total length 16, identification 16, fragment 16, ttl 8, protocol 8
	x, ports := le.Uint64(h[16:]), be.Uint32(h[34:])
	total := uint(bits.ReverseBytes16(uint16(x)))
	if x&fragmented != 0 || x>>56 != protoTCP || total-40 > uint(wire-54) {
		return d.rare(link, data, wire, p)
	}
	toServer := d.mail.Has(uint16(ports))
	if !toServer && !d.mail.Has(uint16(ports>>16)) {
		return d.rare(link, data, wire, p)
	}
	// offset 4, reserved 4, flags 8
	begin := 34 + uint(h[46]>>4)*4 // of the payload
	end := min(14+total, uint(len(data)))
	flags := Flags(h[47])
	if begin-54 > end-54 || !flags.acceptable() {
		return d.rare(link, data, wire, p)
	}
	p.Payload = data[begin:end:end]
	p.Len = uint32(14 + total - begin)
	p.Wire = uint32(wire)
	setMapped(&p.Src, h[26:30])
	setMapped(&p.Dst, h[30:34])
	p.DstPort, p.SrcPort = uint16(ports), uint16(ports>>16)
	z := be.Uint64(h[38:])
	p.Ack, p.Seq = uint32(z), uint32(z>>32)
	p.Sum = bits.ReverseBytes32(uint32(le.Uint16(h[18:])) | uint32(le.Uint16(h[50:]))<<16)
	p.Flags = flags
	p.TTL = h[22]
	p.To = [6]byte(h[:])
	p.MAC = [6]byte(h[6:])
	p.Kind, p.V6, p.Tags, p.Checksum = TCP, false, 0, Unchecked
	p.Tunnel = 0
	p.Stamp, p.Urgent, p.Stamped, p.Signed = 0, 0, false, false
	if flags.Has(URG) {
		p.Urgent = be.Uint16(h[52:])
	}
	// A call comes last, so that no value has to be kept meanwhile.
	switch {
	case h[47]&uint8(SYN) != 0, toServer && h[46]&0xf0 != 0x50:
		return p.inspectPlain(data[14:], toServer)
	case toServer && len(p.Payload) == int(p.Len):
		return p.check4(data[14:])
	}
	return Mail
}
