package traffic

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

// Types of DNS records.
const (
	typeA     = 1
	typeCNAME = 5
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeSRV   = 33
)

// Record is a record of a DNS answer. Data is an address, or a name for MX, CNAME and PTR.
type Record struct {
	Name string
	Type uint16
	Addr netip.Addr
	Text string
}

// Lookup draws a query and its answer and returns the time after it. It draws nothing where the DNS
// is not on the mirror, or the host encrypts it. No record is the answer "no such name".
func (w *World) Lookup(at time.Duration, h *Host, name string, kind uint16, rs ...Record,
) time.Duration {
	if !w.DNS || h.NoDNS {
		return at + 10*time.Millisecond
	}
	v6 := !h.V4.IsValid()
	if v6 && !w.Resolver.V6.IsValid() || !v6 && !w.Resolver.V4.IsValid() {
		return at + 10*time.Millisecond
	}
	id := uint16(w.R.UintN(65536))
	port := uint16(20000 + w.R.IntN(40000))
	question := append(dnsName(name), byte(kind>>8), byte(kind), 0, 1)
	query := append(dnsHeader(id, 0x0100, 0), question...)
	r := w.route(at, h, w.Resolver, h.Addr(v6), w.Resolver.Addr(v6))
	w.emit(at, r.frame(protoUDP, r.udp(port, 53, query)))
	flags := uint16(0x8180)
	if len(rs) == 0 {
		flags |= 3
	}
	answer := append(dnsHeader(id, flags, len(rs)), question...)
	for _, x := range rs {
		answer = append(answer, x.bytes(w)...)
	}
	at += w.Resolver.RTT + w.Between(200*time.Microsecond, 25*time.Millisecond)
	r = w.route(at, w.Resolver, h, w.Resolver.Addr(v6), h.Addr(v6))
	w.emit(at, r.frame(protoUDP, r.udp(53, port, answer)))
	return at + w.Between(100*time.Microsecond, 2*time.Millisecond)
}

// dnsHeader is the header of a message (RFC 1035 section 4.1.1).
func dnsHeader(id, flags uint16, answers int) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint16(b[0:], id)
	binary.BigEndian.PutUint16(b[2:], flags)
	b[5], b[7] = 1, byte(answers)
	return b
}

// dnsName is a name without compression.
func dnsName(name string) (b []byte) {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// bytes is the record in an answer.
func (x Record) bytes(w *World) []byte {
	b := append(dnsName(x.Name), byte(x.Type>>8), byte(x.Type), 0, 1)
	ttl := []uint32{60, 300, 1800, 3600}[w.R.IntN(4)]
	b = binary.BigEndian.AppendUint32(b, ttl)
	var data []byte
	switch {
	case x.Addr.IsValid():
		data = x.Addr.AsSlice()
	case x.Type == typeMX:
		data = append([]byte{0, 10}, dnsName(x.Text)...)
	case x.Type == typeSRV:
		data = append([]byte{0, 0, 0, 0, 587 >> 8, 587 & 0xff}, dnsName(x.Text)...)
	case x.Type == typeTXT:
		data = append([]byte{byte(len(x.Text))}, x.Text...)
	default:
		data = dnsName(x.Text)
	}
	return append(append(b, byte(len(data)>>8), byte(len(data))), data...)
}

// Resolve draws the lookup of the addresses of a name, both families where the host has IPv6.
func (w *World) Resolve(at time.Duration, h *Host, name string, v4, v6 []netip.Addr,
) time.Duration {
	var a, aaaa []Record
	for _, x := range v4 {
		a = append(a, Record{Name: name, Type: typeA, Addr: x})
	}
	for _, x := range v6 {
		aaaa = append(aaaa, Record{Name: name, Type: typeAAAA, Addr: x})
	}
	if len(aaaa) == 0 && w.NAT64.IsValid() { // DNS64 (RFC 6147)
		for _, x := range v4 {
			aaaa = append(aaaa, Record{Name: name, Type: typeAAAA, Addr: w.synthesized(x)})
		}
	}
	after := w.Lookup(at, h, name, typeA, a...)
	if h.V6.IsValid() {
		after = max(after, w.Lookup(at+time.Millisecond, h, name, typeAAAA, aaaa...))
	}
	return after
}

// Discover64 draws the lookup by which a host finds the prefix of NAT64 (RFC 7050).
func (w *World) Discover64(at time.Duration, h *Host) {
	var rs []Record
	for _, last := range []byte{170, 171} {
		rs = append(rs, Record{Name: "ipv4only.arpa", Type: typeAAAA,
			Addr: w.synthesized(netip.AddrFrom4([4]byte{192, 0, 0, last}))})
	}
	w.Lookup(at, h, "ipv4only.arpa", typeAAAA, rs...)
}

// Ask draws a lookup of another type: TXT, SRV, PTR or A by its name.
func (w *World) Ask(at time.Duration, h *Host, kind, name, text string) time.Duration {
	t := map[string]uint16{"A": typeA, "TXT": typeTXT, "SRV": typeSRV, "PTR": typePTR,
		"CNAME": typeCNAME}[kind]
	var rs []Record
	if text != "" {
		rs = []Record{{Name: name, Type: t, Text: text}}
		if t == typeA {
			rs = []Record{{Name: name, Type: t, Addr: netip.MustParseAddr(text)}}
		}
	}
	return w.Lookup(at, h, name, t, rs...)
}

// MX draws the lookup of the mail servers of a domain.
func (w *World) MX(at time.Duration, h *Host, domain string, hosts ...string) time.Duration {
	var rs []Record
	for _, x := range hosts {
		rs = append(rs, Record{Name: domain, Type: typeMX, Text: x})
	}
	return w.Lookup(at, h, domain, typeMX, rs...)
}
