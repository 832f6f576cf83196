package wire

// Outcome says what Decode made of a frame. Exactly one is given for each frame, so
// that the sum over all outcomes is the number of frames.
type Outcome uint8

// The outcomes. The first group is wanted, the second is not ours but well formed as
// far as it was looked at, the third is refused: what it holds could not be decided,
// or no receiver would accept it.
const (
	Mail       Outcome = iota // TCP segment of a mail port
	MailError                 // ICMP error about such a segment
	DNSMessage                // UDP port 53
	DNSSegment                // TCP port 53, with payload

	OtherTCP  // TCP, other ports
	OtherSYN  // the same, a first SYN: somebody opens a connection elsewhere
	OtherUDP  // UDP, neither DNS nor a tunnel that is peeled
	OtherICMP // ICMP that quotes no segment of ours
	OtherIP   // another transport protocol
	// OtherTunnel is a tunnel that is not looked into: IPsec, L2TP, GTP, CAPWAP, WireGuard. What is in it is not seen.
	OtherTunnel
	ARP        // Ethernet's own
	OtherEther // another network protocol
	OtherLLC   // 802.3 without IP in it: spanning tree, CDP, NetBEUI
	OtherPPP   // PPP without IP in it: LCP, compressed or encrypted PPP
	Fragment   // an IP fragment of something else than TCP: it says nothing by itself
	// TCPFragment is a fragment that can be of TCP, held until its datagram is whole; the frame that
	// makes it whole has the outcome of the datagram.
	TCPFragment

	Truncated      // cut by the capture before the decision could be made
	ShortLink      // ends inside a link or tunnel header
	ShortIP        // ends inside an IP header
	BadIPVersion   // version field is not the one that the link announced
	BadIPHeader    // header length below five words or beyond the packet
	BadIPOption    // malformed IPv4 option or IPv6 extension header
	BadIPLength    // total length below the header or beyond the frame
	ShortTCP       // ends inside the TCP header
	BadTCPOffset   // data offset below five words or beyond the segment
	BadTCPFlags    // a flag combination that every receiver drops
	BadTCPOption   // a first SYN with a signature that nobody asked for, or options in which one cannot be looked for
	BadAddress     // a first SYN from or to an address that no connection can have
	BadChecksum    // a fragment whose IPv4 header has a wrong checksum; a first SYN with a wrong one, which Decode never gives, see Checksum
	TooManyTags    // more than 16 VLAN tags
	TooManyHeaders // more than 32 IPv6 extension headers
	TooManyLayers  // tunnels in tunnels in tunnels
	// FragmentOverlap is a fragment that overlaps another one: its datagram is given up. BadFragment
	// contradicts another one, is empty, or lacks what a first fragment must hold.
	FragmentOverlap
	BadFragment
	TooManyFragments // the pieces of a datagram are scattered too widely; it is given up
	UnknownLink      // link type that Decode does not know
	Vanished         // the frame was there, and is not any more; Decode never gives it
	Panicked         // decoding it was beyond us: a fault of ours; Decode never gives it
	BadTime          // its time lies outside of what can be represented; Decode never gives it, see package capture

	// Outcomes is how many there are: the size of an array indexed by Outcome.
	Outcomes
)

var outcomeNames = [Outcomes]string{
	Mail: "tcp_mail", MailError: "icmp_error", DNSMessage: "udp_dns", DNSSegment: "tcp_dns",
	OtherTCP: "tcp_other", OtherSYN: "tcp_other_syn", OtherUDP: "udp_other", OtherICMP: "icmp_other", OtherIP: "ip_other",
	OtherTunnel: "tunnel_other",
	ARP:         "arp", OtherEther: "ethertype_other", OtherLLC: "llc_other", OtherPPP: "ppp_other", Fragment: "ip_fragment", TCPFragment: "tcp_fragment",
	Truncated: "truncated", ShortLink: "short_link_header", ShortIP: "short_ip_header", BadIPVersion: "bad_ip_version",
	BadIPHeader: "bad_ip_header_length", BadIPOption: "bad_ip_option", BadIPLength: "bad_ip_length",
	ShortTCP: "short_tcp_header", BadTCPOffset: "bad_tcp_data_offset", BadTCPFlags: "bad_tcp_flags",
	BadTCPOption: "bad_tcp_option", BadAddress: "bad_address", BadChecksum: "bad_checksum",
	FragmentOverlap: "frag_overlap", BadFragment: "frag_bad", TooManyFragments: "frag_too_many",
	TooManyTags: "too_many_vlan_tags", TooManyHeaders: "too_many_extension_headers", TooManyLayers: "too_many_layers",
	UnknownLink: "unknown_link_type", Vanished: "vanished", Panicked: "panicked", BadTime: "bad_time",
}

// String is the name under which the outcome is counted.
func (o Outcome) String() string { return outcomeNames[o] }

// Wanted reports whether Decode filled its Packet.
func (o Outcome) Wanted() bool { return o <= DNSSegment }

// Refused reports whether the frame could not be judged: it is not part of the
// traffic that was processed.
func (o Outcome) Refused() bool { return o >= Truncated }
