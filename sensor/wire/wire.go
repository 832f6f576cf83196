// Package wire turns a frame into a packet: link headers and tunnels are peeled
// off, the IP and TCP headers are checked once, and what is no mail is sent away
// as early as possible.
//
// Words: a frame is what was captured, a packet is what the innermost IP header
// in it carries. Decode gives an [Outcome] for every frame; there is no error and
// no panic for anything a network can send, and every outcome is counted under its
// name by the caller.
//
// What counts as a valid header follows what a Linux kernel accepts from the wire,
// because a bot needs only the receiving kernel to agree with it: TCP options are
// skipped by the data offset and never parsed (a decoder that insists on well
// formed options loses every bot that sends one odd byte), IP options must be well
// formed, a TCP header with a data offset below five words is no header.
//
// What it does not do: join fragments, follow a connection, look at TCP options,
// decrypt anything.
package wire

import "encoding/binary"

// Addr is an IP address in 16 bytes; an IPv4 address stands in its mapped form
// ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2). A real IPv6 packet can carry such an
// address too, so Packet.V6 belongs to an address' identity.
type Addr = [16]byte

// MaxTags is how many VLAN tags are followed, and how many of them are kept.
const MaxTags = 4

// Kind says what a Packet holds beyond its addresses.
type Kind uint8

const (
	// TCP is a segment to or from a mail port.
	TCP Kind = iota + 1
	// ICMPError quotes a TCP segment to a mail port: the addresses, ports and Seq are
	// those of the quoted segment, Reporter is who sent the error.
	ICMPError
	// DNS is a UDP datagram to or from port 53; Payload is the message.
	DNS
)

// Flags are the eight flag bits of a TCP header (RFC 9293, section 3.1).
type Flags uint8

// The bits of Flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether every bit of f is set.
func (f Flags) Has(bits Flags) bool { return f&bits == bits }

// Packet is what Decode found in a frame. Payload borrows the frame's bytes.
type Packet struct {
	Time             int64 // nanoseconds since 1970, as the capture says
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Kind             Kind
	Flags            Flags
	V6               bool
	Tags             uint8 // how many VLAN tags the frame had
	Seq, Ack         uint32
	// Sum is a digest of the fields that a second copy of the same frame repeats
	// and a retransmission does not (IPv4 identification, TCP checksum).
	Sum  uint32
	VLAN [MaxTags]uint16 // VLAN ids, outer first
	// Tunnel identifies the innermost tunnel that has an identifier (VXLAN and GENEVE
	// network, GRE key, ERSPAN session, PPPoE session, MPLS label); zero is none.
	Tunnel uint32
	MAC    [6]byte // link-layer sender, zero where the link has none
	TTL    uint8
	// ICMPType and ICMPCode are set for ICMPError only.
	ICMPType, ICMPCode uint8
	Reporter           Addr   // ICMPError only
	Len                uint32 // payload bytes that the IP header promises
	Wire               uint32 // length of the frame on the wire
	Payload            []byte // captured part of the payload, borrowed; at most Len bytes
}

// Decoder decodes frames. The zero value knows no port; use SetPorts.
// A Decoder is not safe for concurrent use.
type Decoder struct {
	ports [65536 / 64]uint64
	// MAC, tags and tunnel of the frame in hand.
	mac    [6]byte
	vlan   [MaxTags]uint16
	tags   uint8
	tunnel uint32
	wire   uint32
}

// SetPorts names the TCP ports whose segments are wanted; it replaces earlier ones.
func (d *Decoder) SetPorts(ports []uint16) {
	d.ports = [65536 / 64]uint64{}
	for _, p := range ports {
		d.ports[p/64] |= 1 << (p % 64)
	}
}

// IsMailPort reports whether p is one of the ports of SetPorts.
func (d *Decoder) IsMailPort(p uint16) bool { return d.ports[p/64]>>(p%64)&1 != 0 }

var be = binary.BigEndian

// Decode looks at one frame of the given link type. data is its captured part, wire
// its length on the wire (0 means len(data)). Where the outcome is Wanted, p is set
// but for Time; otherwise p's content is undefined. p borrows data.
func (d *Decoder) Decode(link LinkType, data []byte, wire int, p *Packet) Outcome {
	if wire < len(data) {
		wire = len(data)
	}
	// The usual frame of a mirror port, untagged Ethernet with an IPv4 header of five
	// words, is sent away here when its ports are not ours: on mixed traffic 98 of
	// 100 frames end on these lines.
	if link == Ethernet && len(data) >= 14+20+20 && be.Uint16(data[12:]) == etherIPv4 && data[14] == 0x45 &&
		be.Uint16(data[20:])&0x3fff == 0 {
		src, dst := be.Uint16(data[34:]), be.Uint16(data[36:])
		switch data[23] {
		case protoTCP:
			if !d.IsMailPort(src) && !d.IsMailPort(dst) {
				if Flags(data[47])&(SYN|ACK) == SYN {
					return OtherSYN
				}
				return OtherTCP
			}
		case protoUDP:
			if src != portDNS && dst != portDNS && !isTunnelPort(dst) {
				return OtherUDP
			}
		}
	}
	d.tags, d.tunnel, d.wire = 0, 0, uint32(wire)
	d.mac = [6]byte{}
	return d.link(link, data, wire-len(data), p)
}
