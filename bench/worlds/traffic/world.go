package traffic

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// World is one network with what a mirror port shows of it. All times are since Start.
type World struct {
	R      *rand.Rand
	Start  time.Time
	Length time.Duration
	Truth  Truth
	Mirror Mirror
	// PathLoss is the share of SYNs that are lost behind the mirror and sent again; of data
	// segments it is a quarter.
	PathLoss float64
	// DNS shows lookups; Resolver answers them.
	DNS      bool
	Resolver *Host
	Gateway  *Host
	// Net4 and Net6 are the networks of the office; Net6 is not valid without IPv6.
	Net4, Net6 netip.Prefix
	// NAT64 is the prefix of NAT64 (RFC 6052), for hosts without IPv4.
	NAT64 netip.Addr

	hosts   []*Host
	frames  []frame
	counts  []counted
	used    map[netip.Addr]bool
	names   map[string]bool
	by      map[string]*Provider
	limited map[netip.Addr]bool
	oui     [][3]byte
}

// frame is one frame at the mirror port.
type frame struct {
	at    time.Duration
	data  []byte
	whole int // length on the wire
}

// Kind is what is counted of a source.
type Kind uint8

// The kinds of counts.
const (
	CountAttempt    Kind = iota
	CountRetransmit      // of a SYN
	CountSession         // a completed handshake
	CountMessage         // accepted, and readable
)

// counted is one count, with its time and source.
type counted struct {
	at   time.Duration
	addr netip.Addr
	kind Kind
	// inner: both hosts are inside, so that a port of the router does not show the connection.
	inner bool
}

// New is a network without hosts: a private IPv4 network of the seed's choice and a gateway. The
// same scenario and seed give the same network.
func New(scenario string, seed uint64) *World {
	h := fnv.New64a()
	h.Write([]byte(scenario))
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	w := &World{R: r, Length: 10 * time.Hour, PathLoss: 0.003, used: map[netip.Addr]bool{},
		names: map[string]bool{}, by: map[string]*Provider{}, limited: map[netip.Addr]bool{}}
	// A Monday in 2025 or 2026, early in the morning.
	w.Start = time.Date(2025, 1, 6, 6, r.IntN(90), r.IntN(60), r.IntN(1e9), time.UTC).
		AddDate(0, 0, 7*r.IntN(90))
	w.oui = [][3]byte{{0x3c, 0x52, 0x82}, {0xa4, 0xbb, 0x6d}, {0x00, 0x25, 0x90},
		{0xd8, 0x9e, 0xf3}, {0xf4, 0x8e, 0x38}, {0x00, 0x0c, 0x29}, {0x52, 0x54, 0x00}}
	base := [][3]byte{{10, byte(r.IntN(255)), byte(r.IntN(255))}, {192, 168, byte(r.IntN(255))},
		{172, byte(16 + r.IntN(16)), byte(r.IntN(255))}}[r.IntN(3)]
	w.Net4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1], base[2], 0}), 24)
	w.Truth = Truth{Scenario: scenario, Seed: seed, Bad: map[string][][2]string{},
		Advisory: map[string][]string{}, Limits: map[string]string{}, Home: []string{},
		Sources: map[string]*Counts{}}
	w.Gateway = &Host{Name: "gateway", MAC: w.mac(), V4: w.host4(1), Stack: Linux, Inside: true,
		RTT: 200 * time.Microsecond}
	w.Resolver = w.Outside(netip.AddrFrom4([4][4]byte{{1, 1, 1, 1}, {8, 8, 8, 8}, {9, 9, 9, 9},
		{8, 8, 4, 4}}[r.IntN(4)]), 12*time.Millisecond)
	w.DNS = r.IntN(3) > 0
	w.Truth.DNS = w.DNS
	return w
}

// EnableV6 gives the office a global IPv6 network. Hosts that are added later are in it.
func (w *World) EnableV6() {
	first := [2]byte{0x2a, byte(w.R.IntN(16))} // 2a00::/12, RIPE
	b := [16]byte{0: first[0], 1: first[1]}
	for i := 2; i < 8; i++ {
		b[i] = byte(w.R.UintN(256))
	}
	w.Net6 = netip.PrefixFrom(netip.AddrFrom16(b), 64)
	w.Gateway.V6 = netip.MustParseAddr(fmt.Sprintf("fe80::%x", 1+w.R.IntN(5)))
}

// mac is a new link-layer address of a common vendor.
func (w *World) mac() MAC {
	o := w.oui[w.R.IntN(len(w.oui))]
	return MAC{o[0], o[1], o[2], byte(w.R.UintN(256)), byte(w.R.UintN(256)), byte(w.R.UintN(256))}
}

// RandomMAC is a locally administered address, as telephones draw for each network.
func (w *World) RandomMAC() MAC {
	m := w.mac()
	m[0] = m[0]&^3 | 2
	return m
}

// host4 is an address of the office.
func (w *World) host4(n int) netip.Addr {
	b := w.Net4.Addr().As4()
	b[3] = byte(n)
	return netip.AddrFrom4(b)
}

// host6 is an address of the office, made from the link-layer address or at random (RFC 8981).
func (w *World) host6(m MAC) netip.Addr {
	if !w.Net6.IsValid() {
		return netip.Addr{}
	}
	b := w.Net6.Addr().As16()
	if w.R.IntN(3) == 0 {
		copy(b[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	} else {
		for i := 8; i < 16; i++ {
			b[i] = byte(w.R.UintN(256))
		}
		b[8] &^= 2
	}
	return netip.AddrFrom16(b)
}

// Privacy is a new temporary IPv6 address of the office (RFC 8981).
func (w *World) Privacy() netip.Addr {
	b := w.Net6.Addr().As16()
	for i := 8; i < 16; i++ {
		b[i] = byte(w.R.UintN(256))
	}
	b[8] &^= 2
	return netip.AddrFrom16(b)
}

// Free4 is an IPv4 address of the office that no host has.
func (w *World) Free4() netip.Addr {
	for {
		a := w.host4(10 + w.R.IntN(240))
		if !w.used[a] {
			w.used[a] = true
			return a
		}
	}
}

// Inside adds a machine of the office.
func (w *World) Inside(name string, s *Stack) *Host {
	h := &Host{Name: name, MAC: w.mac(), V4: w.Free4(), Stack: s, Inside: true,
		RTT: time.Duration(100+w.R.IntN(400)) * time.Microsecond}
	h.V6 = w.host6(h.MAC)
	return w.Join(h)
}

// Join adds a host that the caller has made to the hosts inside.
func (w *World) Join(h *Host) *Host {
	h.Inside = true
	h.counters(w.R)
	switch {
	case h.Hops > 0: // its own address is that of another network
		h.Says = fmt.Sprintf("[192.168.%d.%d]", w.R.IntN(3), 2+w.R.IntN(250))
	case h.Stack == Windows || h.Stack == WindowsOld:
		h.Says = Pick(w, "DESKTOP-", "PC-", "LAPTOP-") + strings.ToUpper(w.Word())
	}
	w.hosts = append(w.hosts, h)
	if h.V4.IsValid() && h.V6.IsValid() {
		w.Truth.Machines = append(w.Truth.Machines, []string{h.V4.String(), h.V6.String()})
	}
	return h
}

// Forger is a host that sends in the name of another one, with a stack and a link-layer address of
// its own or not. It does not know where the counters of the real one are.
func (w *World) Forger(h *Host, s *Stack, m MAC) *Host {
	f := *h
	f.Stack, f.MAC, f.Answered = s, m, h.link()
	f.counters(w.R)
	return &f
}

// PC is a workstation with a usual system.
func (w *World) PC() *Host {
	s := []*Stack{Windows, Windows, Windows, Windows, MacOS, Linux}[w.R.IntN(6)]
	h := w.Inside("pc", s)
	h.NoDNS = w.R.IntN(4) == 0
	return h
}

// Outside is a host of the Internet with a given address.
func (w *World) Outside(a netip.Addr, rtt time.Duration) *Host {
	h := &Host{Stack: []*Stack{Linux, Linux, Linux, LinuxOld, FreeBSD, Windows}[w.R.IntN(6)],
		RTT: rtt, Hops: uint8(5 + w.R.IntN(15))}
	if a.Is4() {
		h.V4 = a
	} else {
		h.V6 = a
	}
	return h
}

// Global is an IPv4 address of the Internet that was not drawn before, alone in its /24.
func (w *World) Global() netip.Addr {
	for {
		b := [4]byte{byte(1 + w.R.IntN(222)), byte(w.R.UintN(256)), byte(w.R.UintN(256)),
			byte(1 + w.R.IntN(254))}
		switch {
		case b[0] == 10, b[0] == 127, b[0] == 172, b[0] == 192, b[0] == 169, b[0] == 100,
			b[0] == 198, b[0] == 203, b[0] == 1, b[0] == 8, b[0] == 9:
			continue
		}
		net := netip.AddrFrom4([4]byte{b[0], b[1], b[2], 0})
		if w.used[net] {
			continue
		}
		w.used[net] = true
		return netip.AddrFrom4(b)
	}
}

// synthesized is the address of an IPv4 host behind NAT64.
func (w *World) synthesized(a netip.Addr) netip.Addr {
	b, v4 := w.NAT64.As16(), a.As4()
	copy(b[12:], v4[:])
	return netip.AddrFrom16(b)
}

// Global6 is an IPv6 address of the Internet, alone in its /48.
func (w *World) Global6() netip.Addr {
	b := [16]byte{0: 0x2a, 1: byte(0x01 + w.R.IntN(15))}
	for i := 2; i < 6; i++ {
		b[i] = byte(w.R.UintN(256))
	}
	b[15] = byte(1 + w.R.IntN(200))
	return netip.AddrFrom16(b)
}

// path is a time to a host of the Internet and back, like those seen from a European office.
func (w *World) path() time.Duration {
	ms := []int{8, 12, 15, 18, 22, 25, 30, 35, 45, 90, 110, 150, 190}[w.R.IntN(13)]
	return time.Duration(ms)*time.Millisecond + time.Duration(w.R.IntN(3e6))
}

// route is the way of a packet past the mirror.
func (w *World) route(at time.Duration, from, to *Host, src, dst netip.Addr) *route {
	r := &route{src: src, dst: dst, smac: w.Gateway.MAC, dmac: w.Gateway.MAC,
		ttl: from.Stack.TTL - from.Hops, id: from.nextID(w.R, at)}
	if from.Inside {
		r.smac, r.vlan = from.link(), from.VLAN
	}
	if to.Inside {
		r.dmac = to.link()
		if to.Answered != (MAC{}) {
			r.dmac = to.Answered
		}
		if r.vlan == 0 {
			r.vlan = to.VLAN
		}
	}
	return r
}

// link is the address of a host on the mirrored segment: its own, or its router's.
func (h *Host) link() MAC {
	if h.Hops > 0 {
		return h.Via
	}
	return h.MAC
}

// emit adds a frame.
func (w *World) emit(at time.Duration, data []byte) {
	w.frames = append(w.frames, frame{at, data, len(data)})
}

// latest is the IP packet of the frame that was added last.
func (w *World) latest() []byte {
	b := w.frames[len(w.frames)-1].data
	if b[12] == 0x81 {
		return b[18:]
	}
	return b[14:]
}

// count adds to the counts of a source.
func (w *World) count(at time.Duration, a netip.Addr, k Kind, inner bool) {
	w.counts = append(w.counts, counted{at, a, k, inner})
}

// Between is a random duration in a range.
func (w *World) Between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(w.R.Int64N(int64(high-low)))
}

// Chance is true with a probability.
func (w *World) Chance(p float64) bool { return w.R.Float64() < p }

// Pick is one of a list.
func Pick[T any](w *World, list ...T) T { return list[w.R.IntN(len(list))] }
