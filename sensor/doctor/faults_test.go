package doctor

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"
)

// own is an interface with an address, of a host or a router of the office.
func own(mac [6]byte, addr string) Link {
	l := eth1()
	l.MAC, l.Addrs = mac, []netip.Addr{netip.MustParseAddr(addr)}
	return l
}

// ofHost selects the traffic of one host: what its own interface sees on an access port.
func ofHost(shots []shot, host int) (list []shot) {
	for _, s := range shots {
		if s.src == mac(host) || s.dst == mac(host) {
			list = append(list, s)
		}
	}
	return list
}

// translated is the packet on the outer side of a router.
func translated(s *shot) *shot {
	x := *s
	if x.out {
		x.ip.Src, x.ip.TTL, x.src, x.dst = "203.0.113.7", 63, router, [6]byte{2, 0, 0, 0, 0, 2}
	} else {
		x.ip.Dst, x.ip.TTL, x.src, x.dst = "203.0.113.7", 56, [6]byte{2, 0, 0, 0, 0, 2}, router
	}
	return &x
}

// udp hides the frames in datagrams.
func udp(shots []shot, port uint16, head string) []frame.Frame {
	return frames(shots, func(s *shot) [][]byte {
		b := append([]byte(head), s.frame()...)
		for len(b)%16 != 0 {
			b = append(b, 0)
		}
		return [][]byte{wiretest.Frame(wiretest.Ethernet{Src: router, Dst: mac(1)}, wiretest.IP{Src: "203.0.113.7", Dst: "192.0.2.9", ID: s.ip.ID},
			wiretest.UDP{SrcPort: port, DstPort: port}, wiretest.Bytes(b))}
	})
}

// TestFaults examines further faults, and situations that look like one.
func TestFaults(t *testing.T) {
	day := dayOf(12, true)
	lossy := plain(day)
	for i := 50; i < len(lossy); i += 40 {
		lossy = append(lossy[:i], lossy[i+1:]...)
	}
	broken, offloaded, late := plain(day), plain(day), plain(day)
	for i := range broken {
		if i%11 == 0 {
			broken[i].Data[len(broken[i].Data)-1] ^= 0x55
		}
		if day[i].out {
			offloaded[i].Data[len(offloaded[i].Data)-1] ^= 0x55
		}
		late[i].Time -= 3600e9
	}
	stream := asFile()
	stream.Kind, stream.Now = Stream, func() int64 { return start + 2e9 }
	drops := onInterface(asFile(), eth1())
	drops.Drops = func() (uint64, uint64) { return 700, 0 }
	full := onInterface(asFile(), eth1())
	full.Machine = &Machine{Disks: []Disk{{Path: "/var/log", Purpose: "events", Free: 1 << 20, Size: 100 << 30}}, Available: 100 << 20, Needed: 256 << 20}
	slow := eth1()
	slow.Duplex = "half"
	public := frames(day, func(s *shot) [][]byte {
		x := *s
		x.ip.Src, x.ip.Dst = strings.Replace(x.ip.Src, office, "192.0.2.", 1), strings.Replace(x.ip.Dst, office, "192.0.2.", 1)
		return [][]byte{x.frame()}
	})
	stated := asFile()
	stated.Home, stated.HomeStated = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, true
	for _, m := range []mirror{
		{"both sides of a router", asFile(), frames(day, func(s *shot) [][]byte {
			x := *s
			x.ip.TTL, x.src, x.dst = 63-x.ip.TTL/64, router, [6]byte{2, 0, 0, 0, 0, 2}
			return [][]byte{s.frame(), x.frame()}
		}), VerdictUsable, "duplicates", "Mirror one side of the router"},
		{"trunk and access port", asFile(), frames(day, func(s *shot) [][]byte {
			return [][]byte{s.frame(), s.on(wiretest.VLAN{ID: 7})}
		}), VerdictUsable, "duplicates", "either the trunk or the access port"},
		{"both sides of NAT", asFile(), frames(day, func(s *shot) [][]byte {
			return [][]byte{s.frame(), translated(s).frame()}
		}), VerdictUsable, "nat_twice", "Mirror its inner side alone"},
		{"loss before the sensor", asFile(), lossy, VerdictUsable, "loss", "Mirror fewer ports"},
		{"damaged segments", asFile(), broken, VerdictUsable, "checksums", "cables and transceivers"},
		{"checksums left to cards", asFile(), offloaded, VerdictGood, "checksums", "Nothing is lost"},
		{"WireGuard", asFile(), udp(day, 12345, "\x04\x00\x00\x00\x07\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00"), VerdictBlind, "tunnels_hidden", "VPN gateway"},
		{"ESP in UDP", asFile(), udp(day, 4500, "\x01\x02\x03\x04"), VerdictBlind, "tunnels_hidden", "VPN gateway"},
		{"L2TP", asFile(), udp(day, 1701, "\x40\x02"), VerdictBlind, "tunnels_hidden", "VPN gateway"},
		{"a VPN beside the web", asFile(), append(plain(day), udp(dayAt(3, 1, false), 51820, "")...), VerdictGood, "tunnels_hidden", "VPN gateway"},
		{"old stream", stream, late, VerdictUsable, "clock", "Set the clock"},
		{"drops", drops, plain(day), VerdictUsable, "drops", "capture.buffer"},
		{"disk and memory", full, plain(day), VerdictUsable, "disk", "Make room"},
		{"half duplex", onInterface(asFile(), slow), plain(day), VerdictUsable, "link", "full duplex"},
		{"public addresses", asFile(), public, VerdictUsable, "home", "--home 192.0.2.0/24, or"},
		{"public addresses, named", stated, public, VerdictGood, "", ""},
		{"three packets", asFile(), plain(day)[2:5], VerdictUsable, "sample", "Listen longer"},
		{"an access port with its host", onInterface(asFile(), own(mac(10), "10.20.1.10")), append(plain(ofHost(dayOf(12, false), 10)), chatter()...),
			VerdictBlind, "frames", "Make a mirror session"},
		{"a host that mails", onInterface(asFile(), own(mac(10), "10.20.1.10")), plain(ofHost(day, 10)), VerdictUsable, "frames", "listen on a mirror port"},
		{"a router, inside", onInterface(asFile(), own(router, "10.20.1.1")), plain(day), VerdictGood, "", ""},
		{"a router, outside", onInterface(asFile(), own(router, "203.0.113.7")), frames(day, func(s *shot) [][]byte {
			return [][]byte{translated(s).frame()}
		}), VerdictUsable, "nat", "Mirror the inner side of the router"},
	} {
		r := Examine(context.Background(), m.cfg, once(m.frames))
		worst := r.Lines[0]
		t.Logf("%-28s %-6s %-14s %s (%s)", m.name, r.Verdict, worst.Check, worst.What, worst.Measured)
		if r.Verdict != m.verdict || m.check != "" && (worst.Check != m.check || !strings.Contains(worst.Do, m.remedy)) {
			var b strings.Builder
			r.Text(&b, TextOptions{Width: 100})
			t.Errorf("%s: %s by %q, want %s by %q with %q\n%s", m.name, r.Verdict, worst.Check, m.verdict, m.check, m.remedy, b.String())
		}
	}
}

// TestText checks the width of the human form, that colours are only there if they are wanted, and
// that the last line is the verdict.
func TestText(t *testing.T) {
	for _, m := range mirrors() {
		r := Examine(context.Background(), m.cfg, once(m.frames))
		var grey, coloured strings.Builder
		if r.Text(&grey, TextOptions{}) != nil || r.Text(&coloured, TextOptions{Color: true}) != nil {
			t.Fatal("a strings.Builder takes everything")
		}
		for l := range strings.Lines(grey.String()) {
			if n := len([]rune(strings.TrimSuffix(l, "\n"))); n > 80 {
				t.Errorf("%s: %d columns: %s", m.name, n, l)
			}
		}
		if strings.Contains(grey.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[3") {
			t.Errorf("%s: colours: %s", m.name, coloured.String())
		}
		if text := grey.String(); !strings.Contains(text[strings.LastIndex(text, "\n\n"):], string(m.verdict)+": ") {
			t.Errorf("%s: the verdict is not the last line: %s", m.name, text)
		}
	}
	if err := new(Report).Text(failing{}, TextOptions{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v: the error of the writer is lost", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestBounds checks that an examination ends at its bounds: frames, time, the end of the context, an
// error; and that a flood of addresses fills no more than its tables.
func TestBounds(t *testing.T) {
	day := plain(dayOf(12, true))
	c := asFile()
	c.Frames = 100
	if r := Examine(context.Background(), c, once(day)); r.Frames != 100 {
		t.Errorf("%d frames, want 100", r.Frames)
	}
	idle := func() ([]frame.Frame, error) { time.Sleep(10 * time.Millisecond); return nil, nil }
	c = onInterface(asFile(), eth1())
	c.For = 100 * time.Millisecond
	began := time.Now()
	Examine(context.Background(), c, idle)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	c.For = time.Hour
	Examine(ctx, c, idle)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v", took)
	}
	r := Examine(context.Background(), asFile(), func() ([]frame.Frame, error) { return day, io.ErrUnexpectedEOF })
	if r.Lines[0].Check != "input" || r.Verdict != VerdictUsable || !errors.Is(r.InputError(), io.ErrUnexpectedEOF) || r.Frames == 0 {
		t.Errorf("%+v", r)
	}

	e := newExam(asFile())
	b := wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: "10.0.0.1", Dst: "192.0.2.1"}, wiretest.TCP{SrcPort: 1, DstPort: 25, Flags: wiretest.SYN})
	for i := range uint32(200_000) {
		be.PutUint32(b[26:], i*2654435761)
		be.PutUint32(b[6:], i)
		be.PutUint32(b[38:], i)
		b[14+8] = byte(i)
		f := single(b)
		e.add(&f)
	}
	if len(e.flows) > maxFlows || len(e.hosts) > maxHosts || len(e.pairs) > maxFlows || len(e.originals) > maxCopies || len(e.stations) > maxMACs || e.counts.Unheld == 0 {
		t.Errorf("%d flows, %d hosts, %d pairs, %d copies, %d stations, %d unheld", len(e.flows), len(e.hosts), len(e.pairs), len(e.originals), len(e.stations), e.counts.Unheld)
	}
	for i := range uint16(300) {
		f := single(wiretest.Frame(wiretest.Ethernet{}, wiretest.VLAN{ID: i}, wiretest.VLAN{ID: 4095 - i, Next: 0x7000 + i}, wiretest.Bytes(make([]byte, 50))))
		e.add(&f)
	}
	if len(e.counts.VLANs) > maxNames+1 || len(e.counts.Ethertypes) > maxNames+1 {
		t.Errorf("%d VLANs, %d ethertypes", len(e.counts.VLANs), len(e.counts.Ethertypes))
	}
}
