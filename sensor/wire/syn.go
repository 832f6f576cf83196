package wire

// isFirstSYN reports whether a segment asks for a connection.
func (p *Packet) isFirstSYN() bool { return p.Flags&(SYN|ACK) == SYN }

// firstSYN checks a first SYN more strictly than other segments, because a SYN alone counts as an
// attempt: it reports whether a receiver would answer. segment is the TCP header and the payload,
// nil if it was not captured whole.
func (d *Decoder) firstSYN(p *Packet, segment []byte) Outcome {
	p.Checksum = Unchecked
	if d.unsized {
		return BadIPLength // no card splits it, and no receiver takes it
	}
	if segment != nil {
		if !noSignature(segment) {
			return BadTCPOption
		}
		p.Checksum = checkSegment(p, d.header, segment)
	}
	if d.multicast || !p.addressable(d.tunnelled || p.MAC != [6]byte{}) {
		return BadAddress
	}
	return Mail
}

// addressable reports whether a Linux kernel would answer a SYN between these addresses: neither is
// a multicast or an unspecified address, the sender's is not the receiver's own, and neither is a
// loopback address, except on the loopback interface (wired is false), whose frames have no
// link-layer sender.
func (p *Packet) addressable(wired bool) bool {
	if !p.V6 {
		return unicast4(p.Src[12:], wired) && unicast4(p.Dst[12:], wired) &&
			(!wired || be.Uint32(p.Src[12:]) != be.Uint32(p.Dst[12:]))
	}
	return (!wired || p.Src != p.Dst) && unicast6(&p.Src, wired) && unicast6(&p.Dst, wired) &&
		p.Dst != Addr{}
}

// ordinary reports whether addressable is true without a closer look: the addresses are two
// different unicast ones of IPv4.
func (p *Packet) ordinary() bool {
	src, dst := le.Uint32(p.Src[12:]), le.Uint32(p.Dst[12:])
	return !p.V6 && src != dst && unicast(uint8(src)) && unicast(uint8(dst))
}

// unicast reports whether an IPv4 address with this first byte is neither reserved nor a multicast
// or loopback address.
func unicast(first uint8) bool { return first-1 < 223 && first != 127 }

// unicast4 reports false for 0.0.0.0, 224/4, 255.255.255.255, and 127/8 on a wire.
func unicast4(a []byte, wired bool) bool {
	return unicast(a[0]) || reserved4(a, wired)
}

// reserved4 is unicast4 for addresses that are not ordinary. 0/8 and 240/4 are reserved, and
// accepted.
func reserved4(a []byte, wired bool) bool {
	switch {
	case a[0]&0xf0 == 224:
		return false
	case a[0] == 127:
		return !wired
	case a[0] == 0, a[0] == 255:
		return a[1] != a[0] || a[2] != a[0] || a[3] != a[0]
	}
	return true
}

// unicast6 reports false for ff00::/8, ::1 on a wire, and ::ffff/96, which stands for IPv4 and is
// never sent.
func unicast6(a *Addr, wired bool) bool {
	if a[0] != 0 || be.Uint64(a[:8]) != 0 {
		return a[0] != 0xff
	}
	low := be.Uint64(a[8:])
	return (low != 1 || !wired) && low>>32 != 0xffff
}

// noSignature reports whether the options have no signature, for which Linux would drop a SYN if
// none was agreed on (tcp_do_parse_auth_options in net/ipv4/tcp.c). It drops a SYN with an MD5
// signature (RFC 2385), or with a malformed option at a place where as many bytes are left as a
// signature needs. Before 6.7 Linux skipped malformed options, and other systems do. A SYN that
// such a system answers is still an attempt, by its SYN-ACK.
func noSignature(segment []byte) bool {
	const md5, md5Length, ao, aoLength = 19, 18, 29, 4
	offset := int(segment[12]>>4) * 4
	authentic := false
	for b := segment[20:offset]; len(b) >= md5Length; {
		switch {
		case b[0] == 0:
			return true
		case b[0] == 1:
			b = b[1:]
			continue
		case b[1] < 2 || int(b[1]) > len(b), b[0] == md5, b[0] == ao &&
			(b[1] <= aoLength || authentic):
			return false
		}
		authentic = authentic || b[0] == ao
		b = b[b[1]:]
	}
	return true
}
