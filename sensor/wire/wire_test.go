package wire_test

import (
	"net/netip"
	"slices"
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

var ports = []uint16{25, 465, 587, 2525}

func decoder() *wire.Decoder {
	d := new(wire.Decoder)
	d.SetPorts(ports)
	return d
}

var (
	eth  = Ethernet{Dst: [6]byte{2, 0, 0, 0, 0, 1}, Src: [6]byte{2, 0, 0, 0, 0, 2}}
	ip4  = IP{Src: "10.0.0.1", Dst: "192.0.2.25"}
	ip6  = IP{Src: "2001:db8::1", Dst: "2001:db8::25"}
	syn  = TCP{SrcPort: 40000, DstPort: 25, Seq: 7, Flags: SYN}
	data = TCP{SrcPort: 40000, DstPort: 25, Seq: 8, Ack: 9, Flags: ACK | PSH}
)

// ext is an IPv6 extension header of eight bytes.
func ext(typ uint8) Ext { return Ext{Type: typ, Body: []byte{1, 4, 0, 0, 0, 0}} }

// wlan is an 802.11 header of a type with these flags, with LLC after it if it carries data.
func wlan(typ, flags byte) Bytes {
	b := append([]byte{typ, flags, 0, 0}, make([]byte, 20)...)
	b[15], b[21] = 2, 3 // the last bytes of the second and the third address
	if flags&3 == 3 {
		b = append(b, 0, 0, 0, 0, 0, 4)
	}
	if typ&0x80 != 0 {
		b = append(b, 0, 0)
	}
	if flags&0x80 != 0 {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0)
}

// decodes is the table of frames. The expectation of a row is a packet's addresses, ports and
// payload.
var decodes = []struct {
	name  string
	link  frame.LinkType
	frame []byte
	want  wire.Outcome
	from  string // source address and port, for mail packets
	text  string // payload
}{
	{"plain", frame.Ethernet, Frame(eth, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"payload", frame.Ethernet, Frame(eth, ip4, data, Text("EHLO a\r\n")), wire.Mail,
		"10.0.0.1:40000", "EHLO a\r\n"},
	{"padding is no payload", frame.Ethernet, append(Frame(eth, ip4, data, Text("x")), 0, 0, 0, 0),
		wire.Mail, "10.0.0.1:40000", "x"},
	{"TCP options of any kind", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 40000, DstPort: 25, Flags: SYN, Options: []byte{8, 1, 0, 0}}),
		wire.Mail, "10.0.0.1:40000", ""},
	{"IPv6", frame.Ethernet, Frame(eth, ip6, syn), wire.Mail, "[2001:db8::1]:40000", ""},
	{"other port", frame.Ethernet, Frame(eth, ip4, TCP{SrcPort: 40000, DstPort: 443, Flags: ACK}),
		wire.OtherTCP, "", ""},
	{"DNS over TCP", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 40000, DstPort: 53, Flags: ACK | PSH}, Text("xx")),
		wire.DNSSegment, "10.0.0.1:40000", "xx"},
	{"SYN to port 53", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 40000, DstPort: 53, Flags: SYN}), wire.OtherSYN, "", ""},
	{"SYN to another port", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 40000, DstPort: 443, Flags: SYN}), wire.OtherSYN, "", ""},
	{"SYN to another port in a tunnel", frame.Ethernet,
		Frame(eth, ip4, GRE{}, ip4, TCP{SrcPort: 40000, DstPort: 443, Flags: SYN}), wire.OtherSYN,
		"", ""},
	{"other UDP", frame.Ethernet, Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 123}, Text("x")),
		wire.OtherUDP, "", ""},
	{"DNS", frame.Ethernet, Frame(eth, ip4, UDP{SrcPort: 40000, DstPort: 53}, Text("query")),
		wire.DNSMessage, "10.0.0.1:40000", "query"},
	{"ARP", frame.Ethernet, Frame(Ethernet{Type: 0x0806}, Bytes(make([]byte, 28))), wire.ARP, "",
		""},
	{"LLDP", frame.Ethernet, Frame(Ethernet{Type: 0x88cc}, Bytes(make([]byte, 28))),
		wire.OtherEther, "", ""},

	{"802.1Q", frame.Ethernet, Frame(eth, VLAN{ID: 7}, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"802.1Q twice", frame.Ethernet, Frame(eth, VLAN{ID: 7}, VLAN{ID: 8}, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"802.1ad", frame.Ethernet, Frame(eth, VLAN{ID: 7, Type: 0x88a8}, VLAN{ID: 8}, ip4, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"four tags", frame.Ethernet,
		Frame(eth, VLAN{ID: 1}, VLAN{ID: 2}, VLAN{ID: 3}, VLAN{ID: 4}, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"five tags", frame.Ethernet,
		Frame(eth, VLAN{ID: 1}, VLAN{ID: 2}, VLAN{ID: 3}, VLAN{ID: 4}, VLAN{ID: 5}, ip4, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"16 tags", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth}, slices.Repeat([]Layer{VLAN{}}, 16),
			[]Layer{ip4, syn})...), wire.Mail, "10.0.0.1:40000", ""},
	{"17 tags", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth}, slices.Repeat([]Layer{VLAN{}}, 17),
			[]Layer{ip4, syn})...), wire.TooManyTags, "", ""},
	{"802.1BR", frame.Ethernet, Frame(eth, ETag{}, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"SNAP", frame.Ethernet, Frame(SNAP{}, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"spanning tree", frame.Ethernet, Frame(Ethernet{Type: 38}, Bytes{0x42, 0x42, 3, 0, 0}),
		wire.OtherLLC, "", ""},
	{"MPLS", frame.Ethernet,
		Frame(eth, MPLS{Label: 16}, MPLS{Label: 17, Bottom: true}, Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"MPLS pseudowire", frame.Ethernet,
		Frame(eth, MPLS{Label: 16, Bottom: true}, Bytes{0, 0, 0, 0}, Bytes(Frame(eth, ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"PPPoE", frame.Ethernet, Frame(eth, PPPoE{Session: 5}, ip4, syn), wire.Mail, "10.0.0.1:40000",
		""},
	{"PPPoE with LCP", frame.Ethernet, Frame(eth, PPPoE{Session: 5}, Bytes{0xc0, 0x21}),
		wire.OtherPPP, "", ""},

	{"GRE", frame.Ethernet, Frame(eth, ip4, GRE{}, ip6, syn), wire.Mail, "[2001:db8::1]:40000", ""},
	{"GRE with key, checksum, sequence", frame.Ethernet,
		Frame(eth, ip4, GRE{Present: 0xb000, Key: 9}, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"GRE with Ethernet", frame.Ethernet, Frame(eth, ip4, GRE{}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"PPTP", frame.Ethernet,
		Frame(eth, ip4, GRE{Present: 0x3001, Type: 0x880b, Key: 9}, Bytes{0xff, 3, 0x21},
			Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"ERSPAN I", frame.Ethernet, Frame(eth, ip4, GRE{Type: 0x88be}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"ERSPAN II", frame.Ethernet,
		Frame(eth, ip4, GRE{Present: 0x1000, Type: 0x88be}, Bytes{0x10, 7, 0, 3, 0, 0, 0, 0}, eth,
			ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"ERSPAN III", frame.Ethernet,
		Frame(eth, ip4, GRE{Present: 0x1000, Type: 0x22eb},
			Bytes{0x20, 7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000",
		""},
	{"ERSPAN III with sub-header", frame.Ethernet,
		Frame(eth, ip4, GRE{Present: 0x1000, Type: 0x22eb},
			Bytes{0x20, 7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}, eth, ip4, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"VXLAN", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 4789}, VXLAN{Network: 9}, eth, ip4, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"GENEVE with options", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 6081},
			GENEVE{Network: 9, Options: make([]byte, 8)}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000",
		""},
	{"802.1ah", frame.Ethernet, Frame(eth, ITag{Service: 7}, eth, VLAN{ID: 3}, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"TZSP", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 0, 0, 1, 1}, eth, ip4, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"TZSP with fields", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008},
			Bytes{1, 1, 0, 1, 0, 10, 1, 1, 41, 2, 0, 0, 0, 1}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"TZSP with 802.11", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 0, 0, 18, 1}, wlan(0x08, 1),
			Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"TZSP, nothing in it", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 4, 0, 0, 1, 0, 0, 0, 0}),
		wire.OtherUDP, "", ""},
	{"TZSP, fields without end", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 0, 0, 1, 9, 200, 1, 1, 1, 1, 1}),
		wire.ShortLink, "", ""},
	{"TZSP of another version", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{2, 0, 0, 1, 1}, eth, ip4, syn),
		wire.OtherUDP, "", ""},
	{"MPLS pseudowire without control word", frame.Ethernet,
		Frame(eth, MPLS{Label: 16, Bottom: true},
			Bytes(Frame(Ethernet{Dst: [6]byte{0, 0x1b, 0x21}}, ip4, syn))), wire.Mail,
		"10.0.0.1:40000",
		""},
	{"MPLS pseudowire, an address like IPv4", frame.Ethernet,
		Frame(eth, MPLS{Label: 16, Bottom: true},
			Bytes(Frame(Ethernet{Dst: [6]byte{0x44, 0x1b, 0x21}}, ip4, syn))), wire.Mail,
		"10.0.0.1:40000", ""},
	{"MPLS pseudowire, an address like IPv6", frame.Ethernet,
		Frame(eth, MPLS{Label: 16, Bottom: true},
			Bytes(Frame(Ethernet{Dst: [6]byte{0x64, 0x1b, 0x21}}, VLAN{ID: 3}, ip4, syn))),
		wire.Mail,
		"10.0.0.1:40000", ""},
	{"MPLS, an address like an ethertype", frame.Ethernet,
		Frame(eth, MPLS{Label: 16, Bottom: true},
			Bytes(Frame(IP{Src: "8.0.69.1", Dst: "192.0.2.25"}, syn))), wire.Mail, "8.0.69.1:40000",
		""},
	{"EtherIP", frame.Ethernet,
		Frame(eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 97}, Bytes{0x30, 0}, eth,
			ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"MPLS in IP", frame.Ethernet,
		Frame(eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 137},
			MPLS{Label: 16, Bottom: true}, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"IPsec", frame.Ethernet,
		Frame(eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 50}, Text("12345678")),
		wire.OtherTunnel, "", ""},
	{"L2TP over IP", frame.Ethernet,
		Frame(eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 115}, Text("12345678")),
		wire.OtherTunnel, "", ""},
	{"L2TP", frame.Ethernet, Frame(eth, ip4, UDP{SrcPort: 1701, DstPort: 1701}, Text("x")),
		wire.OtherTunnel, "", ""},
	{"GTP", frame.Ethernet, Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 2152}, Text("12345678")),
		wire.OtherTunnel, "", ""},
	{"CAPWAP", frame.Ethernet, Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 5247}, Text("12345678")),
		wire.OtherTunnel, "", ""},
	{"WireGuard", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 1, DstPort: 51820}, Text("12345678")), wire.OtherTunnel, "",
		""},
	{"IPsec behind NAT", frame.Ethernet,
		Frame(eth, ip4, UDP{SrcPort: 4500, DstPort: 4500}, Text("12345678")), wire.OtherTunnel, "",
		""},
	{"IPv4 in IPv4", frame.Ethernet,
		Frame(eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2"}, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"6in4", frame.Ethernet, Frame(eth, ip4, ip6, syn), wire.Mail, "[2001:db8::1]:40000", ""},
	{"4in6", frame.Ethernet, Frame(eth, ip6, ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"tunnels without end", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth}, slices.Repeat([]Layer{ip4}, 30), []Layer{syn})...),
		wire.TooManyLayers, "", ""},

	{"cooked", frame.SLL,
		Frame(Bytes{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0}, Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"cooked v2", frame.SLL2,
		Frame(Bytes{0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0},
			Bytes(Frame(ip6, syn))), wire.Mail, "[2001:db8::1]:40000", ""},
	{"loopback, little-endian", frame.Null, Frame(Bytes{2, 0, 0, 0}, Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"loopback, big-endian IPv6", frame.Loop, Frame(Bytes{0, 0, 0, 24}, Bytes(Frame(ip6, syn))),
		wire.Mail, "[2001:db8::1]:40000", ""},
	{"raw", frame.Raw, Frame(ip4, syn), wire.Mail, "10.0.0.1:40000", ""},
	{"Cisco HDLC", frame.CiscoHD, Frame(Bytes{0x0f, 0, 8, 0}, Bytes(Frame(ip4, syn))), wire.Mail,
		"10.0.0.1:40000", ""},
	{"PPP", frame.PPP, Frame(Bytes{0xff, 3, 0, 0x21}, Bytes(Frame(ip4, syn))), wire.Mail,
		"10.0.0.1:40000", ""},
	{"802.11 to the access point", frame.WLAN, Frame(wlan(0x08, 1), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"802.11 from the access point, QoS", frame.WLAN, Frame(wlan(0x88, 2), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"802.11 between access points, QoS and HT control", frame.WLAN,
		Frame(wlan(0x88, 0x83), Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"802.11, encrypted", frame.WLAN, Frame(wlan(0x08, 0x41), Bytes(Frame(ip4, syn))),
		wire.OtherEther, "", ""},
	{"802.11, a fragment", frame.WLAN, Frame(wlan(0x08, 5), Bytes(Frame(ip4, syn))),
		wire.OtherEther, "", ""},
	{"802.11 beacon", frame.WLAN, Frame(wlan(0x80, 0), Bytes(make([]byte, 40))), wire.OtherEther,
		"", ""},
	{"802.11 without data", frame.WLAN, Frame(wlan(0x48, 1)), wire.OtherEther, "", ""},
	{"radiotap", frame.Radiotap,
		Frame(Bytes{0, 0, 12, 0, 4, 0, 0, 0, 2, 0, 0, 0}, wlan(0x08, 1), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"PPI", frame.PPI, Frame(Bytes{0, 0, 8, 0, 1, 0, 0, 0}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"PPI with 802.11", frame.PPI,
		Frame(Bytes{0, 0, 12, 0, 105, 0, 0, 0, 9, 9, 9, 9}, wlan(0x08, 1), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"PPI in PPI", frame.PPI,
		Frame(Bytes{0, 0, 8, 0, 192, 0, 0, 0}, Bytes{0, 0, 8, 0, 1, 0, 0, 0}, eth, ip4, syn),
		wire.UnknownLink, "", ""},
	{"PKTAP as USER2", frame.PKTAPUser,
		Frame(Bytes{12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"PKTAP, no packet", frame.PKTAP,
		Frame(Bytes{12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, eth, ip4, syn), wire.OtherEther, "", ""},
	{"PKTAP in PKTAP", frame.PKTAP,
		Frame(Bytes{12, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0}, Bytes{12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
			eth, ip4, syn), wire.UnknownLink, "", ""},
	{"PKTAP, shorter than itself", frame.PKTAP,
		Frame(Bytes{11, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, eth, ip4, syn), wire.ShortLink, "", ""},
	{"PPP of pppd", frame.PPPD, Frame(Bytes{1, 3, 0, 0x21}, Bytes(Frame(ip4, syn))), wire.Mail,
		"10.0.0.1:40000", ""},
	{"PPP with direction alone", frame.PPPDir, Frame(Bytes{0, 0, 0x57}, Bytes(Frame(ip6, syn))),
		wire.Mail, "[2001:db8::1]:40000", ""},
	{"Prism, big-endian", frame.Prism,
		Frame(Bytes{0, 0, 0, 0x44, 0, 0, 0, 12, 9, 9, 9, 9}, wlan(0x08, 1), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"AVS as Prism", frame.Prism,
		Frame(Bytes{0x80, 0x21, 0x10, 1, 0, 0, 0, 12, 9, 9, 9, 9}, wlan(0x08, 1),
			Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"Cisco HDLC with direction", frame.HDLCDir,
		Frame(Bytes{1, 0x0f, 0, 8, 0}, Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"Broadcom tag in front", frame.BRCMPrepend, Frame(Bytes{0, 0, 0, 1}, eth, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"Broadcom tag", frame.BRCMTag, append(append(Frame(eth)[:12:12], 0, 0, 0, 1, 8, 0),
		Frame(ip4, syn)...), wire.Mail, "10.0.0.1:40000", ""},
	{"Marvell tag", frame.DSA, append(append(Frame(eth)[:12:12], 0xc0, 8, 0, 0, 8, 0),
		Frame(ip4, syn)...), wire.Mail, "10.0.0.1:40000", ""},
	{"Marvell tag with ethertype", frame.EDSA,
		append(append(Frame(eth)[:12:12], 0xda, 0xda, 0, 0, 0xc0, 8, 0, 0, 0x86, 0xdd),
			Frame(ip6, syn)...), wire.Mail, "[2001:db8::1]:40000", ""},
	{"ERF of ATM", frame.ERF,
		Frame(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}, eth, ip4, syn), wire.OtherEther,
		"", ""},
	{"PFLOG", frame.PFLog,
		Frame(Bytes(append([]byte{61, 2, 0, 0}, make([]byte, 60)...)), Bytes(Frame(ip4, syn))),
		wire.Mail, "10.0.0.1:40000", ""},
	{"NFLOG", frame.NFLog,
		Frame(Bytes{2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 1, 0, 5, 0, 10, 0, 0, 0, 0, 0, 44, 0, 9, 0},
			Bytes(Frame(ip4, syn))), wire.Mail, "10.0.0.1:40000", ""},
	{"NFLOG, big-endian", frame.NFLog,
		Frame(Bytes{10, 0, 0, 5, 0, 8, 0, 1, 8, 0, 1, 0, 0, 64, 0, 9}, Bytes(Frame(ip6, syn))),
		wire.Mail, "[2001:db8::1]:40000", ""},
	{"NFLOG without the packet", frame.NFLog, Bytes{2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 1, 0},
		wire.OtherEther, "", ""},
	{"NFLOG with a field of no length", frame.NFLog,
		Bytes{2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 1, 0, 0, 0, 9, 0}, wire.ShortLink, "", ""},
	{"PPPoE without Ethernet", frame.PPPEther, Frame(PPPoE{Session: 5}, ip4, syn), wire.Mail,
		"10.0.0.1:40000", ""},
	{"unknown link", 147, Frame(eth, ip4, syn), wire.UnknownLink, "", ""},

	{"IP options", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Options: []byte{1, 1, 7, 3, 4}}, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"IP option without length", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Options: []byte{7, 0, 4, 0}}, syn),
		wire.BadIPOption, "", ""},
	{"garbage behind the last option", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Options: []byte{0, 7, 0, 9}}, syn),
		wire.Mail, "10.0.0.1:40000", ""},
	{"extension headers", frame.Ethernet,
		Frame(eth, ip6, ext(0), ext(60), Ext{Type: 43, Body: make([]byte, 6)}, syn), wire.Mail,
		"[2001:db8::1]:40000", ""},
	{"atomic fragment", frame.Ethernet, Frame(eth, ip6, Ext{Type: 44, Body: make([]byte, 6)}, syn),
		wire.Mail, "[2001:db8::1]:40000", ""},
	{"32 extension headers", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth, ip6}, slices.Repeat([]Layer{ext(60)}, 32),
			[]Layer{syn})...), wire.Mail, "[2001:db8::1]:40000", ""},
	{"33 extension headers", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth, ip6}, slices.Repeat([]Layer{ext(60)}, 33),
			[]Layer{syn})...), wire.TooManyHeaders, "", ""},
	{"40 extension headers", frame.Ethernet,
		Frame(slices.Concat([]Layer{eth, ip6}, slices.Repeat([]Layer{ext(60)}, 40),
			[]Layer{syn})...), wire.TooManyHeaders, "", ""},
	{"IPv4 fragment", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Frag: 0x2000}, syn), wire.TCPFragment, "",
		""},
	{"IPv4 fragment of UDP", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Frag: 0x2000},
			UDP{SrcPort: 1, DstPort: 53}), wire.Fragment, "", ""},
	{"IPv6 fragment", frame.Ethernet,
		Frame(eth, ip6, Ext{Type: 44, Body: []byte{0, 1, 0, 0, 0, 0}}, syn, Text("1234")),
		wire.TCPFragment, "", ""},

	{"SYN+FIN", frame.Ethernet, Frame(eth, ip4, TCP{SrcPort: 1, DstPort: 25, Flags: SYN | FIN}),
		wire.BadTCPFlags, "", ""},
	{"SYN+RST", frame.Ethernet, Frame(eth, ip4, TCP{SrcPort: 1, DstPort: 25, Flags: SYN | RST}),
		wire.BadTCPFlags, "", ""},
	{"no flags", frame.Ethernet, Frame(eth, ip4, TCP{SrcPort: 1, DstPort: 25}), wire.BadTCPFlags,
		"", ""},
	{"data offset 4", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 1, DstPort: 25, Flags: SYN, Offset: 4}), wire.BadTCPOffset, "",
		""},
	{"data offset 15", frame.Ethernet,
		Frame(eth, ip4, TCP{SrcPort: 1, DstPort: 25, Flags: SYN, Offset: 15}), wire.BadTCPOffset,
		"", ""},
	{"total length 20", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Length: 20}, syn), wire.ShortTCP, "", ""},
	{"total length 19", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Length: 19}, syn), wire.BadIPLength, "",
		""},
	{"total length beyond the frame", frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.1", Dst: "192.0.2.25", Length: 999}, syn), wire.BadIPLength, "",
		""},
	{"short Ethernet", frame.Ethernet, []byte{1, 2, 3}, wire.ShortLink, "", ""},
	{"empty", frame.Ethernet, nil, wire.ShortLink, "", ""},
}

func TestDecode(t *testing.T) {
	d := decoder()
	for _, c := range decodes {
		var p wire.Packet
		if got := d.Decode(c.link, c.frame, 0, &p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
			continue
		}
		if c.want > wire.DNSSegment {
			continue
		}
		src := netip.AddrFrom16(p.Src)
		if !p.V6 {
			src = src.Unmap()
		}
		if from := netip.AddrPortFrom(src, p.SrcPort).String(); from != c.from ||
			string(p.Payload) != c.text || int(p.Len) != len(c.text) {
			t.Errorf("%s: from %s %q (%d), want %s %q", c.name, from, p.Payload, p.Len, c.from,
				c.text)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	d := decoder()
	var p wire.Packet
	for _, c := range decodes {
		if n := testing.AllocsPerRun(10, func() { d.Decode(c.link, c.frame, 0, &p) }); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// TestDecodeCut checks that every frame has an outcome at every length, and that a frame that the
// capture cut never counts as malformed.
func TestDecodeCut(t *testing.T) {
	d := decoder()
	var p wire.Packet
	for _, c := range decodes {
		for n := range len(c.frame) {
			d.Decode(c.link, c.frame[:n:n], 0, &p)
			o := d.Decode(c.link, c.frame[:n:n], len(c.frame), &p)
			if !c.want.Refused() && o.Refused() && o != wire.Truncated {
				t.Errorf("%s cut at %d of %d: %s", c.name, n, len(c.frame), o)
			}
		}
	}
}

// TestSnaplen checks that connections are counted in a capture with a short snapshot length.
func TestSnaplen(t *testing.T) {
	d := decoder()
	var p wire.Packet
	whole := Frame(eth, ip4, data, Text("MAIL FROM:<a@example.org>\r\n"))
	for _, n := range []int{48, 54, 60} {
		if o := d.Decode(frame.Ethernet, whole[:n], len(whole), &p); o != wire.Mail ||
			p.Len != 27 || p.Seq != 8 || len(p.Payload) != max(0, n-54) {
			t.Errorf("snapshot length %d: %s, %d of %d bytes", n, o, len(p.Payload), p.Len)
		}
	}
	if o := d.Decode(frame.Ethernet, whole[:47], len(whole), &p); o != wire.Truncated {
		t.Errorf("cut before the flags: %s", o)
	}
}

func TestTagsAndTunnels(t *testing.T) {
	d := decoder()
	var p wire.Packet
	for _, c := range []struct {
		frame  []byte
		vlans  []uint16
		tunnel uint32
	}{
		{Frame(eth, VLAN{ID: 7}, VLAN{ID: 8}, ip4, syn), []uint16{7, 8}, 0},
		{Frame(eth, ip4, syn), nil, 0},
		{Frame(eth, VLAN{ID: 7}, ip4, UDP{SrcPort: 1, DstPort: 4789}, VXLAN{Network: 9}, eth,
			VLAN{ID: 3}, ip4, syn), []uint16{3}, 9},
		{Frame(eth, ip4, GRE{Present: 0x2000, Key: 77}, ip4, syn), nil, 77},
		{Frame(eth, ip4, GRE{Present: 0x1000, Type: 0x88be}, Bytes{0x10, 7, 0, 3, 0, 0, 0, 0}, eth,
			ip4, syn), []uint16{7}, 3},
		{Frame(eth, PPPoE{Session: 5}, ip4, syn), nil, 5},
		{Frame(eth, VLAN{ID: 9}, ITag{Service: 7}, eth, ip4, syn), []uint16{9}, 7},
		{Frame(eth, VLAN{ID: 9}, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 0, 0, 1, 1}, eth,
			VLAN{ID: 3}, ip4, syn), []uint16{3}, 0},
	} {
		d.Decode(frame.Ethernet, c.frame, 0, &p)
		if !slices.Equal(p.VLAN[:p.Tags], c.vlans) || p.Tunnel != c.tunnel {
			t.Errorf("VLANs %v tunnel %d, want %v %d", p.VLAN[:p.Tags], p.Tunnel, c.vlans, c.tunnel)
		}
	}
}

// TestWLANSender checks the source of 802.11 frames, which is in a different address field for each
// direction through the access point.
func TestWLANSender(t *testing.T) {
	d := decoder()
	var p wire.Packet
	for flags, want := range map[byte]byte{0: 2, 1: 2, 2: 3, 3: 4} {
		if o := d.Decode(frame.WLAN, Frame(wlan(0x08, flags), Bytes(Frame(ip4, syn))), 0,
			&p); o != wire.Mail || p.MAC != [6]byte{5: want} {
			t.Errorf("flags %d: %s from %x", flags, o, p.MAC)
		}
	}
	nflog := Frame(Bytes{2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 1, 0, 16, 0, 3, 0, 0, 6, 0, 0, 2, 0, 0, 0, 0,
		9, 0, 0, 44, 0, 9, 0}, Bytes(Frame(ip4, syn)))
	if o := d.Decode(frame.NFLog, nflog, 0, &p); o != wire.Mail || p.MAC != [6]byte{2, 5: 9} {
		t.Errorf("NFLOG: %s from %x", o, p.MAC)
	}
}

// TestAddresses checks that a SYN from or to an address that belongs to no host is no attempt: no
// kernel answers it.
func TestAddresses(t *testing.T) {
	d := decoder()
	var p wire.Packet
	good, group := Ethernet{Src: [6]byte{2}, Dst: [6]byte{2, 1}},
		Ethernet{Src: [6]byte{2}, Dst: [6]byte{3}}
	for _, c := range []struct {
		eth      Ethernet
		src, dst string
		want     wire.Outcome
	}{
		{good, "10.0.0.1", "192.0.2.25", wire.Mail},
		{group, "10.0.0.1", "192.0.2.25", wire.BadAddress},
		{good, "10.0.0.1", "224.0.0.25", wire.BadAddress},
		{good, "224.0.0.1", "192.0.2.25", wire.BadAddress},
		{good, "10.0.0.1", "239.255.255.255", wire.BadAddress},
		{good, "10.0.0.1", "240.0.0.1", wire.Mail},
		{good, "10.0.0.1", "255.255.255.254", wire.Mail},
		{good, "10.0.0.1", "255.255.255.255", wire.BadAddress},
		{good, "10.0.0.1", "0.0.0.0", wire.BadAddress},
		{good, "0.0.0.0", "192.0.2.25", wire.BadAddress},
		{good, "0.0.0.1", "192.0.2.25", wire.Mail},
		{good, "127.0.0.1", "192.0.2.25", wire.BadAddress},
		{good, "10.0.0.1", "127.0.0.2", wire.BadAddress},
		{good, "10.0.0.1", "10.0.0.1", wire.BadAddress},
		{good, "2001:db8::1", "2001:db8::25", wire.Mail},
		{group, "2001:db8::1", "2001:db8::25", wire.BadAddress},
		{good, "2001:db8::1", "ff02::25", wire.BadAddress},
		{good, "ff02::1", "2001:db8::25", wire.BadAddress},
		{good, "::1", "2001:db8::25", wire.BadAddress},
		{good, "2001:db8::1", "::1", wire.BadAddress},
		{good, "2001:db8::1", "::", wire.BadAddress},
		{good, "2001:db8::1", "2001:db8::1", wire.BadAddress},
		{good, "2001:db8::1", "::ffff:10.0.0.1", wire.BadAddress},
		{good, "2001:db8::1", "::2", wire.Mail},
	} {
		packet := Frame(IP{Src: c.src, Dst: c.dst}, syn)
		f := Frame(c.eth, Datagram(packet))
		if o := d.Decode(frame.Ethernet, f, 0, &p); o != c.want {
			t.Errorf("%s > %s, %x: %s, want %s", c.src, c.dst, c.eth.Dst, o, c.want)
		}
		if o := d.Decode(frame.Ethernet, Frame(c.eth, VLAN{ID: 7}, Datagram(packet)), 0,
			&p); o != c.want {
			t.Errorf("%s > %s, %x, tagged: %s, want %s", c.src, c.dst, c.eth.Dst, o, c.want)
		}
	}
	loop := Frame(IP{Src: "127.0.0.1", Dst: "127.0.0.1"}, syn)
	// to us, to all, to a group, to another, from us
	for kind, want := range map[byte]wire.Outcome{0: wire.Mail, 1: wire.BadAddress,
		2: wire.BadAddress, 3: wire.Mail, 4: wire.Mail} {
		if o := d.Decode(frame.SLL,
			append([]byte{0, kind, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, loop...), 0,
			&p); o != want {
			t.Errorf("cooked, packet type %d: %s, want %s", kind, o, want)
		}
		if o := d.Decode(frame.SLL2,
			append([]byte{8, 0, 0, 0, 0, 0, 0, 1, 3, 4, kind, 6, 0, 0, 0, 0, 0, 0, 0, 0}, loop...),
			0, &p); o != want {
			t.Errorf("cooked v2, packet type %d: %s, want %s", kind, o, want)
		}
	}
}

func TestICMPError(t *testing.T) {
	d := decoder()
	var p wire.Packet
	quoted := Frame(ip4, syn)
	router := IP{Src: "198.51.100.1", Dst: "10.0.0.1"}
	for _, c := range []struct {
		name  string
		frame []byte
		want  wire.Outcome
	}{
		{"prohibited", Frame(eth, router, ICMP{Type: 3, Code: 13}, Bytes(quoted)), wire.MailError},
		{"8 bytes behind the header",
			Frame(eth, router, ICMP{Type: 3, Code: 13}, Bytes(quoted[:28])), wire.MailError},
		{"7 bytes", Frame(eth, router, ICMP{Type: 3, Code: 13}, Bytes(quoted[:27])),
			wire.OtherICMP},
		{"time exceeded", Frame(eth, router, ICMP{Type: 11}, Bytes(quoted)), wire.MailError},
		{"echo", Frame(eth, router, ICMP{Type: 8}, Bytes(quoted)), wire.OtherICMP},
		{"about UDP", Frame(eth, router, ICMP{Type: 3},
			Bytes(Frame(ip4, UDP{SrcPort: 1, DstPort: 25}, Text("12345678")))), wire.OtherICMP},
		{"IPv6", Frame(eth, IP{Src: "2001:db8::9", Dst: "2001:db8::1"},
			ICMP{V6: true, Type: 1, Code: 1}, Bytes(Frame(ip6, syn))), wire.MailError},
	} {
		o := d.Decode(frame.Ethernet, c.frame, 0, &p)
		if o != c.want {
			t.Errorf("%s: %s, want %s", c.name, o, c.want)
		}
		if o == wire.MailError && (p.DstPort != 25 || p.Seq != 7 || p.Reporter == p.Src) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for o := wire.Outcome(0); o < wire.Outcomes; o++ {
		if o.String() == "" || seen[o.String()] {
			t.Errorf("outcome %d is called %q", o, o)
		}
		seen[o.String()] = true
	}
}
