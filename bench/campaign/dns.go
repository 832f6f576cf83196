package campaign

import (
	"net/netip"
	"strings"
)

// The types of a DNS question (RFC 1035, 3.2.2; RFC 3596).
const (
	typeA    = 1
	typeMX   = 15
	typeAAAA = 28
)

// lookup sends a question to the site's resolver, and its answer, if the mirror port sees lookups.
// The answer is the name or address of the destination; with found false the name does not exist.
func (h *Host) lookup(typ uint16, name string, to destination, found bool) {
	s := h.site
	if !s.DNS {
		return
	}
	six := s.cfg.V6 || h.ipv6
	if six && typ == typeA {
		typ = typeAAAA
	}
	id, port := uint16(h.rng.Uint32()), h.nextPort()
	q := question(id, typ, name)
	a := append([]byte{}, q...)
	a[2], a[3] = 0x81, 0x80
	switch {
	case !found:
		a[3] = 0x83 // no such name
	case typ == typeMX:
		a[7] = 1
		n := encodeName(to.name)
		a = append(a, 0xc0, 12, 0, typeMX, 0, 1, 0, 0, 14, 16, 0, byte(2+len(n)), 0, 10)
		a = append(a, n...)
	default:
		a[7] = 1
		addr := to.addr.AsSlice()
		if six {
			addr = h.mapped(to.addr).AsSlice()
		}
		a = append(a, 0xc0, 12, 0, byte(typ), 0, 1, 0, 0, 14, 16, 0, byte(len(addr)))
		a = append(a, addr...)
	}
	// The resolver is in another network of the site: its frames come from the router.
	from, at := netip.AddrPortFrom(h.Addr, port), netip.AddrPortFrom(resolver(s.lan), 53)
	h.datagram(from, at, true, q)
	s.begin(s.now+between(h.rng, millisecond, 20*millisecond), taskFunc(func() int64 {
		h.datagram(at, from, false, a)
		return 0
	}))
}

// datagram sends a UDP packet.
func (h *Host) datagram(from, to netip.AddrPort, inside bool, payload []byte) {
	p := &h.site.packet
	p.Src, p.Dst, p.Proto, p.Flags, p.Payload = from, to, UDP, 0, payload
	h.emit(p, inside, h.ttl, false)
}

// resolver is the address of the site's resolver.
func resolver(lan netip.Addr) netip.Addr {
	b := lan.As4()
	b[3] = 53
	return netip.AddrFrom4(b)
}

// question is a DNS message with one question (RFC 1035, 4.1).
func question(id, typ uint16, name string) []byte {
	q := be.AppendUint16(nil, id)
	q = append(q, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	q = append(q, encodeName(name)...)
	return append(q, byte(typ>>8), byte(typ), 0, 1)
}

// encodeName is a name in the form of RFC 1035, 3.1.
func encodeName(name string) (b []byte) {
	for _, label := range strings.Split(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}
