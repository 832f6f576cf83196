package capture_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"

	"spamsensor/bench/corpus"
	"spamsensor/sensor/capture"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// untagged removes the outermost VLAN tag, as the kernel does before its filter runs.
func untagged(f []byte) []byte {
	if len(f) < 18 {
		return f
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x8100, 0x88a8:
		return append(bytes.Clone(f[:12]), f[16:]...)
	}
	return f
}

// keeps checks that the kernel's filter keeps each frame from which the decoder gets a packet.
func keeps(t *testing.T, link frame.LinkType, frames map[string][][]byte) {
	t.Helper()
	ports := []uint16{25, 465, 587, 2525}
	filter, err := pcap.NewBPF(layers.LinkType(link), 262144, capture.Filter(link, ports))
	if err != nil {
		t.Fatal(err)
	}
	d := new(wire.Decoder)
	d.SetPorts(ports)
	wanted := 0
	for name, list := range frames {
		for _, f := range list {
			var p wire.Packet
			o := d.Decode(link, f, 0, &p)
			if o > wire.DNSSegment && o != wire.TCPFragment && o != wire.OtherSYN {
				continue
			}
			wanted++
			seen := [][]byte{f}
			if link == 1 {
				seen = append(seen, untagged(f))
			}
			for i, f := range seen {
				if !filter.Matches(gopacket.CaptureInfo{CaptureLength: len(f), Length: len(f)}, f) {
					t.Errorf("%s (%s) is lost; without its outer tag: %v", name, o, i == 1)
				}
			}
		}
	}
	if wanted == 0 {
		t.Error("no frame was wanted")
	}
}

func TestFilterKeeps(t *testing.T) {
	eth := Ethernet{Dst: [6]byte{2, 0, 0, 0, 0, 1}, Src: [6]byte{2, 0, 0, 0, 0, 2}}
	ip4, ip6 := IP{Src: "10.0.0.1", Dst: "192.0.2.25"}, IP{Src: "2001:db8::1", Dst: "2001:db8::25"}
	syn := TCP{SrcPort: 40000, DstPort: 25, Flags: SYN}
	frames := map[string][][]byte{}
	for _, v := range Variants() {
		frames[v.Name] = v.Frames
	}
	for name, l := range map[string][]Layer{
		"answer":              {eth, ip4, TCP{SrcPort: 587, DstPort: 40000, Flags: SYN | ACK}},
		"data":                {eth, ip6, TCP{SrcPort: 40000, DstPort: 465, Flags: ACK}, Text("x")},
		"SYN elsewhere":       {eth, ip4, TCP{SrcPort: 40000, DstPort: 443, Flags: SYN}},
		"SYN elsewhere, IPv6": {eth, ip6, TCP{SrcPort: 40000, DstPort: 443, Flags: SYN}},
		"DNS":                 {eth, ip4, UDP{SrcPort: 40000, DstPort: 53}, Text("x")},
		"DNS answer":          {eth, ip6, UDP{SrcPort: 53, DstPort: 40000}, Text("x")},
		"VLAN":                {eth, VLAN{ID: 7}, ip4, syn},
		"QinQ":                {eth, VLAN{ID: 7, Type: 0x88a8}, VLAN{ID: 8}, ip6, syn},
		"QinQ 0x9100":         {eth, VLAN{ID: 7, Type: 0x9100}, VLAN{ID: 8}, ip4, syn},
		"three tags":          {eth, VLAN{ID: 7}, VLAN{ID: 8}, VLAN{ID: 9}, ip4, syn},
		"802.1BR":             {eth, ETag{}, ip4, syn},
		"EtherIP": {eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 97}, Bytes{0x30, 0},
			eth, ip4, syn},
		"MPLS in IP": {eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2", Protocol: 137},
			MPLS{Label: 16, Bottom: true}, ip4, syn}, "802.1ah": {eth, ITag{}, eth, ip4, syn},
		"TZSP": {eth, ip4, UDP{SrcPort: 1, DstPort: 37008}, Bytes{1, 0, 0, 1, 1}, eth,
			ip4, syn},
		"VLAN, then PPPoE": {eth, VLAN{ID: 7}, PPPoE{Session: 5}, ip4, syn},
		"PPPoE":            {eth, PPPoE{Session: 5}, ip6, syn},
		"MPLS":             {eth, MPLS{Label: 16, Bottom: true}, Bytes(Frame(ip4, syn))},
		"GRE":              {eth, ip4, GRE{}, ip6, syn}, "GRE in IPv6": {eth, ip6, GRE{}, ip4, syn},
		"ERSPAN": {eth, ip4, GRE{Type: 0x88be}, eth, ip4, syn},
		"VXLAN":  {eth, ip4, UDP{SrcPort: 1, DstPort: 4789}, VXLAN{Network: 9}, eth, ip4, syn},
		"VXLAN in IPv6": {eth, ip6, UDP{SrcPort: 1, DstPort: 8472}, VXLAN{Network: 9}, eth, ip4,
			syn},
		"GENEVE": {eth, ip4, UDP{SrcPort: 1, DstPort: 6081}, GENEVE{Network: 9}, eth, ip4, syn},
		"GENEVE in a VLAN": {eth, VLAN{ID: 4}, ip4, UDP{SrcPort: 1, DstPort: 6081},
			GENEVE{Network: 9}, eth, VLAN{ID: 5}, ip4, syn},
		"IPv4 in IPv4": {eth, IP{Src: "203.0.113.1", Dst: "203.0.113.2"}, ip4, syn},
		"6in4":         {eth, ip4, ip6, syn}, "4in6": {eth, ip6, ip4, syn},
		"tunnel behind a header": {eth, ip6, Ext{Type: 60, Body: []byte{1, 4, 0, 0, 0, 0}}, ip4,
			syn},
		"error": {eth, IP{Src: "198.51.100.1", Dst: "10.0.0.1"},
			ICMP{Type: 3, Code: 13}, Bytes(Frame(ip4, syn))},
		"error, IPv6": {eth, IP{Src: "2001:db8::9", Dst: "2001:db8::1"},
			ICMP{V6: true, Type: 1}, Bytes(Frame(ip6, syn))},
	} {
		frames[name] = [][]byte{Frame(l...)}
	}
	keeps(t, 1, frames)

	cooked := map[string][][]byte{}
	for name, list := range frames {
		for _, f := range list {
			if len(f) > 14 {
				cooked[name] = append(cooked[name],
					append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, f[12], f[13]},
						f[14:]...))
			}
		}
	}
	llc := append([]byte{0, 4}, Frame(SNAP{}, ip4, syn)[14:]...)
	cooked["LLC"] = [][]byte{append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0}, llc...)}
	keeps(t, 113, cooked)
	raw := map[string][][]byte{"SYN": {Frame(ip4, syn)}, "IPv6": {Frame(ip6, syn)},
		"tunnel": {Frame(ip4, ip6, syn)}}
	keeps(t, 12, raw)
}

// TestFilterKeepsKernelTruth checks the frames that a real kernel accepted as a connection.
func TestFilterKeepsKernelTruth(t *testing.T) {
	b, err := os.ReadFile(corpus.Path(t, "kernel", "frames.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for b = b[24:]; len(b) >= 16; {
		n := binary.LittleEndian.Uint32(b[8:])
		list = append(list, b[16:16+n])
		b = b[16+n:]
	}
	keeps(t, 1, map[string][][]byte{"kernel/frames.pcap": list})
}
