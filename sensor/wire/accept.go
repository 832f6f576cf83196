package wire

// What a receiver looks at before it takes a segment, beside the numbers: checksums, a signature,
// and the timestamp. A segment that it drops can say anything to somebody who only listens.

// TCP options (https://www.iana.org/assignments/tcp-parameters).
const (
	optTCPTimestamps = 8
	stampLength      = 10
)

// plainStamp is how nearly all systems begin options that are timestamps and nothing else: two of
// padding, kind, length (RFC 7323, appendix A).
const plainStamp = 0x0101080a

// inspectPlain is inspect for what plain decoded: ip begins at an IPv4 header of five words. A
// segment to a mail port is looked at whole, any other only if it is a SYN-ACK.
func (d *Decoder) inspectPlain(ip []byte, p *Packet) {
	mail := d.IsMailPort(p.DstPort)
	if !mail && !p.Flags.Has(SYN) {
		return
	}
	total, offset := int(be.Uint16(ip[2:])), int(ip[32]>>4)*4
	if 20+offset > len(ip) {
		return
	}
	if offset > 20 {
		p.options(ip[20:], offset, mail)
	}
	if !mail || total > len(ip) {
		return
	}
	// The addresses stand before the TCP header: pseudo-header and segment are one row of bytes.
	head := be.Uint64(ip)
	addresses := uint64(be.Uint32(ip[12:])) + uint64(be.Uint32(ip[16:]))
	if !whole(head>>32 + head&0xffffffff + uint64(be.Uint32(ip[8:])) + addresses) {
		p.Checksum = Wrong
		return
	}
	p.Checksum = checkTCP(addresses+protoTCP+uint64(total-20), ip[20:total])
}

// inspect judges a segment to a mail port, or a SYN-ACK from one, further: b is its TCP header, of
// offset bytes, and what follows, of which cut bytes were not captured.
func (d *Decoder) inspect(p *Packet, ipv4, b []byte, offset, cut int) {
	mail := d.IsMailPort(p.DstPort)
	if offset > 20 && offset <= len(b) {
		p.options(b, offset, mail)
	}
	if mail && cut == 0 && len(b) <= 0xffff { // not a super-packet
		p.Checksum = checkSegment(p, ipv4, b)
	}
}

// options looks for a timestamp and, if the segment goes to a mail port, for what Linux drops.
func (p *Packet) options(tcp []byte, offset int, mail bool) {
	if offset == 32 && be.Uint32(tcp[20:]) == plainStamp {
		p.Stamped, p.Stamp = true, be.Uint32(tcp[24:])
		if !mail {
			p.Stamp = be.Uint32(tcp[28:])
		}
		return
	}
	p.Signed = mail && !unsigned(tcp)
	// There are at most 40 bytes, and each round takes one.
	for b := tcp[20:offset]; len(b) > 0; {
		switch {
		case b[0] == 0:
			return
		case b[0] == 1:
			b = b[1:]
			continue
		case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
			return
		case b[0] == optTCPTimestamps && b[1] == stampLength:
			p.Stamped, p.Stamp = true, be.Uint32(b[2:])
			if !mail {
				p.Stamp = be.Uint32(b[6:])
			}
		}
		b = b[b[1]:]
	}
}
