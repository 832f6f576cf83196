package wire

// opens reports whether a segment is a first SYN: it asks for a connection.
func (p *Packet) opens() bool { return p.Flags&(SYN|ACK) == SYN }

// opening judges a first SYN further than other segments, because it is counted by itself: is there an
// answer to it at all? segment is the TCP header and what follows, nil where it was not captured whole.
func (d *Decoder) opening(p *Packet, segment []byte) Outcome {
	p.Checksum = Unchecked
	if segment != nil {
		if p.Checksum = checkSYN(p, d.header, segment); d.badHeader {
			p.Checksum = Wrong
		}
	}
	if d.group || !p.addressable() {
		return BadAddress
	}
	return Mail
}

// addressable reports whether a Linux kernel would answer a SYN between these addresses: neither is
// that of a group or of nobody, the sender's is not the receiver's own, and none is the
// loopback's but on the loopback interface, whose frames have no link-layer sender.
func (p *Packet) addressable() bool {
	wired := p.MAC != [6]byte{}
	if wired && p.Src == p.Dst {
		return false
	}
	if !p.V6 {
		return unicast4(p.Src[12:], wired) && unicast4(p.Dst[12:], wired)
	}
	return p.Src[0] != 0xff && p.Dst[0] != 0xff && (p.Src[0]|p.Dst[0] != 0 || unicast6(p.Src, wired) && unicast6(p.Dst, wired))
}

// unicast4 leaves out 0/8, 224/4, 255.255.255.255, and 127/8 on a wire. 240/4 is reserved, and accepted.
func unicast4(a []byte, wired bool) bool {
	switch {
	case a[0] == 0, a[0]&0xf0 == 224:
		return false
	case a[0] == 127:
		return !wired
	case a[0] == 255:
		return a[1]&a[2]&a[3] != 255
	}
	return true
}

// unicast6 leaves out ::, ::1 on a wire, and ::ffff/96, which stands for IPv4 and is never sent.
func unicast6(a Addr, wired bool) bool {
	if be.Uint64(a[:8]) != 0 {
		return true
	}
	low := be.Uint64(a[8:])
	return low != 0 && (low != 1 || !wired) && low>>32 != 0xffff
}
