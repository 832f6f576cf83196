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
