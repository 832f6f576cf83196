package wiretest

import (
	"bytes"
	"fmt"
	"net/netip"
)

// Variant is an attempt to connect to port 25, in one frame or several. Each has a source address
// and a sequence number of its own, by which an answer is identified.
type Variant struct {
	Name   string
	Frames [][]byte
	Src    netip.Addr
	Seq    uint32
	// Except is the reason why a sensor may decide otherwise than the receiver; usually empty.
	Except string
}

// The hardware addresses of the variants' sender and receiver. The senders' IP addresses are in
// 10.77.0.0/16 and fd77::/32, except in variants of addresses.
var (
	VariantSender   = [6]byte{2, 0, 0, 0, 0x77, 2}
	VariantReceiver = [6]byte{2, 0, 0, 0, 0x77, 1}
)

const (
	variantDst4 = "10.88.0.1"
	variantDst6 = "fd88::1"

	exceptChecksum = "checksums are judged by what is usual in a capture"
	exceptLLC      = "other systems take LLC/SNAP"
)

// maker builds variants.
type maker struct{ list []Variant }

// asks are the layers of an ordinary SYN of the present variant.
type asks struct {
	Eth      Ethernet
	IP4, IP6 IP
	TCP      TCP
	n        int
}

func (m *maker) next() asks {
	n := len(m.list)
	return asks{Eth: Ethernet{Dst: VariantReceiver, Src: VariantSender},
		IP4: IP{Src: fmt.Sprintf("10.77.%d.%d", n/250, 1+n%250), Dst: variantDst4,
			ID: uint16(1000 + n)},
		IP6: IP{Src: fmt.Sprintf("fd77:0:0:%x::2", n), Dst: variantDst6},
		TCP: TCP{SrcPort: uint16(20000 + n), DstPort: 25, Seq: 0x10000000 + uint32(n)<<8,
			Flags: SYN}, n: n}
}

func (m *maker) put(name string, src string, seq uint32, frames ...[]byte) *Variant {
	m.list = append(m.list,
		Variant{Name: name, Frames: frames, Src: netip.MustParseAddr(src), Seq: seq})
	return &m.list[len(m.list)-1]
}

// v4 and v6 add a variant in one frame. change modifies the ordinary layers.
func (m *maker) v4(name string, change func(*asks), more ...Layer) *Variant {
	a := m.next()
	if change != nil {
		change(&a)
	}
	return m.put(name, a.IP4.Src, a.TCP.Seq,
		Frame(append([]Layer{a.Eth, a.IP4, a.TCP}, more...)...))
}

func (m *maker) v6(name string, change func(*asks), between ...Layer) *Variant {
	a := m.next()
	if change != nil {
		change(&a)
	}
	return m.put("v6 "+name, a.IP6.Src, a.TCP.Seq,
		Frame(append(append([]Layer{a.Eth, a.IP6}, between...), a.TCP)...))
}

// patched adds a variant and modifies the bytes of its finished frame, from the IP header on.
func (m *maker) patched(name string, v6 bool, patch func(ip []byte) []byte) *Variant {
	a := m.next()
	ip, src := a.IP4, a.IP4.Src
	if v6 {
		ip, src, name = a.IP6, a.IP6.Src, "v6 "+name
	}
	f := Frame(a.Eth, ip, a.TCP)
	return m.put(name, src, a.TCP.Seq, append(bytes.Clone(f[:14]), patch(f[14:])...))
}

// resum corrects the checksum of an IPv4 header.
func resum(ip []byte) []byte {
	n := min(max(20, int(ip[0]&15)*4), len(ip))
	ip[10], ip[11] = 0, 0
	be.PutUint16(ip[10:], ^fold(sum(0, ip[:n])))
	return ip
}

// part is a fragment: its offset and length in bytes, and its flag "more fragments".
type part struct {
	at, n int
	more  bool
}

// fragments adds a variant in fragments. The segment is as long as the parts reach, and at least as
// long as its header.
func (m *maker) fragments(name string, v6 bool, options, data int, change func(i int, ip *IP),
	parts ...part) *Variant {
	a := m.next()
	a.TCP.Options = bytes.Repeat([]byte{1}, options)
	ip := a.IP4
	header := 20
	if v6 {
		ip, header, name = a.IP6, 40, "v6 "+name
	}
	segment := Frame(ip, a.TCP, Bytes(bytes.Repeat([]byte{'x'}, data)))[header:]
	long := append(bytes.Clone(segment), make([]byte, 70000)...)
	var frames [][]byte
	for i, p := range parts {
		x := ip
		if change != nil {
			change(i, &x)
		}
		body := Bytes(long[p.at : p.at+p.n])
		field := uint16(p.at)
		if v6 {
			if p.more {
				field |= 1
			}
			h := append(be.AppendUint16(nil, field), 0, 0, byte(a.n>>8), byte(a.n))
			x.Protocol = 44
			frames = append(frames, Frame(a.Eth, x, Ext{Type: 44, Next: 6, Body: h}, body))
			continue
		}
		field /= 8
		if p.more {
			field |= 0x2000
		}
		x.Frag, x.Protocol = field, 6
		frames = append(frames, Frame(a.Eth, x, body))
	}
	return m.put("fragments: "+name, ip.Src, a.TCP.Seq, frames...)
}

// cut divides n bytes into parts of a size.
func cut(n, size int) (parts []part) {
	for at := 0; at < n; at += size {
		parts = append(parts, part{at, min(size, n-at), at+size < n})
	}
	return parts
}

// everySecond moves the parts with odd numbers to the front.
func everySecond(parts []part) (list []part) {
	for _, first := range []int{1, 0} {
		for i := first; i < len(parts); i += 2 {
			list = append(list, parts[i])
		}
	}
	return list
}

func reversed(parts []part) (out []part) {
	for i := len(parts) - 1; i >= 0; i-- {
		out = append(out, parts[i])
	}
	return out
}

// Variants are some hundreds of attempts to connect, most of them unusual. A kernel decides how a
// receiver reacts to each.
func Variants() []Variant {
	m := &maker{}
	m.v4("ordinary", nil)
	m.v6("ordinary", nil)
	m.tcp()
	m.tcpOptions()
	m.ipv4()
	m.ipv4Options()
	m.ipv6()
	m.joined(false)
	m.joined(true)
	m.links()
	m.addresses()
	m.checksums()
	return m.list
}

func (m *maker) tcp() {
	for bits := range 128 {
		flags := uint8(bits&1 | bits>>1<<2) // all but SYN
		if flags&ACK != 0 && bits%8 != 0 {
			continue
		}
		m.v4(fmt.Sprintf("flags %08b", flags|SYN), func(a *asks) { a.TCP.Flags = flags | SYN })
		if flags%16 == 0 || flags == 4 {
			m.v4(fmt.Sprintf("flags %08b", flags), func(a *asks) { a.TCP.Flags = flags })
		}
	}
	for r := range uint8(15) {
		m.v4(fmt.Sprintf("reserved bits %04b", r+1), func(a *asks) { a.TCP.Reserved = r + 1 })
	}
	for o := range uint8(15) {
		m.v4(fmt.Sprintf("data offset %d of 5", o+1), func(a *asks) { a.TCP.Offset = o + 1 })
		m.v4(fmt.Sprintf("data offset %d, with 24 bytes behind", o+1),
			func(a *asks) { a.TCP.Offset = o + 1 }, Bytes(make([]byte, 24)))
	}
	m.patched("data offset 0", false,
		func(ip []byte) []byte { ip[32] = 0; ip[36], ip[37] = 0, 0; return tcpSum(ip, 20) })
	m.v6("data offset 4", func(a *asks) { a.TCP.Offset = 4 })
	m.v6("data offset 6", func(a *asks) { a.TCP.Offset = 6 })
	for _, p := range []uint16{0, 1, 25, 587, 65535} {
		m.v4(fmt.Sprintf("source port %d", p), func(a *asks) { a.TCP.SrcPort = p })
		m.v6(fmt.Sprintf("source port %d", p), func(a *asks) { a.TCP.SrcPort = p })
	}
	m.v4("sequence number ffffffff", func(a *asks) { a.TCP.Seq = 0xffffffff })
	m.v4("sequence number 0", func(a *asks) { a.TCP.Seq = 0 })
	m.v4("acknowledgment number without ACK", func(a *asks) { a.TCP.Ack = 0x12345678 })
	m.v4("window 1", func(a *asks) { a.TCP.Window = 1 })
	m.patched("urgent pointer without URG", false,
		func(ip []byte) []byte { ip[38] = 9; ip[36], ip[37] = 0, 0; return tcpSum(ip, 20) })
	for _, n := range []int{1, 2, 100, 1400} {
		m.v4(fmt.Sprintf("%d bytes of data", n), nil, Bytes(bytes.Repeat([]byte{'x'}, n)))
	}
}

// tcpSum sets a TCP checksum that is zero; header is the length of the IP header.
func tcpSum(ip []byte, header int) []byte {
	src, _ := netip.AddrFromSlice(ip[12:16])
	dst, _ := netip.AddrFromSlice(ip[16:20])
	if header == 40 {
		src, _ = netip.AddrFromSlice(ip[8:24])
		dst, _ = netip.AddrFromSlice(ip[24:40])
	}
	be.PutUint16(ip[header+16:], pseudoSum(src, dst, 6, ip[header:]))
	return ip
}

func (m *maker) tcpOptions() {
	for _, o := range []struct {
		name  string
		bytes []byte
	}{
		{"MSS", []byte{2, 4, 5, 180}}, {"MSS 0", []byte{2, 4, 0, 0}},
		{"MSS 65535", []byte{2, 4, 255, 255}}, {"MSS of length 3", []byte{2, 3, 1, 1}},
		{"MSS twice", []byte{2, 4, 5, 180, 2, 4, 1, 0}}, {"MSS of length 0", []byte{2, 0, 5, 180}},
		{"MSS of length 1", []byte{2, 1, 5, 180}},
		{"MSS of length 255", []byte{2, 255, 5, 180}}, {"MSS cut", []byte{1, 1, 2, 4}},
		{"kind as the last byte", []byte{1, 1, 1, 2}},
		{"window scale 14", []byte{3, 3, 14, 1}}, {"window scale 255", []byte{3, 3, 255, 1}},
		{"window scale of length 2", []byte{3, 2, 1, 1}},
		{"SACK permitted", []byte{4, 2, 1, 1}},
		{"SACK blocks", []byte{5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1}},
		{"timestamps", []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1}},
		{"timestamps cut", []byte{8, 10, 0, 0}},
		{"timestamps with an echo", []byte{8, 10, 0, 0, 0, 1, 9, 9, 9, 9, 1, 1}},
		{"a Linux client's", []byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}},
		{"40 bytes of NOP", bytes.Repeat([]byte{1}, 40)},
		{"40 bytes of 255", bytes.Repeat([]byte{255}, 40)},
		{"end, then garbage", []byte{0, 255, 0, 7}},
		{"kind 253", []byte{253, 4, 1, 2}}, {"kind 254 of length 40", []byte{254, 40, 1, 2}},
		{"user timeout", []byte{28, 4, 0, 9}},
		{"echo", []byte{6, 6, 1, 2, 3, 4, 1, 1}}, {"skeeter", []byte{16, 2, 1, 1}},
		{"multipath", []byte{30, 12, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"fast open, no cookie", []byte{34, 2, 1, 1}},
		{"fast open, cookie", []byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1}},
		{"fast open, odd cookie", []byte{34, 5, 1, 2, 3, 1, 1, 1}},
		{"experimental fast open", []byte{254, 4, 0xf9, 0x89}},
		{"MD5 of length 10", append([]byte{19, 10}, make([]byte, 10)...)},
		{"MD5 cut", []byte{19, 18, 1, 1}},
		{"MD5", append([]byte{19, 18}, make([]byte, 18)...)},
		{"authentication", append([]byte{29, 16, 1, 1}, make([]byte, 12)...)},
		{"authentication twice",
			append(append([]byte{29, 16, 1, 1}, make([]byte, 12)...),
				append([]byte{29, 20, 1, 1}, make([]byte, 16)...)...)},
		{"authentication of length 4, 20 bytes", append([]byte{29, 4, 1, 1}, make([]byte, 16)...)},
		{"authentication of length 5, 20 bytes", append([]byte{29, 5, 1, 1}, make([]byte, 15)...)},
		{"length 0, 16 bytes", append([]byte{8, 0}, make([]byte, 14)...)},
		{"length 0, 20 bytes", append([]byte{8, 0}, make([]byte, 18)...)},
		{"length 1, 20 bytes", append([]byte{8, 1}, make([]byte, 18)...)},
		{"length 20, 20 bytes", append([]byte{99, 20}, make([]byte, 18)...)},
		{"length 21, 20 bytes", append([]byte{99, 21}, make([]byte, 18)...)},
		{"length 0 with 18 left", append([]byte{1, 1, 8, 0}, make([]byte, 16)...)},
		{"length 0 with 17 left", append([]byte{1, 1, 1, 8, 0}, make([]byte, 15)...)},
		{"MD5 of length 17, 20 bytes", append([]byte{19, 17}, make([]byte, 18)...)},
		{"length 0 behind 24 bytes", append(bytes.Repeat([]byte{1}, 24), 8, 0, 0, 0)},
		{"end, then length 0, 20 bytes", append([]byte{0, 8, 0}, make([]byte, 17)...)},
	} {
		m.v4("TCP option: "+o.name, func(a *asks) { a.TCP.Options = o.bytes })
		if len(o.bytes) <= 4 {
			m.v6("TCP option: "+o.name, func(a *asks) { a.TCP.Options = o.bytes })
		}
	}
}

func (m *maker) ipv4() {
	for _, ttl := range []uint8{1, 2, 255} {
		m.v4(fmt.Sprintf("TTL %d", ttl), func(a *asks) { a.IP4.TTL = ttl })
	}
	m.patched("TTL 0", false, func(ip []byte) []byte { ip[8] = 0; return resum(ip) })
	for _, n := range []uint16{1, 19, 20, 21, 28, 39, 40, 41, 44, 46, 47, 100, 1500, 65535} {
		m.patched(fmt.Sprintf("total length %d in a frame of 60", n), false,
			func(ip []byte) []byte {
				be.PutUint16(ip[2:], n)
				ip = append(resum(ip), make([]byte, 6)...)
				if n >= 40 && int(n) <= len(ip) {
					ip[36], ip[37] = 0, 0
					tcpSum(ip[:n], 20)
				}
				return ip
			})
	}
	m.patched("total length 0", false,
		func(ip []byte) []byte { ip[2], ip[3] = 0, 0; return resum(ip) })
	for _, w := range []byte{0, 1, 4, 6, 7, 15} {
		m.patched(fmt.Sprintf("header of %d words", w), false,
			func(ip []byte) []byte {
				ip[0] = 0x40 | w
				return resum(append(ip, make([]byte, 20)...))
			})
	}
	for _, v := range []byte{0, 5, 6, 15} {
		m.patched(fmt.Sprintf("version %d", v), false,
			func(ip []byte) []byte { ip[0] = v<<4 | 5; return resum(ip) })
	}
	for _, tos := range []byte{1, 2, 3, 0x10, 0xff} {
		m.patched(fmt.Sprintf("type of service %02x", tos), false,
			func(ip []byte) []byte { ip[1] = tos; return resum(ip) })
	}
	m.v4("don't fragment", func(a *asks) { a.IP4.Frag = 0x4000 })
	m.v4("reserved flag", func(a *asks) { a.IP4.Frag = 0x8000 })
	m.v4("identification 0", func(a *asks) { a.IP4.ID = 0 })
	m.v4("100 bytes behind the packet", func(a *asks) { a.IP4.Length = 40 }, Bytes(nil))
	for _, n := range []int{1, 20, 40, 54} {
		m.patched(fmt.Sprintf("frame cut to %d", 14+n), false,
			func(ip []byte) []byte { return ip[:min(n, len(ip))-1] })
	}
}

func (m *maker) ipv4Options() {
	for _, o := range []struct {
		name  string
		bytes []byte
	}{
		{"NOPs", []byte{1, 1, 1, 1}}, {"40 bytes of NOP", bytes.Repeat([]byte{1}, 40)},
		{"end, then garbage", []byte{0, 255, 7, 1}},
		{"length 0", []byte{130, 0, 0, 0}}, {"length 1", []byte{130, 1, 0, 0}},
		{"length beyond the header", []byte{130, 5, 0, 0}},
		{"kind as the last byte", []byte{1, 1, 1, 7}},
		{"record route", []byte{7, 7, 4, 0, 0, 0, 0, 0}},
		{"record route, full", []byte{7, 7, 8, 1, 1, 1, 1, 0}},
		{"record route, pointer 3", []byte{7, 7, 3, 0, 0, 0, 0, 0}},
		{"record route, pointer 5", []byte{7, 7, 5, 0, 0, 0, 0, 0}},
		{"record route, length 2", []byte{7, 2, 0, 0}},
		{"record route, length 3", []byte{7, 3, 4, 0}},
		{"record route twice", []byte{7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0}},
		{"timestamp", []byte{68, 8, 5, 0, 0, 0, 0, 0}},
		{"timestamp, pointer 4", []byte{68, 8, 4, 0, 0, 0, 0, 0}},
		{"timestamp, full", []byte{68, 8, 9, 0, 0, 0, 0, 0}},
		{"timestamp, overflow 15", []byte{68, 8, 9, 0xf0, 0, 0, 0, 0}},
		{"timestamp, overflow 15, prespecified", []byte{68, 8, 9, 0xf3, 0, 0, 0, 0}},
		{"timestamp with addresses", []byte{68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"timestamp with addresses, short", []byte{68, 8, 5, 1, 0, 0, 0, 0}},
		{"timestamp, prespecified", []byte{68, 12, 5, 3, 1, 2, 3, 4, 0, 0, 0, 0}},
		{"timestamp of kind 7", []byte{68, 8, 5, 7, 0, 0, 0, 0}},
		{"timestamp, length 3", []byte{68, 3, 5, 0}},
		{"timestamp twice", []byte{68, 8, 5, 0, 0, 0, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0}},
		{"loose source route", []byte{131, 7, 4, 10, 88, 0, 1, 0}},
		{"loose source route, done", []byte{131, 7, 8, 10, 88, 0, 1, 0}},
		{"strict source route, done", []byte{137, 7, 8, 10, 88, 0, 1, 0}},
		{"router alert", []byte{148, 4, 0, 0}}, {"router alert 1", []byte{148, 4, 0, 1}},
		{"router alert, length 3", []byte{148, 3, 0, 0}},
		{"security", []byte{130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"stream id", []byte{136, 4, 0, 1}}, {"unknown", []byte{222, 4, 1, 2}},
		{"unknown, length 2", []byte{222, 2, 222, 2}},
		{"CIPSO, well formed", []byte{134, 10, 0, 0, 0, 1, 1, 4, 0, 0, 0, 0}},
		{"CIPSO, domain 0", []byte{134, 10, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0}},
		{"CIPSO, length 6", []byte{134, 6, 0, 0, 0, 1, 0, 0}},
	} {
		m.v4("IP option: "+o.name, func(a *asks) { a.IP4.Options = o.bytes })
	}
}

func (m *maker) ipv6() {
	for _, h := range []uint8{1, 255} {
		m.v6(fmt.Sprintf("hop limit %d", h), func(a *asks) { a.IP6.TTL = h })
	}
	m.patched("hop limit 0", true, func(ip []byte) []byte { ip[7] = 0; return ip })
	m.patched("class and flow label", true,
		func(ip []byte) []byte { ip[0], ip[1], ip[2], ip[3] = 0x6f, 0xff, 0xff, 0xff; return ip })
	for _, v := range []byte{0, 4, 7} {
		m.patched(fmt.Sprintf("version %d", v), true,
			func(ip []byte) []byte { ip[0] = v << 4; return ip })
	}
	for _, n := range []uint16{0, 1, 19, 20, 21, 100, 65535} {
		m.patched(fmt.Sprintf("payload length %d", n), true,
			func(ip []byte) []byte { be.PutUint16(ip[4:], n); return ip })
	}
	m.patched("bytes behind the packet", true,
		func(ip []byte) []byte { return append(ip, make([]byte, 50)...) })
	pad := Ext{Body: []byte{1, 4, 0, 0, 0, 0}}
	as := func(t uint8, e Ext) Ext { e.Type = t; return e }
	many := func(n int, t uint8) (l []Layer) {
		for range n {
			l = append(l, as(t, pad))
		}
		return l
	}
	for _, n := range []int{1, 2, 8, 31, 32} {
		m.v6(fmt.Sprintf("%d destination headers", n), nil, many(n, 60)...)
	}
	m.v6("hop-by-hop", nil, as(0, pad))
	m.v6("hop-by-hop, destination", nil, as(0, pad), as(60, pad))
	m.v6("destination, hop-by-hop", nil, as(60, pad), as(0, pad))
	m.v6("hop-by-hop twice", nil, as(0, pad), as(0, pad))
	for _, o := range []struct {
		name string
		body []byte
	}{
		{"Pad1 six times", make([]byte, 6)},
		{"Pad1 eight times", append(make([]byte, 8), 5, 4, 0, 0, 0, 0)},
		{"PadN not zero", []byte{1, 4, 1, 2, 3, 4}},
		{"PadN beyond", []byte{1, 5, 0, 0, 0, 0}},
		{"PadN of 7", []byte{1, 5, 0, 0, 0, 0, 0, 5, 5, 0, 0, 0, 0, 0}},
		{"PadN of 8", []byte{1, 6, 0, 0, 0, 0, 0, 0, 5, 4, 0, 0, 0, 0}},
		{"type cut", []byte{1, 3, 0, 0, 0, 0x1e}}, {"unknown, skip", []byte{0x1e, 4, 1, 2, 3, 4}},
		{"unknown, drop", []byte{0x5e, 4, 1, 2, 3, 4}},
		{"unknown, report", []byte{0x9e, 4, 1, 2, 3, 4}},
		{"unknown, report to unicast", []byte{0xde, 4, 1, 2, 3, 4}},
		{"router alert", []byte{5, 2, 0, 0, 1, 0}},
		{"router alert of 3", []byte{5, 3, 0, 0, 0, 0}}, {"jumbo", []byte{0xc2, 4, 0, 1, 0, 0}},
		{"tunnel limit", []byte{4, 1, 3, 1, 1, 0}},
		{"quick start", []byte{0x26, 4, 0, 0, 0, 0}},
		{"eight options", append(bytes.Repeat([]byte{0x1e, 0}, 8), 1, 4, 0, 0, 0, 0)},
		{"nine options", append(bytes.Repeat([]byte{0x1e, 0}, 9), 1, 2, 0, 0)},
		{"unknown of 254",
			append(append([]byte{0x1e, 254}, make([]byte, 254)...), 1, 4, 0, 0, 0, 0)},
		{"unknown of 255", append(append([]byte{0x1e, 255}, make([]byte, 255)...), 1, 3, 0, 0, 0)},
		{"CALIPSO", []byte{7, 8, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 0, 0}},
		{"trace, not in words", []byte{0x31, 2, 0, 0, 0, 0}},
		{"trace, in words", []byte{1, 0, 0x31, 2, 0, 0}},
		{"trace, in words, length 0", []byte{1, 0, 0x31, 0, 0, 0}},
		{"seven options", []byte{0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0}},
	} {
		m.v6("hop-by-hop: "+o.name, nil, as(0, Ext{Body: o.body}))
		m.v6("destination: "+o.name, nil, as(60, Ext{Body: o.body}))
	}
	for _, t := range []byte{0, 1, 2, 3, 4, 5} {
		for left := range byte(2) {
			m.v6(fmt.Sprintf("routing type %d, %d left", t, left), nil,
				as(43, Ext{Body: []byte{t, left, 0, 0, 0, 0}}))
		}
	}
	m.v6("atomic fragment", nil, as(44, Ext{Body: make([]byte, 6)}))
	m.v6("atomic fragment, reserved bits", nil, as(44, Ext{Body: []byte{0, 6, 0, 0, 0, 0}}))
	m.v6("atomic fragment, destination", nil, as(44, Ext{Body: make([]byte, 6)}), as(60, pad))
	m.v6("destination, atomic fragment", nil, as(60, pad), as(44, Ext{Body: make([]byte, 6)}))
	m.v6("atomic fragment twice", nil, as(44, Ext{Body: make([]byte, 6)}),
		as(44, Ext{Body: make([]byte, 6)}))
	m.v6("header longer than the packet", nil, Bytes{6, 9, 1, 4, 0, 0, 0, 0}).Frames[0][20] = 60
	for _, t := range []uint8{51, 59, 135, 139, 140, 253} {
		m.v6(fmt.Sprintf("header %d", t), nil, as(t, pad))
	}
}

func (m *maker) joined(v6 bool) {
	all := func(name string, options, data int, parts ...part) {
		m.fragments(name, v6, options, data, nil, parts...)
	}
	all("two, 24 bytes first", 12, 0, part{0, 24, true}, part{24, 8, false})
	all("two, the whole header first", 4, 8, part{0, 24, true}, part{24, 8, false})
	all("the same, reversed", 4, 8, part{24, 8, false}, part{0, 24, true})
	all("the whole segment, and nothing", 4, 0, part{0, 24, true}, part{24, 0, false})
	all("of 8 bytes", 0, 0, cut(20, 8)...)
	all("of 8 bytes, reversed", 0, 0, reversed(cut(20, 8))...)
	all("of 8 bytes, 60 of header", 40, 0, cut(60, 8)...)
	all("of 8 bytes, 60 of header, reversed", 40, 0, reversed(cut(60, 8))...)
	all("of 24 bytes, with data", 0, 100, cut(120, 24)...)
	all("of 24 bytes, with data, reversed", 0, 100, reversed(cut(120, 24))...)
	all("30 in order", 4, 696, cut(720, 24)...)
	all("30 reversed", 4, 696, reversed(cut(720, 24))...)
	all("30, every second first", 4, 696, everySecond(cut(720, 24))...)
	if !v6 { // the first fragment of IPv6 must hold the header
		all("of 8 bytes, with 200 of data, reversed", 4, 200, reversed(cut(224, 8))...)
		all("of 8 bytes, with 200 of data, every second first", 4, 200, everySecond(cut(224, 8))...)
	}
	all("of 400 bytes", 0, 1180, cut(1200, 400)...)
	all("first twice", 4, 8, part{0, 24, true}, part{0, 24, true}, part{24, 8, false})
	all("last twice, first last", 4, 8, part{24, 8, false}, part{24, 8, false}, part{0, 24, true})
	all("middle missing", 4, 24, part{0, 24, true}, part{32, 16, false})
	all("last missing", 4, 24, part{0, 24, true}, part{24, 16, true})
	all("first missing", 4, 24, part{24, 24, false})
	all("contained in one before", 4, 24, part{0, 32, true}, part{8, 16, true}, part{32, 16, false})
	all("overlap by 8", 4, 24, part{0, 32, true}, part{24, 24, false})
	all("overlap by 8, reversed", 4, 24, part{24, 24, false}, part{0, 32, true})
	all("the whole over a part", 4, 24, part{24, 24, false}, part{0, 48, false})
	all("a part spans two", 4, 24, part{0, 24, true}, part{24, 8, true}, part{16, 16, true},
		part{32, 16, false})
	all("a part spans two that came reversed", 4, 24, part{24, 8, true}, part{0, 24, true},
		part{0, 32, true}, part{32, 16, false})
	all("two ends", 4, 24, part{24, 8, false}, part{24, 24, false}, part{0, 24, true})
	all("behind the end", 4, 24, part{24, 24, false}, part{48, 8, true}, part{0, 24, true})
	all("end before what is there", 4, 24, part{24, 24, true}, part{24, 8, false},
		part{0, 24, true})
	all("not a multiple of 8", 4, 24, part{0, 30, true}, part{24, 24, false})
	all("not a multiple of 8, then a hole", 4, 24, part{0, 31, true}, part{32, 16, false})
	all("overlap, then all again", 4, 24, part{0, 32, true}, part{24, 24, false}, part{0, 32, true},
		part{32, 16, false})
	all("empty between", 4, 24, part{0, 24, true}, part{24, 0, true}, part{24, 24, false})
	all("far beyond the end", 4, 24, part{0, 24, true}, part{65528, 24, false}, part{24, 24, false})
	all("with data behind 1536 bytes", 4, 2976, cut(3000, 1000)...)
	m.fragments("different TTL", v6, 4, 8, func(i int, ip *IP) { ip.TTL = uint8(9 + i) },
		part{0, 24, true}, part{24, 8, false})
	m.fragments("of two datagrams", v6, 4, 8, func(i int, ip *IP) {
		if ip.ID += uint16(i); v6 && i > 0 {
			ip.Src = "fd77:ffff::2"
		}
	}, part{0, 24, true}, part{24, 8, false})
	if v6 {
		m.joinedIPv6()
	} else {
		m.joinedIPv4()
	}
}

// joinedIPv6 adds variants in which fragments differ in the next header.
func (m *maker) joinedIPv6() {
	// The first fragment names the next header (RFC 8200, section 4.5).
	follows := func(name string, of int, next byte, parts ...part) {
		m.fragments("next header: "+name, true, 4, 8, nil, parts...).Frames[of][14+40] = next
	}
	follows("UDP in the last", 1, 17, part{0, 24, true}, part{24, 8, false})
	follows("UDP in the last, which comes first", 0, 17, part{24, 8, false}, part{0, 24, true})
	follows("none in the last", 1, 59, part{0, 24, true}, part{24, 8, false})
	follows("UDP in the first", 0, 17, part{0, 24, true}, part{24, 8, false})
}

// joinedIPv4 adds variants in which fragments differ in checksum, options or type of service.
func (m *maker) joinedIPv4() {
	for _, again := range []bool{false, true} {
		v := m.fragments(fmt.Sprintf("wrong IP checksum of the last, right again %v", again), false,
			4,
			8, nil, part{0, 24, true}, part{24, 8, false})
		right := v.Frames[1]
		v.Frames[1] = bytes.Clone(right)
		v.Frames[1][14+11]++
		if again {
			v.Frames = append(v.Frames, right)
		}
	}
	m.fragments("IP options on the first", false, 4, 8,
		func(i int, ip *IP) { ip.Options = bytes.Repeat([]byte{1}, 4-4*i) }, part{0, 24, true},
		part{24, 8, false})
	m.fragments("a bad IP option on the last", false, 4, 8,
		func(i int, ip *IP) { ip.Options = bytes.Repeat([]byte{130, 0, 0, 0}, i) },
		part{0, 24, true}, part{24, 8, false})
	m.fragments("8-byte fragments with don't fragment", false, 4, 8,
		func(_ int, ip *IP) { ip.TTL = 3 }, cut(32, 8)...)
	for _, tos := range [][2]byte{{0, 0}, {2, 2}, {2, 3}, {0, 2}, {0, 3}, {1, 2}} {
		v := m.fragments(fmt.Sprintf("type of service %d and %d", tos[0], tos[1]), false, 4, 8, nil,
			part{0, 24, true}, part{24, 8, false})
		for i, f := range v.Frames {
			f[15] = tos[i]
			resum(f[14:])
		}
	}
}

// links adds variants of the link layer. They have no VLAN but 0: a receiver accepts other VLANs
// only if they are configured.
func (m *maker) links() {
	tags := func(name string, l ...Layer) *Variant {
		a := m.next()
		return m.put("tags: "+name, a.IP4.Src, a.TCP.Seq,
			Frame(append(append([]Layer{a.Eth}, l...), a.IP4, a.TCP)...))
	}
	for n := range 8 {
		var l []Layer
		for range n + 1 {
			l = append(l, VLAN{})
		}
		tags(fmt.Sprintf("%d of VLAN 0", n+1), l...)
	}
	tags("priority 7", VLAN{ID: 7 << 13})
	tags("drop eligible", VLAN{ID: 1 << 12})
	tags("802.1ad, VLAN 0", VLAN{Type: 0x88a8})
	tags("802.1ad 0 and 802.1Q 0", VLAN{Type: 0x88a8}, VLAN{})
	tags("802.1Q 0 and 802.1ad 0", VLAN{}, VLAN{Type: 0x88a8})
	tags("802.1ad twice", VLAN{Type: 0x88a8}, VLAN{Type: 0x88a8})
	a := m.next()
	m.put("tags: IPv6 in VLAN 0", a.IP6.Src, a.TCP.Seq, Frame(a.Eth, VLAN{}, a.IP6, a.TCP))
	a = m.next()
	m.put("LLC/SNAP", a.IP4.Src, a.TCP.Seq,
		Frame(SNAP{Dst: a.Eth.Dst, Src: a.Eth.Src}, a.IP4, a.TCP)).Except = exceptLLC
	a = m.next()
	m.put("IPv4 with the ethertype of IPv6", a.IP4.Src, a.TCP.Seq,
		Frame(Ethernet{Dst: a.Eth.Dst, Src: a.Eth.Src, Type: 0x86dd}, a.IP4, a.TCP))
	a = m.next()
	m.put("IPv6 with the ethertype of IPv4", a.IP6.Src, a.TCP.Seq,
		Frame(Ethernet{Dst: a.Eth.Dst, Src: a.Eth.Src, Type: 0x0800}, a.IP6, a.TCP))
	a = m.next()
	m.put("ethertype 0x0801", a.IP4.Src, a.TCP.Seq,
		Frame(Ethernet{Dst: a.Eth.Dst, Src: a.Eth.Src, Type: 0x0801}, a.IP4, a.TCP))
	m.v4("hardware address of everybody",
		func(a *asks) { a.Eth.Dst = [6]byte{255, 255, 255, 255, 255, 255} })
	m.v4("hardware address of a group", func(a *asks) { a.Eth.Dst = [6]byte{1, 0, 0x5e, 0, 0, 1} })
	m.v6("hardware address of a group",
		func(a *asks) { a.Eth.Dst = [6]byte{0x33, 0x33, 0, 0, 0, 1} })
}

func (m *maker) addresses() {
	for _, s := range []string{"0.0.0.0", "0.1.2.3", "1.2.3.4", "127.0.0.1", "127.9.9.9",
		"169.254.1.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.0.0.1", "255.255.255.255",
		variantDst4} {
		m.v4("from "+s, func(a *asks) { a.IP4.Src = s })
	}
	for _, s := range []string{"127.0.0.1", "0.0.0.0", "224.0.0.1", "239.1.1.1",
		"255.255.255.255"} {
		m.v4("to "+s, func(a *asks) { a.IP4.Dst = s })
	}
	for _, s := range []string{"::", "::1", "::2", "::ffff:1.2.3.4", "::1.2.3.4",
		"64:ff9b::1.2.3.4", "ff02::1", "2001:db8::9", variantDst6} {
		m.v6("from "+s, func(a *asks) { a.IP6.Src = s })
	}
	for _, s := range []string{"::1", "::", "ff02::1", "ff0e::1"} {
		m.v6("to "+s, func(a *asks) { a.IP6.Dst = s })
	}
}

func (m *maker) checksums() {
	for _, v6 := range []bool{false, true} {
		header := 20
		if v6 {
			header = 40
		}
		for _, by := range []uint16{1, 0x0100, 0x8000} {
			m.patched(fmt.Sprintf("TCP checksum off by %04x", by), v6, func(ip []byte) []byte {
				be.PutUint16(ip[header+16:], be.Uint16(ip[header+16:])+by)
				return ip
			}).Except = exceptChecksum
		}
		m.patched("TCP checksum 0", v6,
			func(ip []byte) []byte {
				ip[header+16], ip[header+17] = 0, 0
				return ip
			}).Except = exceptChecksum
		m.patched("TCP checksum of the pseudo-header", v6, func(ip []byte) []byte {
			ip[header+16], ip[header+17] = 0, 0
			whole := be.Uint16(tcpSum(ip, header)[header+16:])
			ip[header+16], ip[header+17] = 0, 0
			be.PutUint16(ip[header+16:], fold(uint32(^whole)+uint32(^fold(sum(0, ip[header:])))))
			return ip
		}).Except = exceptChecksum
	}
	m.patched("IP checksum off by one", false,
		func(ip []byte) []byte { ip[11]++; return ip }).Except = exceptChecksum
	m.patched("IP checksum 0", false,
		func(ip []byte) []byte { ip[10], ip[11] = 0, 0; return ip }).Except = exceptChecksum
}
