// Package wiretest builds frames for tests: layers are given from the outside in, and
// lengths, protocol numbers and checksums that were left zero are filled in.
//
//	wiretest.Frame(wiretest.Ethernet{}, wiretest.VLAN{ID: 7},
//		wiretest.IP{Src: "10.0.0.1", Dst: "192.0.2.1"},
//		wiretest.TCP{SrcPort: 40000, DstPort: 25, Flags: wiretest.SYN})
package wiretest

import (
	"cmp"
	"encoding/binary"
	"net/netip"
)

// The bits of TCP.Flags (RFC 9293, section 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Layer is one header. id is the number by which the layer in front of it announces it. encode
// prepends the header to its contents; inner is the id of the layer inside.
type Layer interface {
	id() uint32
	encode(inner uint32, payload []byte) []byte
}

// Ids of layers without a number of their own.
const (
	none = 0x10000 + iota
	teb
)

var be = binary.BigEndian

// Frame returns the bytes of the layers, the outermost first.
func Frame(layers ...Layer) []byte {
	var b []byte
	inner := uint32(none)
	for i := len(layers) - 1; i >= 0; i-- {
		b = layers[i].encode(inner, b)
		inner = layers[i].id()
	}
	return b
}

// Bytes are bytes that stay unchanged: a payload, or a header that no other type can build.
type Bytes []byte

func (Bytes) id() uint32                         { return none }
func (l Bytes) encode(_ uint32, p []byte) []byte { return append(append([]byte{}, l...), p...) }

// Datagram is a finished IP packet. The layer in front announces it.
type Datagram []byte

// Whole is a finished Ethernet frame. The layer in front announces it.
type Whole []byte

func (l Datagram) id() uint32 {
	if l[0]>>4 == 4 {
		return 0x0800
	}
	return 0x86dd
}
func (l Datagram) encode(_ uint32, p []byte) []byte { return append(append([]byte{}, l...), p...) }
func (Whole) id() uint32                            { return teb }
func (l Whole) encode(_ uint32, p []byte) []byte    { return append(append([]byte{}, l...), p...) }

// Text is a payload.
type Text string

func (Text) id() uint32                         { return none }
func (l Text) encode(_ uint32, p []byte) []byte { return append([]byte(l), p...) }

// Ethernet is an Ethernet II header. Type zero follows from the next layer.
type Ethernet struct {
	Dst, Src [6]byte
	Type     uint16
}

func (Ethernet) id() uint32 { return teb }
func (l Ethernet) encode(inner uint32, p []byte) []byte {
	b := append(append([]byte{}, l.Dst[:]...), l.Src[:]...)
	return append(be.AppendUint16(b, cmp.Or(l.Type, uint16(inner))), p...)
}

// VLAN is one 802.1Q tag. Type is its own ethertype (zero means 0x8100), Next the ethertype of its
// contents (zero follows from the next layer).
type VLAN struct {
	ID, Type, Next uint16
}

func (l VLAN) id() uint32 { return uint32(cmp.Or(l.Type, 0x8100)) }
func (l VLAN) encode(inner uint32, p []byte) []byte {
	return append(be.AppendUint16(be.AppendUint16(nil, l.ID), cmp.Or(l.Next, uint16(inner))), p...)
}

// ETag is an 802.1BR tag.
type ETag struct{}

func (ETag) id() uint32 { return 0x893f }
func (ETag) encode(inner uint32, p []byte) []byte {
	return append(be.AppendUint16(make([]byte, 6), uint16(inner)), p...)
}

// ITag is an 802.1ah tag; an Ethernet frame follows.
type ITag struct{ Service uint32 }

func (ITag) id() uint32 { return 0x88e7 }
func (l ITag) encode(_ uint32, p []byte) []byte {
	return append(be.AppendUint32(nil, l.Service), p...)
}

// SNAP is an 802.3 length with LLC and SNAP headers. It takes the place of the type in an
// Ethernet{Type: 1}.
type SNAP struct{ Dst, Src [6]byte }

func (SNAP) id() uint32 { return teb }
func (l SNAP) encode(inner uint32, p []byte) []byte {
	b := append(append([]byte{}, l.Dst[:]...), l.Src[:]...)
	b = be.AppendUint16(b, uint16(8+len(p)))
	b = append(b, 0xaa, 0xaa, 0x03, 0, 0, 0)
	return append(be.AppendUint16(b, uint16(inner)), p...)
}

// MPLS is one label; Bottom ends the stack.
type MPLS struct {
	Label  uint32
	Bottom bool
}

func (MPLS) id() uint32 { return 0x8847 }
func (l MPLS) encode(_ uint32, p []byte) []byte {
	v := l.Label<<12 | 64
	if l.Bottom {
		v |= 1 << 8
	}
	return append(be.AppendUint32(nil, v), p...)
}

// PPPoE is a PPPoE session header and the PPP protocol number after it.
type PPPoE struct{ Session uint16 }

func (PPPoE) id() uint32 { return 0x8864 }
func (l PPPoE) encode(inner uint32, p []byte) []byte {
	proto := map[uint32]uint16{0x0800: 0x0021, 0x86dd: 0x0057, 0x8847: 0x0281}[inner]
	b := append([]byte{0x11, 0}, byte(l.Session>>8), byte(l.Session))
	b = be.AppendUint16(b, uint16(len(p)+2))
	return append(be.AppendUint16(b, proto), p...)
}

// GRE is a GRE header. Present sets the flag bits (0x2000 key, 0x1000 sequence, 0x8000
// checksum); Type zero follows from the next layer.
type GRE struct {
	Present, Type uint16
	Key, Seq      uint32
}

func (GRE) id() uint32 { return 47 }
func (l GRE) encode(inner uint32, p []byte) []byte {
	t := uint16(inner)
	if inner == teb {
		t = 0x6558
	}
	b := be.AppendUint16(be.AppendUint16(nil, l.Present), cmp.Or(l.Type, t))
	if l.Present&0x8000 != 0 {
		b = append(b, 0, 0, 0, 0)
	}
	if l.Present&0x2000 != 0 {
		b = be.AppendUint32(b, l.Key)
	}
	if l.Present&0x1000 != 0 {
		b = be.AppendUint32(b, l.Seq)
	}
	return append(b, p...)
}

// UDP is a UDP header without a checksum.
type UDP struct{ SrcPort, DstPort uint16 }

func (UDP) id() uint32 { return 17 }
func (l UDP) encode(_ uint32, p []byte) []byte {
	b := be.AppendUint16(be.AppendUint16(nil, l.SrcPort), l.DstPort)
	return append(be.AppendUint32(b, uint32(8+len(p))<<16), p...)
}

// VXLAN is a VXLAN header.
type VXLAN struct{ Network uint32 }

func (VXLAN) id() uint32 { return none }
func (l VXLAN) encode(_ uint32, p []byte) []byte {
	return append(be.AppendUint32([]byte{8, 0, 0, 0}, l.Network<<8), p...)
}

// GENEVE is a GENEVE header with Options (a multiple of four bytes).
type GENEVE struct {
	Network uint32
	Options []byte
}

func (GENEVE) id() uint32 { return none }
func (l GENEVE) encode(inner uint32, p []byte) []byte {
	t := uint16(inner)
	if inner == teb {
		t = 0x6558
	}
	b := be.AppendUint16([]byte{byte(len(l.Options) / 4), 0}, t)
	b = be.AppendUint32(b, l.Network<<8)
	return append(append(b, l.Options...), p...)
}

// IP is an IPv4 or IPv6 header, according to its addresses. Zero fields are filled in; Protocol
// follows from the next layer. The checksums of IPv4, and of TCP and ICMPv6 inside, are right
// unless they are set.
type IP struct {
	Src, Dst string
	TTL      uint8
	Protocol uint8
	ID       uint16
	Frag     uint16 // flags and fragment offset (IPv4)
	Length   uint16 // total length (IPv4) or payload length (IPv6)
	Checksum uint16
	Options  []byte // IPv4; padded to words
}

func (l IP) id() uint32 {
	if netip.MustParseAddr(l.Src).Is4() {
		return 0x0800
	}
	return 0x86dd
}

func (l IP) encode(inner uint32, p []byte) []byte {
	src, dst := netip.MustParseAddr(l.Src), netip.MustParseAddr(l.Dst)
	proto := map[uint32]uint8{0x0800: 4, 0x86dd: 41, none: 59}[inner]
	if proto == 0 {
		proto = uint8(inner)
	}
	proto = cmp.Or(l.Protocol, proto)
	final, upper := behindExtensions(inner, p)
	at := map[uint32]int{6: 16, 58: 2}[final] // offset of the checksum over the addresses
	if at > 0 && len(upper) >= at+2 && be.Uint16(upper[at:]) == 0 {
		be.PutUint16(upper[at:], pseudoSum(src, dst, uint8(final), upper))
	}
	if src.Is6() {
		b := append(be.AppendUint16([]byte{0x60, 0, 0, 0}, cmp.Or(l.Length, uint16(len(p)))), proto,
			cmp.Or(l.TTL, 64))
		return append(append(append(b, src.AsSlice()...), dst.AsSlice()...), p...)
	}
	options := append([]byte{}, l.Options...)
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	header := 20 + len(options)
	b := be.AppendUint16([]byte{0x40 | byte(header/4), 0}, cmp.Or(l.Length, uint16(header+len(p))))
	b = be.AppendUint16(be.AppendUint16(b, l.ID), l.Frag)
	b = append(append(append(b, cmp.Or(l.TTL, 64), proto, 0, 0), src.AsSlice()...),
		dst.AsSlice()...)
	b = append(b, options...)
	be.PutUint16(b[10:], cmp.Or(l.Checksum, ^fold(sum(0, b))))
	return append(b, p...)
}

// behindExtensions returns the bytes after the headers of Ext, if these are complete.
func behindExtensions(id uint32, p []byte) (uint32, []byte) {
	for len(p) >= 8 {
		n := 8 + int(p[1])*8
		switch id {
		default:
			return id, p
		case 44:
			if n = 8; be.Uint16(p[2:])&0xfff9 != 0 {
				return none, nil // a fragment
			}
		case 0, 43, 51, 60, 135, 139, 140, 253:
		}
		if n > len(p) {
			return none, nil
		}
		id, p = uint32(p[0]), p[n:]
	}
	return id, p
}

// Ext is an IPv6 extension header of type Type. Body is its body without next header and length;
// the whole header must be a multiple of eight bytes.
type Ext struct {
	Type uint8
	Next uint8
	Body []byte
}

func (l Ext) id() uint32 { return uint32(l.Type) }
func (l Ext) encode(inner uint32, p []byte) []byte {
	b := append([]byte{cmp.Or(l.Next, uint8(inner)), byte((len(l.Body) + 2) / 8)}, l.Body...)
	if l.Type == 44 {
		b[1] = 0
	} else {
		b[1]--
	}
	return append(b, p...)
}

// TCP is a TCP header. Offset zero follows from Options, which are padded to words of 32 bits.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            uint8
	Reserved         uint8 // the low four bits of byte 12
	Offset           uint8 // in words
	Window, Checksum uint16
	Urgent           uint16 // the urgent pointer
	Options          []byte
}

func (TCP) id() uint32 { return 6 }
func (l TCP) encode(_ uint32, p []byte) []byte {
	options := append([]byte{}, l.Options...)
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b := be.AppendUint16(be.AppendUint16(nil, l.SrcPort), l.DstPort)
	b = be.AppendUint32(be.AppendUint32(b, l.Seq), l.Ack)
	b = append(b, cmp.Or(l.Offset, uint8(5+len(options)/4))<<4|l.Reserved, l.Flags)
	b = be.AppendUint16(be.AppendUint16(b, cmp.Or(l.Window, 65535)), l.Checksum)
	return append(append(be.AppendUint16(b, l.Urgent), options...), p...)
}

// ICMP is an ICMP or ICMPv6 header with four bytes of Rest.
type ICMP struct {
	V6         bool
	Type, Code uint8
	Rest       uint32
}

func (l ICMP) id() uint32 {
	if l.V6 {
		return 58
	}
	return 1
}

func (l ICMP) encode(_ uint32, p []byte) []byte {
	b := append(be.AppendUint32([]byte{l.Type, l.Code, 0, 0}, l.Rest), p...)
	if !l.V6 {
		be.PutUint16(b[2:], ^fold(sum(0, b)))
	}
	return b
}

// sum adds the 16-bit words of b to a sum (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for len(b) > 1 {
		s, b = s+uint32(be.Uint16(b)), b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// Checksum is the Internet checksum (RFC 1071) of parts that follow one another. All but the last
// must have an even length.
func Checksum(parts ...[]byte) uint16 {
	s := uint32(0)
	for _, p := range parts {
		s = sum(s, p)
	}
	return ^fold(s)
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func pseudoSum(src, dst netip.Addr, proto uint8, p []byte) uint16 {
	s := sum(sum(uint32(proto)+uint32(len(p)), src.AsSlice()), dst.AsSlice())
	return ^fold(sum(s, p))
}
