package doctor

import (
	"fmt"
	"net/netip"
	"time"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"
)

// shot is a packet at the mirrored port, before it is framed.
type shot struct {
	at       int64
	out      bool // sent by a host of the office
	src, dst [6]byte
	ip       wiretest.IP
	rest     []wiretest.Layer
}

// frame is the shot on an untagged link.
func (s *shot) frame() []byte { return s.on() }

// on frames the shot with layers between Ethernet and IP.
func (s *shot) on(between ...wiretest.Layer) []byte {
	l := append([]wiretest.Layer{wiretest.Ethernet{Src: s.src, Dst: s.dst}}, between...)
	return wiretest.Frame(append(append(l, s.ip), s.rest...)...)
}

const (
	office = "10.20.1."
	start  = 1_795_000_000e9 // 2026-11-18
)

var router = [6]byte{2, 0, 0, 0, 0, 1}

// scene makes the traffic of an office.
type scene struct {
	shots []shot
	at    int64
	id    uint16
	site  byte // makes stations and sequence numbers of different sites different
}

// mac is the station of a host of the office.
func mac(host int) [6]byte { return [6]byte{2, 0, 0, 0, 1, byte(host)} }

func (s *scene) mac(host int) [6]byte { return [6]byte{2, 0, 0, s.site, 1, byte(host)} }

func (s *scene) add(out bool, host int, ip wiretest.IP, rest ...wiretest.Layer) {
	s.at += 700_000
	s.id++
	ip.ID = s.id
	x := shot{at: s.at, out: out, src: s.mac(host), dst: router, ip: ip, rest: rest}
	if !out {
		x.src, x.dst = router, s.mac(host)
		x.ip.TTL = 55
	}
	s.shots = append(s.shots, x)
}

// connect plays a connection with some data in both directions.
func (s *scene) connect(host int, server string, port uint16, size int) {
	client := fmt.Sprintf("%s%d", office, host)
	c, v := wiretest.IP{Src: client, Dst: server}, wiretest.IP{Src: server, Dst: client}
	sport := uint16(40000 + len(s.shots))
	seq, ack := uint32(1000*len(s.shots)+7)+uint32(s.site)<<20, uint32(77777*len(s.shots)+9)
	put := func(out bool, flags uint8, n int) {
		t := wiretest.TCP{SrcPort: sport, DstPort: port, Seq: seq, Ack: ack, Flags: flags}
		ip := c
		if !out {
			t.SrcPort, t.DstPort, t.Seq, t.Ack, ip = port, sport, ack, seq, v
		}
		if flags&wiretest.ACK == 0 {
			t.Ack = 0
		}
		s.add(out, host, ip, t, wiretest.Bytes(make([]byte, n)))
		moved := uint32(n)
		if flags&(wiretest.SYN|wiretest.FIN) != 0 {
			moved++
		}
		if out {
			seq += moved
		} else {
			ack += moved
		}
	}
	const a = wiretest.ACK
	put(true, wiretest.SYN, 0)
	put(false, wiretest.SYN|a, 0)
	put(true, a, 0)
	for range 3 {
		put(true, a|wiretest.PSH, 200)
		put(false, a, 0)
		put(false, a|wiretest.PSH, size)
		put(true, a, 0)
	}
	put(true, wiretest.FIN|a, 0)
	put(false, wiretest.FIN|a, 0)
	put(true, a, 0)
}

// look is a lookup of DNS.
func (s *scene) lookup(host int) {
	client := fmt.Sprintf("%s%d", office, host)
	q := wiretest.Bytes("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x0f\x00\x01")
	s.add(true, host, wiretest.IP{Src: client, Dst: "9.9.9.9"}, wiretest.UDP{SrcPort: uint16(50000 + len(s.shots)), DstPort: 53}, q)
	s.add(false, host, wiretest.IP{Src: "9.9.9.9", Dst: client}, wiretest.UDP{SrcPort: 53, DstPort: uint16(50000 + len(s.shots) - 1)}, q)
}

// dayOf is an office of so many hosts, which read the web, and send mail if mail is set.
func dayOf(hosts int, mail bool) []shot { return dayAt(0, hosts, mail) }

// dayAt is the same at another site.
func dayAt(site byte, hosts int, mail bool) []shot {
	s := &scene{at: start, site: site}
	for h := 10; h < 10+hosts; h++ {
		s.lookup(h)
		for k := range 3 {
			s.connect(h, fmt.Sprintf("198.51.100.%d", h+k), 443, 1460)
		}
		if mail {
			s.connect(h, "203.0.113.25", 587, 600)
		}
	}
	return s.shots
}

// frames frames shots; how makes none, one or several frames of each.
func frames(shots []shot, how func(s *shot) [][]byte) (list []frame.Frame) {
	for i := range shots {
		for k, b := range how(&shots[i]) {
			list = append(list, frame.Frame{Data: b, Len: len(b), Link: frame.Ethernet,
				Time: shots[i].at + int64(k)*20_000})
		}
	}
	return list
}

// plain frames shots without a tag.
func plain(shots []shot) []frame.Frame {
	return frames(shots, func(s *shot) [][]byte { return [][]byte{s.frame()} })
}

// once gives all frames in one call.
func once(list []frame.Frame) Next {
	return func() ([]frame.Frame, error) { return list, errEnd }
}

// privateNets are the home networks unless a test names others.
var privateNets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

// asFile is the configuration of a capture file that was written an hour after the scene.
func asFile() Config {
	return Config{Input: "test.pcap", Kind: File, Home: privateNets, Ports: []uint16{25, 465, 587, 2525},
		Now: func() int64 { return start + int64(time.Hour) }}
}
