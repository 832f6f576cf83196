package wire

// A receiver checks the checksums, a signature and the timestamp of a segment, beside its sequence
// numbers, before it accepts the segment. A sensor that does not check them can be deceived: a
// client may send it text in segments that the receiver drops.

// TCP options (https://www.iana.org/assignments/tcp-parameters).
const (
	optTCPTimestamps = 8
	stampLength      = 10
)

// plainStamp is the usual beginning of options that hold nothing but timestamps: two bytes of
// padding, kind, length (RFC 7323, appendix A).
const plainStamp = 0x0101080a

// inspectPlain is inspect for a packet of decodePlain: ip begins at an IPv4 header of five words. A
// segment to a mail port is checked whole, another one only if it is a SYN-ACK.
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
	// The addresses stand directly before the TCP header, so that pseudo-header and segment are one
	// sequence of bytes.
	head := be.Uint64(ip)
	addresses := uint64(be.Uint32(ip[12:])) + uint64(be.Uint32(ip[16:]))
	if !validSum(head>>32 + head&0xffffffff + uint64(be.Uint32(ip[8:])) + addresses) {
		p.Checksum = Wrong
		return
	}
	p.Checksum = checkTCP(addresses+protoTCP+uint64(total-20), ip[20:total])
}

// inspect checks the options and the checksums of a segment to a mail port, or the options of a
// SYN-ACK from one. b is its TCP header of offset bytes and its payload, of which cut bytes were
// not captured.
func (d *Decoder) inspect(p *Packet, ipv4, b []byte, offset, cut int) {
	mail := d.IsMailPort(p.DstPort)
	if offset > 20 && offset <= len(b) {
		p.options(b, offset, mail)
	}
	switch {
	case !mail:
	case d.unsized: // who writes the lengths writes the checksums
		p.Checksum = Offloaded
	case cut == 0 && len(b) <= 0xffff: // not a super-packet
		p.Checksum = checkSegment(p, ipv4, b)
	}
}

// options reads the timestamp and, if the segment goes to a mail port, sets Signed.
func (p *Packet) options(tcp []byte, offset int, mail bool) {
	if offset == 32 && be.Uint32(tcp[20:]) == plainStamp {
		p.Stamped, p.Stamp = true, be.Uint32(tcp[24:])
		if !mail {
			p.Stamp = be.Uint32(tcp[28:])
		}
		return
	}
	p.Signed = mail && !noSignature(tcp)
	// There are at most 40 bytes, and each round consumes at least one.
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
