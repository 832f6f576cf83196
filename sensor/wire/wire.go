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

// acceptable reports whether a receiver may take a segment with these flags. No system opens a
// connection for a SYN with FIN or RST, and every receiver drops a segment with none of SYN, RST
// and ACK (RFC 9293, 3.10.7).
func (f Flags) acceptable() bool {
	return (f&SYN == 0 || f&(FIN|RST) == 0) && f&(SYN|RST|ACK) != 0
}

// Packet is a decoded frame. Payload borrows the frame's bytes.
type Packet struct {
	Time             int64 // nanoseconds since 1970, from the capture
	Src, Dst         Addr
	DstPort, SrcPort uint16
	Kind             Kind
	V6               bool
	Tags             uint8 // number of VLAN tags, at most MaxTags
	// Checksum is set for segments to mail ports, and for first SYNs from them.
	Checksum Checksum
	Ack, Seq uint32
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
	Flags  Flags
	// Stamp is the TSval in the timestamps option of a segment to a mail port, or the TSecr in a
	// SYN-ACK from one (RFC 7323, section 3.2). Stamped reports whether there is such an option.
	Stamp uint32
	// Urgent is the urgent pointer, where the URG flag is set.
	Urgent  uint16
	Stamped bool
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
	mail frame.PortSet
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
	d.mail = frame.PortSet{}
	d.mail.Add(ports...)
}

// IsMailPort reports whether p is one of the ports of SetPorts.
func (d *Decoder) IsMailPort(p uint16) bool { return d.mail.Has(p) }

var be, le = binary.BigEndian, binary.LittleEndian

// rare is Decode for the frames that Decode and plain leave.
func (d *Decoder) rare(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	if o, skip := d.Skip(link, data, wire); skip {
		return o
	}
	return d.slow(link, data, wire, p)
}

// slow is Decode without its shortcuts. Both return the same.
func (d *Decoder) slow(link frame.LinkType, data []byte, wire int, p *Packet) Outcome {
	d.tags, d.tunnel, d.wire, d.multicast = 0, 0, uint32(wire), false
	d.mac, d.to, d.tunnelled = [6]byte{}, [6]byte{}, false
	return d.link(link, data, wire-len(data), p)
}
