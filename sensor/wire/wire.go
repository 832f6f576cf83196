// Package wire decodes frames to packets. It strips link headers and tunnels, checks the IP and TCP
// headers once, and drops packets that are not mail as early as possible.
//
// # Words
//
// A frame holds the captured bytes. A packet is the content of the innermost IP header in a frame.
// Decode returns an [Outcome] for every frame; the caller counts outcomes under their names. No
// bytes that a network can send cause an error or a panic. The cut of a header is the number of
// bytes behind it that were sent and not captured.
//
// # Which headers are valid
//
// A header is valid if a Linux kernel accepts it from the wire, because a bot needs only the
// receiving kernel to agree with it:
//
//   - TCP options are skipped by the data offset and need not be well formed. A decoder that
//     requires well formed options loses every bot that sends one odd byte.
//   - IP options must be well formed.
//   - A TCP header with a data offset below five words is invalid.
//   - Fragments are joined, except where they overlap.
//
// A packet without a length in its IP header is none that a receiver would accept, but one that a
// sending host has given to its network card (TSO, LSO): it is as long as its frame, and counts as
// one with an unfinished checksum. Jumbograms have their length in an option (RFC 2675).
//
// A test compares the decoder with the kernel itself. The decoder is more lenient than the kernel
// in two places. It strips an LLC/SNAP header, because other systems accept one. It reports wrong
// checksums of a client, see [Checksum], and does not drop the packet: a host that captures its own
// packets sees checksums that its network card was yet to write.
//
// # What it does not do
//
// It does not join fragments of protocols other than TCP, such as a tunnel's own, does not follow
// connections and does not decrypt.
package wire

import (
	"encoding/binary"

	"spamsensor/sensor/frame"
)

// Addr is an IP address in 16 bytes; an IPv4 address has its mapped form ::ffff:a.b.c.d (RFC 4291,
// section 2.5.5.2). A real IPv6 packet can carry such an address too, so Packet.V6 belongs to an
// address' identity.
type Addr = [16]byte

// MaxTags is the number of VLAN tags of a frame that are kept, the outermost.
const MaxTags = 4

// Kind is the content of a Packet beyond its addresses.
type Kind uint8

const (
	// TCP is a segment to or from a mail port.
	TCP Kind = iota + 1
	// ICMPError quotes a TCP segment to a mail port: the addresses, ports and Seq belong to the
	// quoted segment, Reporter is the sender of the error.
	ICMPError
	// DNS is a UDP datagram to or from port 53, whose Payload is the message; or a TCP segment,
	// whose Flags are set and whose message begins behind a length in two bytes.
	DNS
)

// Flags are the flag bits of a TCP header (RFC 9293, section 3.1).
type Flags uint8

// The bits of Flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Has reports whether every bit of f is set.
func (f Flags) Has(bits Flags) bool { return f&bits == bits }

// Packet is a decoded frame. Payload borrows the frame's bytes.
type Packet struct {
	Time             int64 // nanoseconds since 1970, from the capture
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Kind             Kind
	Flags            Flags
	V6               bool
	Tags             uint8 // number of VLAN tags, at most MaxTags
	Seq, Ack         uint32
	// Sum is a digest of the fields that are equal in a second copy of the same frame, and differ
	// in a retransmission (IPv4 identification, TCP checksum).
	Sum  uint32
	VLAN [MaxTags]uint16 // VLAN ids, outer first; valid up to Tags
	// Tunnel identifies the innermost tunnel that has an identifier (VXLAN and GENEVE
	// network, GRE key, ERSPAN session, PPPoE session); zero is none.
	Tunnel uint32
	MAC    [6]byte // link-layer sender; zero where the link has none, and inside a tunnel
	To     [6]byte // link-layer receiver, of Ethernet; zero otherwise
	TTL    uint8
	// Checksum is set for segments to mail ports, and for first SYNs from them.
	Checksum Checksum
	// Stamp is the TSval in the timestamps option of a segment to a mail port, or the TSecr in a
	// SYN-ACK from one (RFC 7323, section 3.2). Stamped reports whether there is such an option.
	Stamp   uint32
	Stamped bool
	// Urgent is the urgent pointer, where the URG flag is set.
	Urgent uint16
	// Signed reports that a segment to a mail port has a signature, or options in which Linux
	// cannot find one. Linux drops such a segment if no signature was agreed on (RFC 2385; RFC
	// 5925).
	Signed bool
	// ICMPType and ICMPCode are set for ICMPError only.
	ICMPType, ICMPCode uint8
	Reporter           Addr   // ICMPError only
	Len                uint32 // payload bytes by the IP header
	Wire               uint32 // length of the frame on the wire
	Payload            []byte // captured part of the payload, borrowed; at most Len bytes
}

// Decoder decodes frames. The zero value knows no port; use SetPorts.
// A Decoder is not safe for concurrent use.
type Decoder struct {
	ports   [65536 / 64]uint64
	unusual portSet // the same, and unusualPorts
	// MAC, tags and tunnel of the current frame.
	mac    [6]byte
	to     [6]byte
	vlan   [MaxTags]uint16
	tags   uint8
	tunnel uint32
	wire   uint32
	// header is the innermost IPv4 header, if its checksum is to be checked.
	header    []byte
	multicast bool // the frame is for more than one receiver
	unsized   bool // the innermost IP header has no length; see unsizedLength
	tunnelled bool // the current header is inside an IP packet
	fragments *Fragments
}

// SetFragments sets the table in which fragments are joined. Without it each fragment of TCP is a
// TCPFragment. One Decoder at a time uses f.
func (d *Decoder) SetFragments(f *Fragments) { d.fragments = f }

// SetPorts sets the mail ports; it replaces earlier ones.
func (d *Decoder) SetPorts(ports []uint16) {
	d.ports = [65536 / 64]uint64{}
	d.unusual = portSet{}
	for _, p := range unusualPorts {
		d.unusual.add(p)
	}
	for _, p := range ports {
		d.ports[p/64] |= 1 << (p % 64)
		d.unusual.add(p)
	}
}

// IsMailPort reports whether p is one of the ports of SetPorts.
func (d *Decoder) IsMailPort(p uint16) bool { return d.ports[p/64]>>(p%64)&1 != 0 }

var be, le = binary.BigEndian, binary.LittleEndian

// Decode decodes one frame of the given link type. data is its captured part, wire its length on
// the wire in bytes (0 means len(data)). If the outcome is Mail, MailError, DNSMessage or
// DNSSegment, p is set except for Time; otherwise p's content is undefined. p borrows data.
func (d *Decoder) Decode(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	wire = max(wire, len(data))
	if o, skip := d.Skip(link, data, wire); skip {
		return o
	}
	if link == frame.Ethernet && d.decodePlain(data, wire, p) {
		if !p.isFirstSYN() {
			d.inspectPlain(data[14:], p)
			return Mail
		}
		return d.firstSYNPlain(data, p)
	}
	return d.slow(link, data, wire, p)
}

// slow is Decode without its shortcuts. Both return the same.
func (d *Decoder) slow(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	d.tags, d.tunnel, d.wire, d.multicast = 0, 0, uint32(wire), false
	d.mac, d.to, d.tunnelled = [6]byte{}, [6]byte{}, false
	return d.link(link, data, wire-len(data), p)
}

// decodePlain decodes the usual segment: untagged Ethernet, an IPv4 header of five words, TCP. It
// reports false for all other frames, and for invalid ones.
func (d *Decoder) decodePlain(data []byte, wire int, p *Packet) bool {
	if len(data) < 14+20+20 || be.Uint16(data[12:]) != etherIPv4 {
		return false
	}
	ip := data[14:]
	tcp := ip[20:]
	total, offset, flags := int(be.Uint16(ip[2:])), int(tcp[12]>>4)*4, Flags(tcp[13])
	if ip[0] != 0x45 || ip[9] != protoTCP || be.Uint16(ip[6:])&0x3fff != 0 || total > wire-14 ||
		offset < 20 || 20+offset > total ||
		flags.Has(SYN) && flags&(FIN|RST) != 0 || flags&(SYN|RST|ACK) == 0 {
		return false
	}
	p.Kind, p.Flags, p.V6, p.Tags, p.Tunnel, p.Checksum = TCP, flags, false, 0, 0, Unchecked
	setMapped(&p.Src, ip[12:16])
	setMapped(&p.Dst, ip[16:20])
	p.SrcPort, p.DstPort = be.Uint16(tcp), be.Uint16(tcp[2:])
	p.Seq, p.Ack = be.Uint32(tcp[4:]), be.Uint32(tcp[8:])
	p.Sum = uint32(be.Uint16(ip[4:]))<<16 | uint32(be.Uint16(tcp[16:]))
	p.MAC, p.To, p.TTL = [6]byte(data[6:12]), [6]byte(data[:6]), ip[8]
	p.Stamp, p.Stamped, p.Signed, p.Urgent = 0, false, false, 0
	if flags.Has(URG) {
		p.Urgent = be.Uint16(tcp[18:])
	}
	p.Len, p.Wire = uint32(total-20-offset), uint32(wire)
	p.Payload = ip[min(20+offset, len(ip)):min(total, len(ip))]
	return d.IsMailPort(p.SrcPort) || d.IsMailPort(p.DstPort) // or it is DNS
}

// firstSYNPlain is firstSYN for a packet of decodePlain.
func (d *Decoder) firstSYNPlain(data []byte, p *Packet) Outcome {
	d.header, d.multicast, d.tunnelled, d.unsized = data[14:34], data[0]&1 != 0, false, false
	segment := data[34:]
	if length := int(be.Uint16(data[16:])) - 20; length <= len(segment) {
		segment = segment[:length]
	} else {
		segment = nil
	}
	return d.firstSYN(p, segment)
}
