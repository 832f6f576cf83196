package wire_test

import (
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// TestSkip has a frame for each way through SkipUsual and Skip.
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
		usual  bool
		missed int // bytes by which the frame was longer on the wire
	}{
		{"SYN elsewhere", Frame(eth, ip4, tcp(40000, 443, SYN)), wire.OtherSYN, true, 0},
		{"answer elsewhere", Frame(eth, ip4, tcp(443, 40000, SYN|ACK)), wire.OtherTCP, true, 0},
		{"cut", Frame(eth, ip4, tcp(443, 40000, ACK), text)[:60], wire.OtherTCP, true, 6},
		{"longer than its frame", Frame(eth, ip4, tcp(443, 40000, ACK), text)[:60], 0, false, 0},
		{"to a mail port", Frame(eth, ip4, tcp(40000, 25, SYN)), 0, true, 0},
		{"from a mail port", Frame(eth, ip4, tcp(587, 40000, ACK)), 0, true, 0},
		{"DNS over TCP", Frame(eth, ip4, tcp(53, 40000, ACK), text), 0, true, 0},
		{"UDP", Frame(eth, ip4, udp(443, 40000), text), wire.OtherUDP, true, 0},
		{"UDP of a mail port", Frame(eth, ip4, udp(25, 40000), text), wire.OtherUDP, false, 0},
		{"DNS", Frame(eth, ip4, udp(40000, 53), text), 0, false, 0},
		{"to a tunnel", Frame(eth, ip4, udp(40000, 4789), text), 0, false, 0},
		{"to an opaque tunnel", Frame(eth, ip4, udp(1, 4500), text), wire.OtherTunnel, false, 0},
		{"tag", Frame(eth, tag, ip4, tcp(443, 40000, ACK)), wire.OtherTCP, false, 0},
		{"two tags", Frame(eth, tag, tag, ip4, udp(443, 40000), text), wire.OtherUDP, false, 0},
		{"IPv6", Frame(eth, ip6, tcp(40000, 443, SYN)), wire.OtherSYN, false, 0},
		{"IPv6 to a mail port", Frame(eth, ip6, tcp(40000, 25, SYN)), 0, false, 0},
		{"fragment", Frame(eth, IP{Src: ip4.Src, Dst: ip4.Dst, Frag: 1, Protocol: 6}, text, text), 0,
			false, 0},
		{"too short", Frame(eth, ip4, tcp(443, 40000, ACK))[:47], 0, false, 7},
	} {
		d := decoder()
		usual, known := d.SkipUsual(c.frame, len(c.frame)+c.missed)
		if known != c.usual || known && usual != c.skip {
			t.Errorf("%s: as usual %s, %v; want %s, %v", c.name, usual, known, c.skip, c.usual)
		}
		o, skip := d.Skip(frame.Ethernet, c.frame, len(c.frame)+c.missed)
		if skip != (c.skip != wire.Mail) || skip && o != c.skip {
			t.Errorf("%s: %s, %v; want %s", c.name, o, skip, c.skip)
		}
		if _, skip = d.Skip(frame.Raw, c.frame, len(c.frame)+c.missed); skip {
			t.Errorf("%s: skipped on another link type", c.name)
		}
	}
}
