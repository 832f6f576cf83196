package wire_test

import (
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// TestSkip has a frame for each way through Skip.
func TestSkip(t *testing.T) {
	tcp := func(from, to uint16, flags byte) TCP {
		return TCP{SrcPort: from, DstPort: to, Flags: flags}
	}
	udp := func(from, to uint16) UDP { return UDP{SrcPort: from, DstPort: to} }
	text, tag := Text("twelve bytes"), VLAN{ID: 7}
	for _, c := range []struct {
		name   string
		frame  []byte
		skip   wire.Outcome // Mail: not skipped
		missed int          // bytes by which the frame was longer on the wire
	}{
		{"SYN elsewhere", Frame(eth, ip4, tcp(40000, 443, SYN)), wire.OtherSYN, 0},
		{"answer elsewhere", Frame(eth, ip4, tcp(443, 40000, SYN|ACK)), wire.OtherTCP, 0},
		{"cut", Frame(eth, ip4, tcp(443, 40000, ACK), text)[:60], wire.OtherTCP, 6},
		{"longer than its frame", Frame(eth, ip4, tcp(443, 40000, ACK), text)[:60], 0, 0},
		{"to a mail port", Frame(eth, ip4, tcp(40000, 25, SYN)), 0, 0},
		{"from a mail port", Frame(eth, ip4, tcp(587, 40000, ACK)), 0, 0},
		{"DNS over TCP", Frame(eth, ip4, tcp(53, 40000, ACK), text), 0, 0},
		{"port of a tunnel over TCP", Frame(eth, ip4, tcp(40000, 4789, ACK), text), 0, 0},
		{"UDP", Frame(eth, ip4, udp(443, 40000), text), wire.OtherUDP, 0},
		{"UDP of a mail port", Frame(eth, ip4, udp(25, 40000), text), wire.OtherUDP, 0},
		{"DNS", Frame(eth, ip4, udp(40000, 53), text), 0, 0},
		{"to a tunnel", Frame(eth, ip4, udp(40000, 4789), text), 0, 0},
		{"to an opaque tunnel", Frame(eth, ip4, udp(1, 4500), text), wire.OtherTunnel, 0},
		{"tag", Frame(eth, tag, ip4, tcp(443, 40000, ACK)), wire.OtherTCP, 0},
		{"two tags", Frame(eth, tag, tag, ip4, udp(443, 40000), text), wire.OtherUDP, 0},
		{"IPv6", Frame(eth, ip6, tcp(40000, 443, SYN)), wire.OtherSYN, 0},
		{"IPv6 to a mail port", Frame(eth, ip6, tcp(40000, 25, SYN)), 0, 0},
		{"fragment", Frame(eth, IP{Src: ip4.Src, Dst: ip4.Dst, Frag: 1, Protocol: 6}, text, text),
			0, 0},
		{"too short", Frame(eth, ip4, tcp(443, 40000, ACK))[:47], 0, 7},
	} {
		d := decoder()
		o, skip := d.Skip(frame.Ethernet, c.frame, len(c.frame)+c.missed)
		if skip != (c.skip != wire.Mail) || skip && o != c.skip {
			t.Errorf("%s: %s, %v; want %s", c.name, o, skip, c.skip)
		}
		if _, skip = d.Skip(frame.Raw, c.frame, len(c.frame)+c.missed); skip {
			t.Errorf("%s: skipped on another link type", c.name)
		}
	}
}
