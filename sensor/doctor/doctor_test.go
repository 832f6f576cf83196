package doctor

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"
)

var errEnd = io.EOF

// onInterface has the frames come from an interface in a given state.
func onInterface(c Config, l Link) Config {
	c.Input, c.Kind, c.Link = "eth1", Interface, func() Link { return l }
	c.Drops = func() (uint64, uint64) { return 0, 0 }
	c.Machine = &Machine{ClockKnown: true, Synchronised: true}
	return c
}

// eth1 is the interface of a sensor without an address.
func eth1() Link {
	return Link{Name: "eth1", Exists: true, Up: true, Carrier: true, Promiscuous: true,
		SpeedMbit: 1000, Duplex: "full", Driver: "e1000e", MTU: 1500, MAC: [6]byte{2, 0, 0, 0, 9, 9}}
}

// fragmentOuter splits an IPv4 packet in Ethernet so that it fits into 1,500 bytes.
func fragmentOuter(src, dst string, proto uint8, id uint16, payload []byte) (list [][]byte) {
	const room = 1480
	for at := 0; at < len(payload); at += room {
		end := min(at+room, len(payload))
		field := uint16(at / 8)
		if end < len(payload) {
			field |= 0x2000
		}
		list = append(list, wiretest.Frame(wiretest.Ethernet{Src: router, Dst: eth1().MAC},
			wiretest.IP{Src: src, Dst: dst, ID: id, Frag: field, Protocol: proto}, wiretest.Bytes(payload[at:end])))
	}
	return list
}

// erspan wraps a frame as a switch does, type II.
func erspan(s *shot, seq uint32) []byte {
	return wiretest.Frame(wiretest.GRE{Present: 0x1000, Type: 0x88be, Seq: seq},
		wiretest.Bytes([]byte{0x10, 0, 0, 7, 0, 0, 0, 0}), wiretest.Bytes(s.frame()))
}

func vxlan(s *shot) []byte {
	return wiretest.Frame(wiretest.UDP{SrcPort: 50000, DstPort: 4789}, wiretest.VXLAN{Network: 99}, wiretest.Bytes(s.frame()))
}

// qinq frames shots with the tag of a service in front of that of a customer.
func qinq(shots []shot, service uint16) []frame.Frame {
	return frames(shots, func(s *shot) [][]byte {
		return [][]byte{s.on(wiretest.VLAN{ID: service, Type: 0x88a8}, wiretest.VLAN{ID: 5})}
	})
}

// chatter are the broadcasts and multicasts that every port of a switch gets.
func chatter() (list []frame.Frame) {
	all := [6]byte{255, 255, 255, 255, 255, 255}
	for i := range 40 {
		b := wiretest.Frame(wiretest.Ethernet{Src: mac(10 + i), Dst: all, Type: 0x0806}, wiretest.Bytes(make([]byte, 46)))
		list = append(list, frame.Frame{Data: b, Len: len(b), Link: frame.Ethernet, Time: start + int64(i)*1e8})
	}
	return list
}

// mirrors are fourteen broken mirrors and the healthy ones.
func mirrors() []mirror {
	day, small := dayOf(12, true), dayOf(4, false)
	only := func(out bool) []frame.Frame {
		return frames(day, func(s *shot) [][]byte {
			if s.out != out {
				return nil
			}
			return [][]byte{s.frame()}
		})
	}
	down, noPromisc := eth1(), eth1()
	down.Up, down.Carrier, noPromisc.Promiscuous = false, false, false
	stated := asFile()
	stated.Home, stated.HomeStated = []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}, true
	outside := frames(day, func(s *shot) [][]byte {
		x := *s
		if x.out {
			x.ip.Src, x.ip.TTL, x.src, x.dst = "203.0.113.7", 63, router, [6]byte{2, 0, 0, 0, 0, 2}
		} else {
			x.ip.Dst, x.src, x.dst = "203.0.113.7", [6]byte{2, 0, 0, 0, 0, 2}, router
		}
		return [][]byte{x.frame()}
	})
	cut := plain(day)
	for i := range cut {
		cut[i].Data = cut[i].Data[:min(64, len(cut[i].Data))]
	}
	wrong := plain(day)
	for i := range wrong {
		if wrong[i].Time += 9 * 365 * 24 * int64(time.Hour); i%100 == 99 {
			wrong[i].Time -= 3600e9
		}
	}
	return []mirror{
		{"rx only", asFile(), only(true), VerdictUsable, "directions", "Mirror both directions"},
		{"tx only", asFile(), only(false), VerdictUsable, "directions", "Mirror both directions"},
		{"doubled", asFile(), frames(day, func(s *shot) [][]byte { return [][]byte{s.frame(), s.frame()} }),
			VerdictUsable, "duplicates", "Mirror one port of a path"},
		{"other VLAN", stated, frames(day, func(s *shot) [][]byte { return [][]byte{s.on(wiretest.VLAN{ID: 99})} }),
			VerdictBlind, "home", "Mirror the port or the VLAN of these networks"},
		{"QinQ, addresses twice", asFile(), append(qinq(day, 100), qinq(dayAt(7, 12, true), 200)...),
			VerdictUsable, "vlan_overlap", "capture.separate_vlans"},
		{"ERSPAN, MTU 1500", asFile(), frames(day, func(s *shot) [][]byte {
			return fragmentOuter("10.9.9.1", "10.9.9.9", 47, s.ip.ID, erspan(s, uint32(s.ip.ID)))
		}), VerdictUsable, "tunnel_fragments", "MTU"},
		{"VXLAN, MTU 1500", asFile(), frames(day, func(s *shot) [][]byte {
			return fragmentOuter("10.9.9.1", "10.9.9.9", 17, s.ip.ID, vxlan(s))
		}), VerdictUsable, "tunnel_fragments", "MTU"},
		{"IPsec", asFile(), frames(day, func(s *shot) [][]byte {
			return [][]byte{wiretest.Frame(wiretest.Ethernet{Src: router, Dst: mac(1)}, wiretest.IP{Src: "203.0.113.7", Dst: "192.0.2.9", Protocol: 50}, wiretest.Bytes(s.frame()))}
		}), VerdictBlind, "tunnels_hidden", "mirror the port where their traffic is outside of it"},
		{"snaplen 64", asFile(), cut, VerdictUsable, "truncation", "Capture whole frames"},
		{"down", onInterface(asFile(), down), nil, VerdictBlind, "link", "Set the interface up"},
		{"not promiscuous", onInterface(asFile(), noPromisc), chatter(), VerdictBlind, "promiscuous", "set the promiscuous mode"},
		{"outside NAT", asFile(), outside, VerdictUsable, "nat", "Mirror the inner side of the router"},
		{"silent", onInterface(asFile(), eth1()), nil, VerdictBlind, "frames", "Look whether the mirror session exists"},
		{"wrong clock", asFile(), wrong, VerdictUsable, "clock", "Set the clock of the capturing machine"},
		{"access port", onInterface(asFile(), eth1()), chatter(), VerdictBlind, "frames", "Make a mirror session"},

		{"office with TLS mail and DNS", onInterface(asFile(), eth1()), plain(day), VerdictGood, "", ""},
		{"small office without mail", onInterface(asFile(), eth1()), plain(small), VerdictGood, "", ""},
		{"QinQ", asFile(), qinq(day, 100), VerdictGood, "", ""},
		{"ERSPAN, whole", asFile(), frames(day, func(s *shot) [][]byte {
			return [][]byte{wiretest.Frame(wiretest.Ethernet{Src: router, Dst: mac(1)}, wiretest.IP{Src: "10.9.9.1", Dst: "10.9.9.9", Protocol: 47}, wiretest.Bytes(erspan(s, uint32(s.ip.ID))))}
		}), VerdictGood, "", ""},
	}
}

// mirror is a mirror and what is to be said of it: the check of the worst line, and a part of its
// remedy.
type mirror struct {
	name    string
	cfg     Config
	frames  []frame.Frame
	verdict Verdict
	check   string
	remedy  string
}

// TestDoctor examines broken and healthy mirrors, and prints verdict and remedy of each.
func TestDoctor(t *testing.T) {
	for _, m := range mirrors() {
		r := Examine(context.Background(), m.cfg, once(m.frames))
		worst := r.Lines[0]
		t.Logf("%-30s %-6s %-14s %s (%s)", m.name, r.Verdict, worst.Check, worst.What, worst.Measured)
		if m.check != "" {
			t.Logf("%-30s        -> %s", "", worst.Do)
		}
		if r.Verdict != m.verdict || m.check != "" && (worst.Check != m.check || !strings.Contains(worst.Do, m.remedy)) {
			var b strings.Builder
			r.Text(&b, TextOptions{Width: 100})
			t.Errorf("%s: %s by %q, want %s by %q with %q\n%s", m.name, r.Verdict, worst.Check, m.verdict, m.check, m.remedy, b.String())
		}
	}
}
