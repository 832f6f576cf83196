package wire

// Ethertypes, and numbers beyond them for layers that have none.
const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherTEB    = 0x6558 // Ethernet in GRE or GENEVE (transparent Ethernet bridging)
	etherVLAN   = 0x8100
	etherRARP   = 0x8035
	etherIPv6   = 0x86dd
	etherPPP    = 0x880b
	etherMPLS   = 0x8847
	etherMPLSmc = 0x8848
	etherPPPoE  = 0x8864
	etherQinQ   = 0x88a8
	etherERSPAN = 0x88be // ERSPAN type I and II, in GRE only
	etherERSP3  = 0x22eb // ERSPAN type III, in GRE only
	etherITag   = 0x88e7 // 802.1ah: Ethernet in a provider's Ethernet
	etherETag   = 0x893f
	etherQinQ1  = 0x9100 // QinQ before 802.1ad
	etherQinQ2  = 0x9200

	layerEthernet = 0x10000 + iota
	layerIP       // IPv4 or IPv6, by the version field
	layerPPP
	layerLLC
	layerWLAN
)

// IP protocol numbers.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoEtherIP  = 97 // RFC 3378
	protoL2TP     = 115
	protoMPLS     = 137 // RFC 4023
)

// UDP ports of DNS and of tunnels that are stripped. VXLAN's second port is the one that Linux used
// before the registration; it still is the default of `ip link add type vxlan`.
const (
	portDNS        = 53
	portVXLAN      = 4789
	portVXLANLinux = 8472
	portVXLANGPE   = 4790
	portGENEVE     = 6081
	portTZSP       = 37008 // MikroTik's sniffer and its mangle action sniff-tzsp
)

// UDP ports of tunnels that are not stripped: of telephone networks, wireless controllers, dial-in
// and VPNs.
const (
	portL2TP      = 1701
	portGTP       = 2152
	portESP       = 4500
	portCAPWAP    = 5247
	portWireGuard = 51820
)

func isTunnelPort(p uint16) bool {
	switch p {
	case portVXLAN, portVXLANLinux, portGENEVE, portVXLANGPE, portTZSP:
		return true
	}
	return false
}

func isOpaquePort(p uint16) bool {
	switch p {
	case portL2TP, portGTP, portESP, portCAPWAP, portWireGuard:
		return true
	}
	return false
}

// maxLayers bounds the walk. A mirrored frame in ERSPAN that holds QinQ, PPPoE and IP has 9 layers.
// An endless chain of tunnels is an attack.
const maxLayers = 20

// maxTags bounds the VLAN tags of a frame. No network needs more than three. A Linux kernel accepts
// any number of priority tags (VLAN 0), so that a frame with five of them reaches its listener.
const maxTags = 16

// walk strips layer after layer up to the innermost IP header, and decodes its transport. b starts
// at a header of the layer proto.
func (d *Decoder) walk(proto uint32, b []byte, cut int, p *Packet) Outcome {
	tags := 0
	for range maxLayers {
		var n int // bytes of the current header, stripped at the end of the round
		switch proto {
		case layerEthernet:
			if len(b) < 14 {
				return short(cut, ShortLink)
			}
			copy(d.to[:], b)
			copy(d.mac[:], b[6:12])
			d.multicast = b[0]&1 != 0
			if proto, n = uint32(be.Uint16(b[12:])), 14; proto < 0x600 {
				proto = layerLLC // 802.3: a length, and LLC behind it
			}

		case etherVLAN, etherQinQ, etherQinQ1, etherQinQ2:
			// priority 3, drop eligible 1, VLAN id 12; ethertype 16
			if len(b) < 4 {
				return short(cut, ShortLink)
			}
			if tags++; tags > maxTags {
				return TooManyTags
			}
			if d.tags < MaxTags {
				d.vlan[d.tags] = be.Uint16(b) & 0x0fff
				d.tags++
			}
			if proto, n = uint32(be.Uint16(b[2:])), 4; proto < 0x600 {
				proto = layerLLC
			}

		case etherETag:
			// 802.1BR: priority, ingress and E-channel id 48 bits; ethertype 16
			if len(b) < 8 {
				return short(cut, ShortLink)
			}
			proto, n = uint32(be.Uint16(b[6:])), 8

		case etherITag:
			// priority 3, drop eligible 1, flags 4, service 24; an Ethernet frame
			if len(b) < 4 {
				return short(cut, ShortLink)
			}
			d.tunnel = be.Uint32(b) & 0xffffff
			proto, n = layerEthernet, 4

		case layerWLAN:
			var o Outcome
			if n, o = d.wlan(b, cut); o != Mail {
				return o
			}
			proto = layerLLC

		case layerLLC:
			// DSAP 1, SSAP 1, control 1; with SNAP: OUI 3, ethertype 2
			switch {
			case len(b) < 3:
				return short(cut, ShortLink)
			case b[0] == 0x06 && b[1] == 0x06 && b[2] == 0x03: // IP's own SAP (RFC 948)
				proto, n = layerIP, 3
			case b[0]&0xfe != 0xaa || b[1]&0xfe != 0xaa || b[2] != 0x03:
				return OtherLLC
			case len(b) < 8:
				return short(cut, ShortLink)
			case b[3] != 0 || b[4] != 0 || b[5] != 0 && b[5] != 0xf8: // a vendor's own protocol
				return OtherLLC
			default:
				proto, n = uint32(be.Uint16(b[6:])), 8
			}

		case etherMPLS, etherMPLSmc:
			// label 20, class 3, bottom of stack 1, TTL 8 (RFC 3032)
			for n = 4; ; n += 4 { // one label each
				if len(b) < n+1 {
					return short(cut, ShortLink)
				}
				if b[n-2]&1 != 0 {
					break
				}
			}
			// The stack does not name the layer behind it: IP, or a pseudowire that carries
			// Ethernet, with or without a control word (RFC 4385, RFC 4928). A MAC address may
			// begin like either.
			switch version := b[n] >> 4; {
			case version == 4 &&
				(!etherAt(b[n:]) || len(b) >= n+20 && fold(sum(0, b[n:n+20])) == 0xffff),
				version == 6 && !etherAt(b[n:]):
				proto = layerIP
			case version == 0 && !etherAt(b[n:]):
				n += 4
				proto = layerEthernet
			default:
				proto = layerEthernet
			}

		case etherPPPoE:
			// version and type 1, code 1, session 2, length 2 (RFC 2516)
			if len(b) < 6 {
				return short(cut, ShortLink)
			}
			d.tunnel = uint32(be.Uint16(b[2:]))
			proto, n = layerPPP, 6

		case layerPPP, etherPPP:
			// address and control are optional, and so is the protocol's first byte (RFC 1661, 6.5
			// and 6.6; RFC 1662, 3.1)
			if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
				n = 2
			}
			if len(b) < n+2 {
				return short(cut, ShortLink)
			}
			id := uint16(b[n])
			if n++; id&1 == 0 {
				id = id<<8 | uint16(b[n])
				n++
			}
			switch id {
			case 0x0021:
				proto = etherIPv4
			case 0x0057:
				proto = etherIPv6
			case 0x0281:
				proto = etherMPLS
			default:
				return OtherPPP
			}

		case layerIP:
			if len(b) < 1 {
				return short(cut, ShortIP)
			}
			switch b[0] >> 4 {
			case 4:
				proto = etherIPv4
			case 6:
				proto = etherIPv6
			default:
				return BadIPVersion
			}

		case etherIPv4, etherIPv6:
			var transport uint8
			var o Outcome
			if proto == etherIPv4 {
				transport, b, cut, o = d.ipv4(b, cut, p)
			} else {
				transport, b, cut, o = d.ipv6(b, cut, p)
			}
			if o != Mail {
				return o
			}
			switch transport {
			case protoTCP:
				return d.tcp(b, cut, p)
			case protoICMP:
				return d.icmp(b, cut, p, false)
			case protoICMPv6:
				return d.icmp(b, cut, p, true)
			case protoUDP:
				proto, n, o = d.udp(b, cut, p)
			case protoGRE:
				proto, n, o = d.gre(b, cut)
			case protoIPv4:
				proto = etherIPv4
			case protoIPv6:
				proto = etherIPv6
			case protoMPLS:
				proto = etherMPLS
			case protoEtherIP: // version 4, reserved 12; an Ethernet frame
				proto, n, d.tags = layerEthernet, 2, 0
			case protoESP, protoL2TP:
				return OtherTunnel
			default:
				return OtherIP
			}
			if o != Mail {
				return o
			}
			// The link-layer addresses belong to the ends of the tunnel, not to the host.
			d.mac, d.to, d.tunnelled = [6]byte{}, [6]byte{}, true

		case etherARP, etherRARP:
			return ARP
		default:
			return OtherEther
		}
		if n > len(b) {
			return short(cut, ShortLink)
		}
		b = b[n:]
	}
	return TooManyLayers
}

// etherAt reports whether b begins with an Ethernet frame of IP, tagged or not.
func etherAt(b []byte) bool {
	if len(b) < 15 {
		return false
	}
	switch be.Uint16(b[12:]) {
	case etherIPv4:
		return b[14]>>4 == 4
	case etherIPv6:
		return b[14]>>4 == 6
	}
	return be.Uint16(b[12:]) == etherVLAN
}

// wlan reads the header of an 802.11 frame that carries data without encryption (IEEE 802.11-2020,
// section 9.3.2) and returns its length. The outcome Mail means that the walk goes on.
//
//	version 2, type 2, subtype 4,
//	to DS 1, from DS 1, more fragments 1, retry 1, power 1, more data 1, protected 1, order 1
//	duration 16, three addresses, fragment 4, sequence 12, with both DS bits a fourth address
//	of some subtypes: QoS 16, with the order bit HT control 32
func (d *Decoder) wlan(b []byte, cut int) (n int, o Outcome) {
	if len(b) < 2 {
		return 0, short(cut, ShortLink)
	}
	const toDS, fromDS, more, protected, order = 1, 2, 4, 0x40, 0x80
	const noData, qos, aggregate = 0x40, 0x80, 0x80
	if b[0]&0x0f != 2<<2 || b[0]&noData != 0 || b[1]&(protected|more) != 0 {
		return 0, OtherEther
	}
	n = 24
	if b[1]&(toDS|fromDS) == toDS|fromDS {
		n = 30
	}
	control := n
	if b[0]&qos != 0 {
		if n += 2; b[1]&order != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return 0, short(cut, ShortLink)
	}
	if b[22]&0x0f != 0 || b[0]&qos != 0 && b[control]&aggregate != 0 {
		return 0, OtherEther // a fragment, or several frames in one
	}
	to, from := b[4:10], b[10:16]
	if b[1]&toDS != 0 {
		to = b[16:22]
	}
	switch b[1] & (toDS | fromDS) {
	case fromDS:
		from = b[16:22]
	case toDS | fromDS:
		from = b[24:30]
	}
	copy(d.mac[:], from)
	d.multicast = to[0]&1 != 0
	return n, Mail
}

// udp finds DNS and tunnels. n is the length of the headers in front of the tunnelled layer. The
// outcome Mail means that the walk goes on.
func (d *Decoder) udp(b []byte, cut int, p *Packet) (layer uint32, n int, o Outcome) {
	if len(b) < 8 {
		return 0, 0, short(cut, OtherUDP)
	}
	p.SrcPort, p.DstPort = be.Uint16(b), be.Uint16(b[2:])
	if p.SrcPort == portDNS || p.DstPort == portDNS {
		p.Flags = 0
		d.finish(p, DNS, b[8:], len(b)-8+cut)
		return 0, 0, DNSMessage
	}
	switch {
	case isOpaquePort(p.DstPort):
		return 0, 0, OtherTunnel
	case !isTunnelPort(p.DstPort):
		return 0, 0, OtherUDP
	}
	if len(b) < 16 {
		return 0, 0, short(cut, OtherUDP)
	}
	t := b[8:]
	d.tags = 0 // the tags belong to the transport network, not to the host
	switch p.DstPort {
	case portVXLAN, portVXLANLinux:
		// flags 8, reserved 24, network 24, reserved 8 (RFC 7348, section 5)
		if t[0]&0x08 == 0 {
			return 0, 0, OtherUDP
		}
		d.tunnel = be.Uint32(t[4:]) >> 8
		return layerEthernet, 16, Mail
	case portTZSP:
		// version 8, type 8, protocol 16; then fields of type 8, length 8, value up to type 1;
		// type 0 is padding
		if t[0] != 1 || t[1] > 1 { // type 0 is a received packet, 1 a packet to be sent
			return 0, 0, OtherUDP
		}
		n := 4
		for n < len(t) && t[n] != 1 { // each round consumes at least one byte
			if t[n] != 0 {
				if n+1 == len(t) {
					break
				}
				n += 1 + int(t[n+1])
			}
			n++
		}
		if n+1 >= len(t) {
			return 0, 0, short(cut, ShortLink)
		}
		switch be.Uint16(t[2:]) {
		case 1:
			return layerEthernet, 8 + n + 1, Mail
		case 18:
			return layerWLAN, 8 + n + 1, Mail
		}
		return 0, 0, OtherUDP
	case portVXLANGPE:
		// flags 8, reserved 16, next protocol 8, network 24, reserved 8
		d.tunnel = be.Uint32(t[4:]) >> 8
		switch t[3] {
		case 1:
			return etherIPv4, 16, Mail
		case 2:
			return etherIPv6, 16, Mail
		case 3:
			return layerEthernet, 16, Mail
		}
		return 0, 0, OtherUDP
	default:
		// GENEVE: version 2, option words 6, flags 8, ethertype 16, network 24, reserved 8
		// (RFC 8926, section 3.4)
		if t[0]>>6 != 0 {
			return 0, 0, OtherUDP
		}
		d.tunnel = be.Uint32(t[4:]) >> 8
		return tunnelLayer(be.Uint16(t[2:])), 16 + int(t[0]&0x3f)*4, Mail
	}
}

// tunnelLayer maps the ethertype of a tunnel header to a layer.
func tunnelLayer(ethertype uint16) uint32 {
	if ethertype == etherTEB {
		return layerEthernet
	}
	return uint32(ethertype)
}

// gre reads a GRE header (RFC 2784, RFC 2890; PPTP has version 1, RFC 2637) and the ERSPAN header
// that may follow it.
//
//	checksum present 1, routing 1, key present 1, sequence present 1, ...,
//	acknowledgment present 1, ..., version 3
//	ethertype 16, then the present fields
func (d *Decoder) gre(b []byte, cut int) (layer uint32, n int, o Outcome) {
	if len(b) < 4 {
		return 0, 0, short(cut, ShortLink)
	}
	flags, ethertype := be.Uint16(b), be.Uint16(b[2:])
	const checksum, routing, key, sequence, acknowledgment = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	version := flags & 7
	if version > 1 || flags&routing != 0 {
		return 0, 0, OtherIP
	}
	d.tags = 0
	n = 4
	if flags&checksum != 0 {
		n += 4
	}
	if flags&key != 0 {
		if len(b) < n+4 {
			return 0, 0, short(cut, ShortLink)
		}
		d.tunnel = be.Uint32(b[n:])
		if version == 1 {
			d.tunnel &= 0xffff // the upper half is a length
		}
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	if version == 1 && flags&acknowledgment != 0 {
		n += 4
	}
	switch {
	case ethertype == etherERSPAN && flags&sequence == 0: // type I has no header of its own
		return layerEthernet, n, Mail
	case ethertype == etherERSPAN || ethertype == etherERSP3:
		// version 4, VLAN 12, class 3, tag kept 2, truncated 1, session 10
		// (draft-foschiano-erspan-03)
		if len(b) < n+12 {
			return 0, 0, short(cut, ShortLink)
		}
		h := b[n:]
		vlan := be.Uint16(h) & 0x0fff
		d.tunnel = uint32(be.Uint16(h[2:]) & 0x03ff)
		n += 8
		if ethertype == etherERSP3 {
			n += 4
			if h[11]&1 != 0 { // a platform specific sub-header
				n += 8
			}
		}
		// The switch may have moved the tag of the mirrored frame into this header.
		if vlan != 0 && len(b) >= n+14 && be.Uint16(b[n+12:]) != etherVLAN {
			d.vlan[0], d.tags = vlan, 1
		}
		return layerEthernet, n, Mail
	}
	return tunnelLayer(ethertype), n, Mail
}

// tcp reads the fixed part of a TCP header (RFC 9293, section 3.1).
//
//	source port 16, destination port 16
//	sequence 32, acknowledgment 32
//	data offset 4, reserved 4, flags 8, window 16
//	checksum 16, urgent pointer 16, options
func (d *Decoder) tcp(b []byte, cut int, p *Packet) Outcome {
	if len(b) < 20 {
		// The flags are enough to count the segment.
		if len(b)+cut < 20 {
			return ShortTCP
		}
		if len(b) < 14 {
			return Truncated
		}
	}
	p.SrcPort, p.DstPort = be.Uint16(b), be.Uint16(b[2:])
	p.Flags = Flags(b[13])
	if !d.IsMailPort(p.SrcPort) && !d.IsMailPort(p.DstPort) {
		offset := int(b[12]>>4) * 4
		if (p.SrcPort == portDNS || p.DstPort == portDNS) && p.Flags&(SYN|RST) == 0 &&
			offset >= 20 && offset < len(b) {
			d.finish(p, DNS, b[offset:], len(b)-offset+cut)
			return DNSSegment
		}
		return otherSegment(p.Flags)
	}
	length := len(b) + cut
	offset := int(b[12]>>4) * 4
	if offset < 20 || offset > length {
		return BadTCPOffset
	}
	if !p.Flags.acceptable() {
		return BadTCPFlags
	}
	p.Seq, p.Ack = be.Uint32(b[4:]), be.Uint32(b[8:])
	if len(b) >= 18 {
		p.Sum |= uint32(be.Uint16(b[16:]))
	}
	d.finish(p, TCP, b[min(offset, len(b)):], length-offset)
	if p.isFirstSYN() {
		if cut > 0 {
			b = nil
		}
		return d.firstSYN(p, b)
	}
	p.Checksum = Unchecked
	if p.Flags.Has(URG) && len(b) >= 20 {
		p.Urgent = be.Uint16(b[18:])
	}
	if d.IsMailPort(p.DstPort) || p.Flags.Has(SYN) {
		d.inspect(p, d.header, b, offset, cut)
	}
	return Mail
}

// icmp finds errors that quote a segment to a mail port: ICMP types 3, 11 and 12 (RFC 792), ICMPv6
// types 1, 3 and 4 (RFC 4443). They quote the IP header and at least 8 bytes behind it, enough for
// ports and sequence number.
func (d *Decoder) icmp(b []byte, cut int, p *Packet, v6 bool) Outcome {
	if len(b) < 8 {
		return short(cut, OtherICMP)
	}
	typ, code := b[0], b[1]
	if v6 && typ != 1 && typ != 3 && typ != 4 || !v6 && typ != 3 && typ != 11 && typ != 12 {
		return OtherICMP
	}
	reporter, ttl := p.Src, p.TTL
	// The quote may be shorter than its own length field: the missing bytes count as cut.
	const quoteCut = 0xffff
	var transport uint8
	var o Outcome
	joined := d.fragments
	d.fragments = nil // a quoted fragment is not on its way
	if v6 {
		transport, b, _, o = d.ipv6(b[8:], quoteCut, p)
	} else {
		transport, b, _, o = d.ipv4(b[8:], quoteCut, p)
	}
	d.fragments = joined
	if o != Mail || transport != protoTCP || len(b) < 8 {
		return OtherICMP
	}
	p.SrcPort, p.DstPort, p.Seq = be.Uint16(b), be.Uint16(b[2:]), be.Uint32(b[4:])
	if !d.IsMailPort(p.DstPort) {
		return OtherICMP
	}
	p.Flags, p.Ack, p.TTL, p.Checksum = 0, 0, ttl, Unchecked
	p.Reporter, p.ICMPType, p.ICMPCode = reporter, typ, code
	d.finish(p, ICMPError, nil, 0)
	return MailError
}

// finish copies the results of the walk to the packet. captured is the captured part of a payload
// of length bytes.
func (d *Decoder) finish(p *Packet, k Kind, captured []byte, length int) {
	p.Kind = k
	p.Payload, p.Len = captured, uint32(length)
	p.MAC, p.To, p.VLAN, p.Tags, p.Tunnel, p.Wire = d.mac, d.to, d.vlan, d.tags, d.tunnel, d.wire
	p.Stamp, p.Stamped, p.Signed, p.Urgent = 0, false, false, 0
}
