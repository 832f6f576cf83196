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
// skipped by the data offset and need not be well formed (a decoder that insists on well
// formed options loses every bot that sends one odd byte), IP options must be well
// formed, a TCP header with a data offset below five words is no header, fragments
// are joined, and not where they overlap. A test asks the kernel itself.
//
// Two things are left open where the kernel is strict. An LLC/SNAP header is taken
// off, because other systems do. Whether a client's checksums are right is told, see
// Checksum, and does not decide: a host that captures itself sees those that its
// network card was yet to write.
//
// What it does not do: join fragments of anything but TCP (a tunnel's own), follow a
// connection, decrypt anything.
package wire

import (
	"encoding/binary"

	"spamsensor/sensor/frame"
)

// Addr is an IP address in 16 bytes; an IPv4 address stands in its mapped form
// ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2). A real IPv6 packet can carry such an
// address too, so Packet.V6 belongs to an address' identity.
type Addr = [16]byte

// MaxTags is how many VLAN tags of a frame are kept, the outermost.
const MaxTags = 4

// Kind says what a Packet holds beyond its addresses.
type Kind uint8

const (
	// TCP is a segment to or from a mail port.
	TCP Kind = iota + 1
	// ICMPError quotes a TCP segment to a mail port: the addresses, ports and Seq are
	// those of the quoted segment, Reporter is who sent the error.
	ICMPError
	// DNS is a UDP datagram to or from port 53; Payload is the message. Or it is a TCP segment, and then
	// Flags are set and a message begins behind a length in two bytes.
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
	VLAN [MaxTags]uint16 // VLAN ids, outer first; valid up to Tags
	// Tunnel identifies the innermost tunnel that has an identifier (VXLAN and GENEVE
	// network, GRE key, ERSPAN session, PPPoE session); zero is none.
	Tunnel uint32
	MAC    [6]byte // link-layer sender, zero where the link has none, or is that of the two ends of a tunnel
	To     [6]byte // link-layer receiver, of Ethernet; zero otherwise
	TTL    uint8
	// Checksum is known of segments to mail ports, and of first SYNs from them.
	Checksum Checksum
	// Stamp is the TSval of the timestamps option of a segment to a mail port, or the TSecr of that
	// of a SYN-ACK from one (RFC 7323, section 3.2); Stamped says whether there is one.
	Stamp   uint32
	Stamped bool
	// Urgent is the urgent pointer, where the URG flag is set.
	Urgent uint16
	// Signed says that a segment to a mail port has a signature, or options in which Linux cannot
	// look for one: where none was agreed on, it drops the segment (RFC 2385; RFC 5925).
	Signed bool
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
	look  [65536 / 64]uint64 // the same, and DNS: what Skip lets through
	// MAC, tags and tunnel of the frame in hand.
	mac    [6]byte
	to     [6]byte
	vlan   [MaxTags]uint16
	tags   uint8
	tunnel uint32
	wire   uint32
	// header is the innermost IPv4 header, if it is to be checked. group says that the frame is for more than one receiver.
	header    []byte
	group     bool
	tunnelled bool // what is in hand came in an IP packet
	fragments *Fragments
}

// SetFragments says where fragments are joined. Without it each of TCP is a TCPFragment. f is
// used by one Decoder at a time.
func (d *Decoder) SetFragments(f *Fragments) { d.fragments = f }

// SetPorts names the TCP ports whose segments are wanted; it replaces earlier ones.
func (d *Decoder) SetPorts(ports []uint16) {
	d.ports = [65536 / 64]uint64{}
	for _, p := range ports {
		d.ports[p/64] |= 1 << (p % 64)
	}
	d.look = d.ports
	d.look[portDNS/64] |= 1 << (portDNS % 64)
}

// IsMailPort reports whether p is one of the ports of SetPorts.
func (d *Decoder) IsMailPort(p uint16) bool { return d.ports[p/64]>>(p%64)&1 != 0 }

var be, le = binary.BigEndian, binary.LittleEndian

// Decode looks at one frame of the given link type. data is its captured part, wire
// its length on the wire (0 means len(data)). Where the outcome is Wanted, p is set
// but for Time; otherwise p's content is undefined. p borrows data.
func (d *Decoder) Decode(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	wire = max(wire, len(data))
	if o, skip := d.Skip(link, data, wire); skip {
		return o
	}
	if link == frame.Ethernet && d.plain(data, wire, p) {
		if !p.opens() {
			d.inspectPlain(data[14:], p)
			return Mail
		}
		return d.openingPlain(data, p)
	}
	return d.slow(link, data, wire, p)
}

// slow is Decode without its shortcuts, which must give the same.
func (d *Decoder) slow(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	d.tags, d.tunnel, d.wire, d.group = 0, 0, uint32(wire), false
	d.mac, d.to, d.tunnelled = [6]byte{}, [6]byte{}, false
	return d.link(link, data, wire-len(data), p)
}

// Skip reports whether a frame can be sent away by its ports alone, and as what: on mixed
// traffic 98 of 100 frames end here. It knows Ethernet with up to two tags, and IP
// headers of the usual length; everything else is for Decode. wire is the frame's length on
// the wire, at least len(data). It may be called by several goroutines.
func (d *Decoder) Skip(link frame.LinkType, data []byte, wire int) (Outcome, bool) {
	const shortest = 14 + 20 + 14 // up to the TCP flags
	if link != frame.Ethernet || len(data) < shortest {
		return 0, false
	}
	typ, b := be.Uint16(data[12:]), data[14:]
	wire -= 14
	for range 2 {
		if typ != etherVLAN && typ != etherQinQ {
			break
		}
		typ, b, wire = be.Uint16(b[2:]), b[4:], wire-4
	}
	// A packet that is shorter than its header needs, or longer than the frame, is refused, whatever its ports.
	var proto byte
	var length int
	switch typ {
	case etherIPv4:
		if len(b) < 20+14 || b[0] != 0x45 || be.Uint16(b[6:])&0x3fff != 0 {
			return 0, false
		}
		length, wire = int(be.Uint16(b[2:]))-20, wire-20
		proto, b = b[9], b[20:]
	case etherIPv6:
		if len(b) < 40+14 || b[0]>>4 != 6 {
			return 0, false
		}
		length, wire = int(be.Uint16(b[4:])), wire-40
		proto, b = b[6], b[40:]
	default:
		return 0, false
	}
	if length < 20 || length > wire {
		return 0, false
	}
	src, dst := be.Uint16(b), be.Uint16(b[2:])
	switch proto {
	case protoTCP:
		if (d.look[src/64]>>(src%64)|d.look[dst/64]>>(dst%64))&1 != 0 {
			return 0, false
		}
		if Flags(b[13])&(SYN|ACK) == SYN {
			return OtherSYN, true
		}
		return OtherTCP, true
	case protoUDP:
		if isOpaquePort(dst) {
			return OtherTunnel, src != portDNS
		}
		return OtherUDP, src != portDNS && dst != portDNS && !isTunnelPort(dst)
	}
	return 0, false
}

// plain decodes the usual segment: untagged Ethernet, an IPv4 header of five words, TCP. It
// reports false for everything else, and for whatever is wrong.
func (d *Decoder) plain(data []byte, wire int, p *Packet) bool {
	if len(data) < 14+20+20 || be.Uint16(data[12:]) != etherIPv4 {
		return false
	}
	ip := data[14:]
	tcp := ip[20:]
	total, offset, flags := int(be.Uint16(ip[2:])), int(tcp[12]>>4)*4, Flags(tcp[13])
	if ip[0] != 0x45 || ip[9] != protoTCP || be.Uint16(ip[6:])&0x3fff != 0 || total > wire-14 || offset < 20 || 20+offset > total ||
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

// openingPlain is opening for what plain decoded.
func (d *Decoder) openingPlain(data []byte, p *Packet) Outcome {
	d.header, d.group, d.tunnelled = data[14:34], data[0]&1 != 0, false
	segment := data[34:]
	if length := int(be.Uint16(data[16:])) - 20; length <= len(segment) {
		segment = segment[:length]
	} else {
		segment = nil
	}
	return d.opening(p, segment)
}
