package wire

// maxExtHeaders bounds the walk over IPv6 extension headers. The Linux kernel has no bound. A
// packet with more headers serves no purpose other than to waste the receiver's time.
const maxExtHeaders = 32

// ipv4 checks an IPv4 header (RFC 791) and returns the transport protocol, the packet's bytes
// behind the header and the number of bytes that were not captured. The outcome Mail means that the
// walk goes on.
//
//	version 4, words 4, tos 8, total length 16
//	identification 16, flags 3, fragment offset 13
//	ttl 8, protocol 8, checksum 16
//	source 32, destination 32, options
func (d *Decoder) ipv4(b []byte, cut int, p *Packet) (transport uint8, rest []byte, restCut int,
	o Outcome) {
	if len(b) < 20 {
		return 0, nil, 0, short(cut, ShortIP)
	}
	header := int(b[0]&0x0f) * 4
	switch {
	case b[0]>>4 != 4:
		return 0, nil, 0, BadIPVersion
	case header < 20:
		return 0, nil, 0, BadIPHeader
	case header > len(b):
		return 0, nil, 0, short(cut, BadIPHeader)
	}
	total := int(be.Uint16(b[2:]))
	if d.unsized = total == 0 && be.Uint16(b[6:])&0x3fff == 0; d.unsized {
		total = d.unsizedLength(b, header, cut)
	}
	if total < header || total > len(b)+cut {
		return 0, nil, 0, BadIPLength
	}
	if header > 20 && !optionsOK(b[20:header]) {
		return 0, nil, 0, BadIPOption
	}
	p.V6, p.TTL = false, b[8]
	setMapped(&p.Src, b[12:16])
	setMapped(&p.Dst, b[16:20])
	p.Sum = uint32(be.Uint16(b[4:])) << 16
	d.header = b[:header:header]
	if total < len(b) {
		b, cut = b[:total], 0 // padding of Ethernet, or a check sequence
	} else {
		cut = total - len(b)
	}
	if be.Uint16(b[6:])&0x3fff == 0 {
		return b[9], b[header:], cut, Mail
	}
	if b[9] != protoTCP {
		return 0, nil, 0, Fragment
	}
	// The host or router that makes fragments writes the checksum itself, never its card. The
	// receiver drops this fragment and waits for another copy.
	if fold(sum(0, b[:header])) != 0xffff {
		return 0, nil, 0, BadChecksum
	}
	const more = 0x2000
	x := fragment{key: fragmentKey{p.Src, p.Dst, uint32(be.Uint16(b[4:])), false},
		offset: int(be.Uint16(b[6:])&0x1fff) * 8, data: b[header:], cut: cut,
		more: be.Uint16(b[6:])&more != 0, ecn: b[1] & 3, proto: protoTCP}
	return d.join(&x)
}

// leastEther is the length of the shortest Ethernet frame, without its check sequence: shorter ones
// are padded (IEEE 802.3, section 3.2.7).
const leastEther = 60

// unsizedLength is the length of an IPv4 packet whose total length is zero. The sending host has
// passed it to its network card, which splits it in segments and writes their lengths (TSO, LSO); a
// capture on that host has it before that. No other length is known than that of the frame. In the
// shortest frames the zeros at the end are padding: a mail dialogue has none.
func (d *Decoder) unsizedLength(b []byte, header, cut int) int {
	n := len(b) + cut
	if d.wire > leastEther || cut > 0 || b[9] != protoTCP || n < header+20 {
		return n
	}
	for least := header + max(20, int(b[header+12]>>4)*4); n > least && b[n-1] == 0; n-- {
	}
	return n
}

// join adds a fragment to its datagram and returns the datagram if it is now whole.
func (d *Decoder) join(x *fragment) (transport uint8, rest []byte, restCut int, o Outcome) {
	if d.fragments == nil {
		return 0, nil, 0, TCPFragment
	}
	whole, cut, g, o := d.fragments.join(x)
	if o != Mail {
		return 0, nil, 0, o
	}
	d.header = nil
	return g.proto, whole, cut, Mail
}

// setMapped writes the 16-byte form of an IPv4 address, in two words.
func setMapped(a *Addr, v4 []byte) {
	le.PutUint64(a[:8], 0)
	le.PutUint64(a[8:], 0xffff0000|uint64(le.Uint32(v4))<<32)
}

// ipv6 checks an IPv6 header and its extension headers (RFC 8200, section 4) as ipv4 does.
//
//	version 4, class 8, flow label 20
//	payload length 16, next header 8, hop limit 8
//	source 128, destination 128
func (d *Decoder) ipv6(b []byte, cut int, p *Packet) (transport uint8, rest []byte, restCut int,
	o Outcome) {
	if len(b) < 40 {
		return 0, nil, 0, short(cut, ShortIP)
	}
	if b[0]>>4 != 6 {
		return 0, nil, 0, BadIPVersion
	}
	payload := int(be.Uint16(b[4:]))
	// As in ipv4; or a jumbogram (RFC 2675). Without a next header there is nothing but padding.
	d.unsized = payload == 0 && b[6] != protoNone
	jumbo := 0
	if d.unsized {
		payload = len(b) + cut - 40
	}
	if d.unsized && b[6] == protoHopByHop {
		var ok bool
		if jumbo, ok = jumboLength(b[40:]); !ok {
			return 0, nil, 0, BadIPOption
		}
		if jumbo > 0 {
			payload, d.unsized = jumbo, false
		}
	}
	if 40+payload > len(b)+cut {
		return 0, nil, 0, BadIPLength
	}
	p.V6, p.TTL, p.Sum = true, b[7], 0
	p.Src, p.Dst = Addr(b[8:24]), Addr(b[24:40])
	d.header = nil
	next, ecn := b[6], b[1]>>4&3
	if 40+payload < len(b) {
		b, cut = b[40:40+payload], 0
	} else {
		b, cut = b[40:], 40+payload-len(b)
	}
	routed, fragmented := Mail, false
	for i := range maxExtHeaders + 1 {
		if next == protoTCP {
			return next, b, cut, routed
		}
		if next != protoFragment && !isOptions(next) && next != protoRouting {
			return next, b, cut, Mail
		}
		// next header 1, length in units of 8 bytes beyond the first 8
		if len(b) < 8 {
			return 0, nil, 0, short(cut, BadIPOption)
		}
		if i == maxExtHeaders {
			break
		}
		n := 8 + int(b[1])*8
		if next == protoFragment {
			n = 8
		}
		if n > len(b)+cut {
			return 0, nil, 0, BadIPOption
		}
		if n > len(b) {
			return 0, nil, 0, Truncated
		}
		switch next {
		case protoHopByHop:
			if i > 0 || !tlvOK(b[2:n], true, jumbo > 0) {
				return 0, nil, 0, BadIPOption
			}
		case protoDestOpts:
			if !tlvOK(b[2:n], false, false) {
				return 0, nil, 0, BadIPOption
			}
		case protoRouting:
			// type 1, segments left 1. A host accepts a packet that has arrived, except with the
			// types 3 and 4, which are off by default (RFC 6554, RFC 8754). Networks carry other
			// packets behind them, which are decoded.
			if b[2] == 3 || b[2] == 4 || b[3] != 0 {
				routed = BadIPOption
			}
		case protoFragment:
			// next header 1, reserved 1, offset 13, reserved 2, more 1, identification 32
			if fragmented {
				return 0, nil, 0, BadFragment
			}
			fragmented = true
			if be.Uint16(b[2:])&0xfff9 == 0 {
				break // an atomic fragment is a whole packet (RFC 6946)
			}
			if d.unsized || jumbo > 0 {
				return 0, nil, 0, BadIPLength // no card splits a fragment; RFC 2675, section 3
			}
			var g Outcome
			if next, b, cut, g = d.fragment6(b, cut, ecn, p); g != Mail {
				return 0, nil, 0, g
			}
			continue
		}
		next, b = b[0], b[n:]
	}
	return 0, nil, 0, TooManyHeaders
}

// isOptions reports whether a header holds options.
func isOptions(header uint8) bool { return header == protoHopByHop || header == protoDestOpts }

// fragment6 joins an IPv6 fragment if it may be of TCP; b begins with its header.
func (d *Decoder) fragment6(b []byte, cut int, ecn uint8, p *Packet) (transport uint8, rest []byte,
	restCut int, o Outcome) {
	field := be.Uint16(b[2:])
	x := fragment{key: fragmentKey{p.Src, p.Dst, be.Uint32(b[4:]), true}, offset: int(field &^ 7),
		data: b[8:], cut: cut, more: field&1 != 0, ecn: ecn, proto: b[0]}
	transport, enough := x.proto, true
	if x.offset == 0 {
		transport, enough = upper(b[0], b[8:], cut)
	}
	switch {
	case x.offset == 0 && transport != protoTCP && !isOptions(transport) &&
		transport != protoRouting:
		return 0, nil, 0, Fragment
	case !enough, x.offset+len(x.data)+cut > 0xffff, x.more && (len(x.data)+cut)%8 != 0:
		return 0, nil, 0, BadFragment // RFC 8200, section 4.5
	}
	return d.join(&x)
}

// upper finds the transport behind the extension headers of a first fragment, as far as it holds
// them. enough is false if the transport is TCP and the fragment lacks the fixed part of its
// header.
func upper(next uint8, b []byte, cut int) (transport uint8, enough bool) {
	for range maxExtHeaders {
		if !isOptions(next) && next != protoRouting || len(b) < 8 {
			break
		}
		n := 8 + int(b[1])*8
		next = b[0]
		if n > len(b) {
			cut = max(0, cut-(n-len(b)))
			n = len(b)
		}
		b = b[n:]
	}
	return next, next != protoTCP || len(b)+cut >= 20
}
