package wire

// Outcome is the result of Decode for a frame. Each frame has exactly one, so that the sum over all
// outcomes is the number of frames.
type Outcome uint8

// The outcomes. Frames of the first group are processed. Those of the second are not mail, and well
// formed as far as they were decoded. Those of the third are refused: their content could not be
// determined, or no receiver would accept them.
const (
	Mail       Outcome = iota // TCP segment of a mail port
	MailError                 // ICMP error about such a segment
	DNSMessage                // UDP port 53
	DNSSegment                // TCP port 53, with payload

	OtherTCP  // TCP, other ports
	OtherSYN  // the same, a first SYN
	OtherUDP  // UDP, neither DNS nor a tunnel that is stripped
	OtherICMP // ICMP that quotes no segment to a mail port
	OtherIP   // another transport protocol
	// OtherTunnel is a tunnel that is not stripped: IPsec, L2TP, GTP, CAPWAP, WireGuard. The sensor
	// does not see the packets in it.
	OtherTunnel
	ARP        // Ethernet's own
	OtherEther // another network protocol
	OtherLLC   // 802.3 without IP in it: spanning tree, CDP, NetBEUI
	OtherPPP   // PPP without IP in it: LCP, compressed or encrypted PPP
	Fragment   // an IP fragment of another protocol than TCP
	// TCPFragment is a fragment that may be of TCP. It is kept until its datagram is whole; the
	// frame that completes it has the outcome of the datagram.
	TCPFragment
	OutsidePeriod // the time is not one of those that are wanted; Decode never returns it

	Truncated    // the capture ends before the decision could be made
	ShortLink    // ends inside a link or tunnel header
	ShortIP      // ends inside an IP header
	BadIPVersion // version field differs from the link header
	BadIPHeader  // header length below five words or beyond the packet
	BadIPOption  // malformed IPv4 option or IPv6 extension header
	BadIPLength  // total length below the header or beyond the frame
	ShortTCP     // ends inside the TCP header
	BadTCPOffset // data offset below five words or beyond the segment
	BadTCPFlags  // a flag combination that every receiver drops
	BadTCPOption // a first SYN with a signature or malformed options, see noSignature
	BadAddress   // a first SYN from or to an address that no connection can have
	// a fragment with a wrong IPv4 checksum; package engine: a first SYN, see Checksum
	BadChecksum
	TooManyTags    // more than 16 VLAN tags
	TooManyHeaders // more than 32 IPv6 extension headers
	TooManyLayers  // tunnels in tunnels in tunnels
	// FragmentOverlap is a fragment that overlaps another one; its datagram is dropped.
	FragmentOverlap
	// BadFragment is a fragment that contradicts another one, is empty, or is a first fragment
	// without the headers that it must hold.
	BadFragment
	TooManyFragments // the fragments of a datagram are too scattered; it is dropped
	UnknownLink      // link type that Decode does not know
	Panicked         // a fault of the sensor while it decoded the frame; Decode never returns it
	BadTime          // the time is not representable; Decode never returns it, see capture.Stats

	// Outcomes is the number of outcomes, the size of an array indexed by Outcome.
	Outcomes
)

var outcomeNames = [Outcomes]string{
	Mail:             "tcp_mail",
	MailError:        "icmp_error",
	DNSMessage:       "udp_dns",
	DNSSegment:       "tcp_dns",
	OtherTCP:         "tcp_other",
	OtherSYN:         "tcp_other_syn",
	OtherUDP:         "udp_other",
	OtherICMP:        "icmp_other",
	OtherIP:          "ip_other",
	OtherTunnel:      "tunnel_other",
	ARP:              "arp",
	OtherEther:       "ethertype_other",
	OtherLLC:         "llc_other",
	OtherPPP:         "ppp_other",
	Fragment:         "ip_fragment",
	TCPFragment:      "tcp_fragment",
	OutsidePeriod:    "outside_period",
	Truncated:        "truncated",
	ShortLink:        "short_link_header",
	ShortIP:          "short_ip_header",
	BadIPVersion:     "bad_ip_version",
	BadIPHeader:      "bad_ip_header_length",
	BadIPOption:      "bad_ip_option",
	BadIPLength:      "bad_ip_length",
	ShortTCP:         "short_tcp_header",
	BadTCPOffset:     "bad_tcp_data_offset",
	BadTCPFlags:      "bad_tcp_flags",
	BadTCPOption:     "bad_tcp_option",
	BadAddress:       "bad_address",
	BadChecksum:      "bad_checksum",
	FragmentOverlap:  "frag_overlap",
	BadFragment:      "frag_bad",
	TooManyFragments: "frag_too_many",
	TooManyTags:      "too_many_vlan_tags",
	TooManyHeaders:   "too_many_extension_headers",
	TooManyLayers:    "too_many_layers",
	UnknownLink:      "unknown_link_type",
	Panicked:         "panicked",
	BadTime:          "bad_time",
}

// String is the name under which the outcome is counted.
func (o Outcome) String() string { return outcomeNames[o] }

// Refused reports whether the frame is in the third group. It is not part of the traffic that was
// processed.
func (o Outcome) Refused() bool { return o >= Truncated }
