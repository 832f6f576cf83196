package wire

// opens reports whether a segment is a first SYN: it asks for a connection.
func (p *Packet) opens() bool { return p.Flags&(SYN|ACK) == SYN }

// opening judges a first SYN further than other segments, because it is counted by itself: is there an
// answer to it at all? segment is the TCP header and what follows, nil where it was not captured whole.
func (d *Decoder) opening(p *Packet, segment []byte) Outcome {
	p.Checksum = Unchecked
	if segment != nil {
		if !unsigned(segment) {
			return BadTCPOption
		}
		p.Checksum = checkSegment(p, d.header, segment)
	}
	if d.group || !p.addressable(d.tunnelled || p.MAC != [6]byte{}) {
		return BadAddress
	}
	return Mail
}

// addressable reports whether a Linux kernel would answer a SYN between these addresses: neither is
// that of a group or of nobody, the sender's is not the receiver's own, and none is the
// loopback's but on the loopback interface, where nothing is wired: its frames have no link-layer sender.
func (p *Packet) addressable(wired bool) bool {
	if !p.V6 {
		return unicast4(p.Src[12:], wired) && unicast4(p.Dst[12:], wired) && (!wired || be.Uint32(p.Src[12:]) != be.Uint32(p.Dst[12:]))
	}
	return (!wired || p.Src != p.Dst) && unicast6(&p.Src, wired) && unicast6(&p.Dst, wired) && p.Dst != Addr{}
}

// unicast4 leaves out 0.0.0.0, 224/4, 255.255.255.255, and 127/8 on a wire.
func unicast4(a []byte, wired bool) bool {
	return a[0] != 0 && a[0] != 127 && a[0] < 224 || reserved4(a, wired)
}

// reserved4 is unicast4 for what is not ordinary. 0/8 and 240/4 are reserved, and accepted.
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

// unicast6 leaves out ff00::/8, ::1 on a wire, and ::ffff/96, which stands for IPv4 and is never sent.
func unicast6(a *Addr, wired bool) bool {
	if a[0] != 0 || be.Uint64(a[:8]) != 0 {
		return a[0] != 0xff
	}
	low := be.Uint64(a[8:])
	return (low != 1 || !wired) && low>>32 != 0xffff
}

// unsigned reports whether Linux finds nothing among the options for which it would drop a SYN, when it
// looks for a signature that nobody asked for (tcp_do_parse_auth_options in net/ipv4/tcp.c): no MD5 signature (RFC 2385), and
// no malformed option where as many bytes are left as a signature needs. Before 6.7 Linux passed over the malformed
// ones, and other systems do: what is answered all the same is an attempt, by its SYN-ACK.
func unsigned(segment []byte) bool {
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
		case b[1] < 2 || int(b[1]) > len(b), b[0] == md5, b[0] == ao && (b[1] <= aoLength || authentic):
			return false
		}
		authentic = authentic || b[0] == ao
		b = b[b[1]:]
	}
	return true
}
