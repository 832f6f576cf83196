package wire_test

import (
	"strings"
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// unsized is a frame whose inner IP packet, the last of the layers, has no length. It is what a
// sending host passes to a network card that splits the packet.
func unsized(outer []Layer, ip IP, inner ...Layer) []byte {
	b := Frame(append(append([]Layer{}, outer...), append([]Layer{ip}, inner...)...)...)
	at := len(b) - len(Frame(append([]Layer{ip}, inner...)...))
	if strings.Contains(ip.Src, ":") {
		b[at+4], b[at+5] = 0, 0
	} else {
		b[at+2], b[at+3] = 0, 0
	}
	return b
}

// TestUnsized checks packets without a length, in all that can be around them, and their checksum:
// it does not count as right, because no receiver takes such a packet.
func TestUnsized(t *testing.T) {
	d := decoder()
	text := strings.Repeat("RCPT TO:<user@example.org>\r\n", 100)
	vxlan := []Layer{eth, ip4, UDP{SrcPort: 50000, DstPort: 4789}, VXLAN{Network: 9}, eth}
	for name, outer := range map[string][]Layer{"Ethernet": {eth}, "802.1Q": {eth, VLAN{ID: 7}},
		"QinQ": {eth, VLAN{ID: 7, Type: 0x88a8}, VLAN{ID: 8}}, "PPPoE": {eth, PPPoE{Session: 5}},
		"GRE": {eth, ip4, GRE{}}, "IP in IP": {eth, ip4}, "IP in IPv6": {eth, ip6}, "VXLAN": vxlan} {
		for _, ip := range []IP{ip4, ip6} {
			whole := unsized(outer, ip, data, Text(text))
			for _, n := range []int{len(whole), len(whole) - 100, len(whole) - len(text)} {
				var p wire.Packet
				if o := d.Decode(frame.Ethernet, whole[:n:n], len(whole), &p); o != wire.Mail ||
					int(p.Len) != len(text) || string(p.Payload) != text[:len(text)-len(whole)+n] ||
					p.Checksum != wire.Offloaded {
					t.Errorf("%s, %s, %d of %d bytes: %s, %d of %d bytes, checksum %d", name, ip.Src, n,
						len(whole), o, len(p.Payload), p.Len, p.Checksum)
				}
			}
		}
	}
	var p wire.Packet
	frames := [][]byte{unsized(nil, ip4, data, Text(text)), unsized(nil, ip6, data, Text(text))}
	for _, b := range frames {
		if o := d.Decode(frame.Raw, b, 0, &p); o != wire.Mail || int(p.Len) != len(text) {
			t.Errorf("raw IP: %s, %d bytes", o, p.Len)
		}
	}
	if o := d.Decode(frame.Ethernet, unsized([]Layer{eth}, ip4, syn), 0, &p); o != wire.BadIPLength {
		t.Errorf("a SYN, which a kernel drops: %s", o)
	}
	// The flag belongs to the innermost header, and to this frame.
	outside := Frame(eth, ip4, GRE{}, ip4, data, Text(text))
	outside[16], outside[17] = 0, 0
	for _, b := range [][]byte{outside, Frame(eth, ip4, data, Text(text))} {
		if o := d.Decode(frame.Ethernet, b, 0, &p); o != wire.Mail || p.Checksum != wire.Right {
			t.Errorf("a whole packet: %s, checksum %d", o, p.Checksum)
		}
	}
}

// TestUnsizedPadding checks that zeros at the end of the shortest Ethernet frames are padding, and
// that no other byte is.
func TestUnsizedPadding(t *testing.T) {
	d := decoder()
	for _, c := range []struct {
		text, behind, want string
	}{
		{"", "", ""},
		{"", "\x00\x00\x00\x00\x00\x00", ""},
		{"QUIT\r\n", "", "QUIT\r\n"},
		{"a\r\n", "\x00\x00\x00", "a\r\n"},
		{"a\r\n", "\x00\x00\x00\x00", "a\r\n\x00\x00\x00\x00"}, // 61 bytes: not padded
	} {
		var p wire.Packet
		b := append(unsized([]Layer{eth}, ip4, data, Text(c.text)), c.behind...)
		if o := d.Decode(frame.Ethernet, b, 0, &p); o != wire.Mail || string(p.Payload) != c.want ||
			int(p.Len) != len(c.want) {
			t.Errorf("%q: %s, %q (%d)", c.text+c.behind, o, p.Payload, p.Len)
		}
	}
	// A length of zero is right in IPv6 where nothing follows.
	none := Frame(eth, ip6, Bytes{0, 0, 0, 0, 0, 0})
	none[18], none[19] = 0, 0
	var p wire.Packet
	if o := d.Decode(frame.Ethernet, none, 0, &p); o != wire.OtherIP {
		t.Errorf("no next header: %s", o)
	}
}

// TestUnsizedFragment checks that a fragment without a length is refused: no card splits one.
func TestUnsizedFragment(t *testing.T) {
	d := decoder()
	var p wire.Packet
	first := ip4
	first.Frag = 0x2000
	for _, b := range [][]byte{unsized([]Layer{eth}, first, data, Text("EHLO a\r\n")),
		unsized([]Layer{eth}, ip6, Ext{Type: 44, Body: []byte{0, 1, 0, 0, 0, 1}}, data,
			Text("EHLO a\r\n"))} {
		if o := d.Decode(frame.Ethernet, b, 0, &p); o != wire.BadIPLength {
			t.Errorf("%s, want %s", o, wire.BadIPLength)
		}
	}
}

// TestJumbogram checks RFC 2675: the length is in an option, of more than 65,535 bytes.
func TestJumbogram(t *testing.T) {
	d := decoder()
	text := strings.Repeat("0123456789abcdef", 4096) // 65,536 bytes
	all := 8 + 20 + len(text)
	for _, c := range []struct {
		length, behind int
		want           wire.Outcome
	}{
		{all, 0, wire.Mail}, {all, 4, wire.Mail}, {all + 1, 0, wire.BadIPLength},
		{0xffff, 0, wire.BadIPOption}, {0, 0, wire.BadIPOption},
	} {
		n := c.length
		option := Ext{Type: 0, Body: []byte{0xc2, 4, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}}
		b := append(unsized([]Layer{eth}, ip6, option, data, Text(text)), make([]byte, c.behind)...)
		var p wire.Packet
		if o := d.Decode(frame.Ethernet, b, 0, &p); o != c.want ||
			o == wire.Mail && string(p.Payload) != text {
			t.Errorf("length %d, %d bytes behind it: %s, %d bytes", n, c.behind, o, p.Len)
		}
	}
	// A usual packet has no such option.
	b := Frame(eth, ip6, Ext{Type: 0, Body: []byte{0xc2, 4, 0, 1, 0, 28}}, data, Text("EHLO a\r\n"))
	var p wire.Packet
	if o := d.Decode(frame.Ethernet, b, 0, &p); o != wire.BadIPOption {
		t.Errorf("an option of too many: %s", o)
	}
}
