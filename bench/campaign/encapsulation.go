package campaign

import (
	w "spamsensor/sensor/wire/wiretest"
)

// Encapsulation is the headers that a mirror port, a provider's line or a tap adds to a packet.
type Encapsulation struct {
	Name string
	Link uint16 // link type of the capture; see https://www.tcpdump.org/linktypes.html
	wrap func(ether []byte) []byte
}

// Encapsulations are all encapsulations that the sensor reads, by its own statement.
var Encapsulations = []*Encapsulation{
	{"vlan", 1, tagged(w.VLAN{ID: 100})},
	{"qinq", 1, tagged(w.VLAN{ID: 7, Type: 0x88a8}, w.VLAN{ID: 100})},
	{"qinq-9100", 1, tagged(w.VLAN{ID: 7, Type: 0x9100}, w.VLAN{ID: 100})},
	{"etag", 1, tagged(w.ETag{})},
	{"mpls", 1, tagged(w.MPLS{Label: 16}, w.MPLS{Label: 17, Bottom: true})},
	{"mpls-ethernet", 1, func(e []byte) []byte {
		return w.Frame(station, w.MPLS{Label: 16, Bottom: true}, w.Bytes{0, 0, 0, 0}, w.Bytes(e))
	}},
	{"pppoe", 1, tagged(w.PPPoE{Session: 5})},
	{"snap", 1, func(e []byte) []byte {
		return w.Frame(w.SNAP{Dst: [6]byte(e), Src: [6]byte(e[6:])}, w.Datagram(e[14:]))
	}},
	{"gre", 1, routed(w.GRE{})},
	{"gre-key", 1, routed(w.GRE{Present: 0xb000, Key: 9})},
	{"gre-ethernet", 1, tunnelled(w.GRE{})},
	{"erspan-1", 1, tunnelled(w.GRE{Type: 0x88be})},
	{"erspan-2", 1, tunnelled(w.GRE{Present: 0x1000, Type: 0x88be},
		w.Bytes{0x10, 7, 0, 3, 0, 0, 0, 0})},
	{"erspan-3", 1, tunnelled(w.GRE{Present: 0x1000, Type: 0x22eb},
		w.Bytes{0x20, 7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0})},
	{"vxlan", 1, tunnelled(w.UDP{SrcPort: 50000, DstPort: 4789}, w.VXLAN{Network: 9})},
	{"vxlan-linux", 1, tunnelled(w.UDP{SrcPort: 50000, DstPort: 8472}, w.VXLAN{Network: 9})},
	{"geneve", 1, tunnelled(w.UDP{SrcPort: 50000, DstPort: 6081},
		w.GENEVE{Network: 9, Options: make([]byte, 8)})},
	{"ip-in-ip", 1, routed()},
	{"802.1ah", 1, func(e []byte) []byte {
		return w.Frame(station, w.ITag{Service: 7}, w.Whole(e))
	}},
	{"tzsp", 1, tunnelled(w.UDP{SrcPort: 50000, DstPort: 37008},
		w.Bytes{1, 0, 0, 1, 10, 1, 200, 1})},
	{"etherip", 1, func(e []byte) []byte {
		outer := transit
		outer.Protocol = 97
		return w.Frame(station, outer, w.Bytes{0x30, 0}, w.Whole(e))
	}},
	{"radiotap", 127, func(e []byte) []byte {
		return join([]byte{0, 0, 8, 0, 0, 0, 0, 0}, wlanFrame(e))
	}},
	{"ppi", 192, func(e []byte) []byte { return join([]byte{0, 0, 8, 0, 1, 0, 0, 0}, e) }},
	{"pflog", 117, func(e []byte) []byte {
		head := make([]byte, 64)
		head[0], head[1] = 61, loopbackFamily(e, 2, 24)[0]
		return join(head, e[14:])
	}},
	{"nflog", 239, func(e []byte) []byte {
		n := 4 + len(e) - 14
		return join(loopbackFamily(e, 2, 10)[:1], []byte{0, 0, 5, 8, 0, 1, 0}, e[12:14],
			[]byte{1, 0,
				16, 0, 3, 0, 0, 6, 0, 0}, e[6:12], []byte{0, 0, byte(n), byte(n >> 8), 9, 0},
			e[14:])
	}},
	{"sll", 113, func(e []byte) []byte {
		return join([]byte{0, 0, 0, 1, 0, 6}, e[6:12], []byte{0, 0}, e[12:])
	}},
	{"sll2", 276, func(e []byte) []byte {
		return join(e[12:14], []byte{0, 0, 0, 0, 0, 1, 0, 1, 0, 6}, e[6:12], []byte{0, 0}, e[14:])
	}},
	{"null", 0, func(e []byte) []byte { return join(loopbackFamily(e, 2, 30), e[14:]) }},
	{"loop", 108, func(e []byte) []byte {
		n := loopbackFamily(e, 2, 24)
		return join([]byte{0, 0, 0, n[0]}, e[14:])
	}},
	{"raw", 101, func(e []byte) []byte { return join(e[14:]) }},
	{"hdlc", 104, func(e []byte) []byte { return join([]byte{0x0f, 0}, e[12:]) }},
	{"ppp", 9, func(e []byte) []byte {
		return join([]byte{0xff, 3}, pppProtocol(e), e[14:])
	}},
	{"pktap", 258, func(e []byte) []byte { return join(pktapHeader(1), e) }},
	{"pktap-raw", 258, func(e []byte) []byte { return join(pktapHeader(12), e[14:]) }},
	{"enc", 109, func(e []byte) []byte {
		return join(loopbackFamily(e, 2, 24), make([]byte, 8), e[14:])
	}},
	{"atm", 100, func(e []byte) []byte { return join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, e[12:]) }},
	{"avs", 163, func(e []byte) []byte {
		return join([]byte{0x80, 0x21, 0x10, 1, 0, 0, 0, 64}, make([]byte, 56), wlanFrame(e))
	}},
	{"prism", 119, func(e []byte) []byte {
		return join([]byte{0x44, 0, 0, 0, 144, 0, 0, 0}, make([]byte, 136), wlanFrame(e))
	}},
	{"ppp-direction", 204, func(e []byte) []byte {
		return join([]byte{1, 0xff, 3}, pppProtocol(e), e[14:])
	}},
	{"firewire", 138, func(e []byte) []byte {
		return join(make([]byte, 2), e[:6], make([]byte, 2), e[6:])
	}},
	{"erf", 197, func(e []byte) []byte {
		n := len(e) + 24
		return join(make([]byte, 8), []byte{0x82, 4, byte(n >> 8), byte(n), 0, 0, byte(len(e) >> 8),
			byte(len(e)), 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}, e)
	}},
}

// pktapHeader is the header of Apple's packet tap before a frame of a link type.
func pktapHeader(link byte) []byte {
	b := make([]byte, 108)
	b[0], b[4], b[8] = 108, 1, link
	copy(b[12:], "en0")
	return b
}

// wlanFrame is an Ethernet frame as a station sends it to its access point.
func wlanFrame(e []byte) []byte {
	return join([]byte{0x08, 1, 0, 0}, station.Dst[:], e[6:12], e[:6],
		[]byte{0, 0, 0xaa, 0xaa, 3, 0, 0, 0}, e[12:])
}

// pppProtocol is the PPP protocol number of a frame's packet.
func pppProtocol(e []byte) []byte {
	if e[14]>>4 == 6 {
		return []byte{0, 0x57}
	}
	return []byte{0, 0x21}
}

// station and transit are the outer Ethernet and IP headers of tunnels.
var (
	station = w.Ethernet{Dst: [6]byte{2, 0xee, 0, 0, 0, 1}, Src: [6]byte{2, 0xee, 0, 0, 0, 2}}
	transit = w.IP{Src: "198.18.0.1", Dst: "198.18.0.2"}
)

// tagged inserts layers between the Ethernet header and the IP packet.
func tagged(layers ...w.Layer) func([]byte) []byte {
	return func(e []byte) []byte {
		all := append([]w.Layer{w.Ethernet{Dst: [6]byte(e), Src: [6]byte(e[6:])}}, layers...)
		return w.Frame(append(all, w.Datagram(e[14:]))...)
	}
}

// routed puts the IP packet into a tunnel, tunnelled the whole frame.
func routed(layers ...w.Layer) func([]byte) []byte {
	return func(e []byte) []byte {
		all := append([]w.Layer{station, transit}, layers...)
		return w.Frame(append(all, w.Datagram(e[14:]))...)
	}
}

func tunnelled(layers ...w.Layer) func([]byte) []byte {
	return func(e []byte) []byte {
		all := append([]w.Layer{station, transit}, layers...)
		return w.Frame(append(all, w.Whole(e))...)
	}
}

// loopbackFamily is the header of BSD's loopback: the address family, little-endian.
func loopbackFamily(e []byte, v4, v6 byte) []byte {
	if e[14]>>4 == 6 {
		return []byte{v6, 0, 0, 0}
	}
	return []byte{v4, 0, 0, 0}
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
