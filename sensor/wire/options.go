package wire

// IPv4 options that a receiver interprets (RFC 791, section 3.1; RFC 2113).
const (
	optEnd         = 0
	optNop         = 1
	optRecordRoute = 7
	optTimestamp   = 68
	optCIPSO       = 134
	optLooseRoute  = 131
	optStrictRoute = 137
	optRouterAlert = 148
)

// optionsOK reports whether a Linux kernel would accept these IPv4 options (ip_options_compile in
// net/ipv4/ip_options.c): every length stays within the header; no option that routers write to
// occurs twice or points behind itself; there is no source route, which Linux refuses by default,
// and no CIPSO label (FIPS 188), which Linux refuses unless its domain is configured. Bytes behind
// the end-of-list option are ignored.
func optionsOK(b []byte) bool {
	var route, stamp bool
	for len(b) > 0 { // 40 bytes at most, and each round consumes at least one
		switch b[0] {
		case optEnd:
			return true
		case optNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		o := b[:b[1]]
		b = b[b[1]:]
		switch o[0] {
		case optLooseRoute, optStrictRoute, optCIPSO:
			return false
		case optRecordRoute:
			// pointer 8, then room for addresses
			if route || len(o) < 3 || o[2] < 4 || int(o[2]) <= len(o) && int(o[2])+3 > len(o) {
				return false
			}
			route = true
		case optTimestamp:
			if stamp || !timestampOK(o) {
				return false
			}
			stamp = true
		case optRouterAlert:
			if len(o) < 4 {
				return false
			}
		}
	}
	return true
}

// timestampOK checks a timestamp option: pointer 8, overflow 4, kind 4, then space for times (kind
// 0) or for addresses and times (1 and 3).
func timestampOK(o []byte) bool {
	const times, prespecified = 0, 3
	if len(o) < 4 || o[2] < 5 {
		return false
	}
	pointer, kind := int(o[2]), o[3]&0x0f
	if pointer > len(o) { // full: the overflow counter has four bits
		return kind == prespecified || o[3]>>4 < 15
	}
	switch kind {
	case times:
		return pointer+3 <= len(o)
	case 1, prespecified:
		return pointer+7 <= len(o)
	}
	return pointer+3 <= len(o)
}

// IPv6 options (RFC 8200, section 4.2; RFC 2675).
const (
	tlvPad1        = 0
	tlvPadN        = 1
	tlvRouterAlert = 5
	tlvCALIPSO     = 7    // RFC 5570
	tlvTrace       = 0x31 // RFC 9486
	tlvJumbo       = 0xc2
)

// jumboLength is the payload length in the jumbo option of a hop-by-hop header at the beginning of
// b, in bytes; zero if there is no such option. ok is false if the usual field could express the
// length (RFC 2675, section 3).
func jumboLength(b []byte) (n int, ok bool) {
	if len(b) < 8 {
		return 0, true
	}
	b = b[:min(len(b), 8+int(b[1])*8)]
	for b = b[2:]; len(b) >= 6; { // each round consumes at least one byte
		switch {
		case b[0] == tlvPad1:
			b = b[1:]
		case b[0] == tlvJumbo:
			n = int(be.Uint32(b[2:]))
			return n, n > 0xffff
		default:
			b = b[min(2+int(b[1]), len(b)):]
		}
	}
	return 0, true
}

// tlvOK reports whether a Linux kernel would accept the options of a hop-by-hop or destination
// header (ip6_parse_tlv in net/ipv6/exthdrs.c): at most seven bytes of padding in a row, and those
// zero; at most eight other options; no unknown option that asks for the packet to be dropped (the
// two upper bits of its type). A CALIPSO label is refused because the receiver would have to know
// its domain. A trace option must be aligned to words. b is the header behind next header and
// length.
func tlvOK(b []byte, hopByHop, jumbo bool) bool {
	pad, options, end := 0, 0, 2+len(b)
	for len(b) > 0 { // 2048 bytes at most, and each round consumes at least one
		if b[0] == tlvPad1 {
			if pad++; pad > 7 {
				return false
			}
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1])+2 > len(b) {
			return false
		}
		n := int(b[1]) + 2 // up to 257: more than a byte
		o := b[:n]
		b = b[n:]
		if o[0] == tlvPadN {
			if pad += len(o); pad > 7 {
				return false
			}
			for _, x := range o[2:] {
				if x != 0 {
					return false
				}
			}
			continue
		}
		pad = 0
		if options++; options > 8 {
			return false
		}
		switch {
		case hopByHop && o[0] == tlvRouterAlert:
			if len(o) != 4 {
				return false
			}
		case hopByHop && o[0] == tlvCALIPSO, hopByHop && o[0] == tlvTrace && (end-len(b)-n)%4 != 0:
			return false
		case hopByHop && o[0] == tlvJumbo:
			if !jumbo || len(o) != 6 {
				return false
			}
		case o[0]&0xc0 != 0:
			return false
		}
	}
	return true
}
