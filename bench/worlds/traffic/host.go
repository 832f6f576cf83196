package traffic

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Stack is the TCP of an operating system, as its SYNs show it.
type Stack struct {
	TTL     uint8
	Window  uint16
	Scale   uint8 // of the window; 0: no option
	Layout  string
	Retries []time.Duration // times of SYN retransmissions, from the first SYN on
	// Ports: counted up, or drawn at random from Low upwards.
	Counted bool
	Low     uint16
	// IDs of IPv4: counted up, or random (zero in SYNs).
	CountedIDs bool
}

// seconds makes durations.
func seconds(list ...float64) (d []time.Duration) {
	for _, s := range list {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

// The stacks: options are M (MSS), S (SACK permitted), T (timestamps), N (no operation), W (window
// scale) and E (end).
var (
	Windows = &Stack{TTL: 128, Window: 64240, Scale: 8, Layout: "MNWNNS",
		Retries: seconds(1, 3, 7, 15), Counted: true, Low: 49700, CountedIDs: true}
	WindowsOld = &Stack{TTL: 128, Window: 8192, Scale: 8, Layout: "MNWNNS",
		Retries: seconds(3, 9), Counted: true, Low: 49200, CountedIDs: true}
	Linux = &Stack{TTL: 64, Window: 64240, Scale: 7, Layout: "MSTNW",
		Retries: seconds(1, 3, 7, 15, 31), Low: 32768}
	LinuxOld = &Stack{TTL: 64, Window: 29200, Scale: 7, Layout: "MSTNW",
		Retries: seconds(1, 3, 7, 15, 31), Low: 32768}
	MacOS = &Stack{TTL: 64, Window: 65535, Scale: 6, Layout: "MNWNNTSE",
		Retries: seconds(1, 2, 3, 4, 5, 7, 11), Low: 49152}
	Android = &Stack{TTL: 64, Window: 65535, Scale: 9, Layout: "MSTNW",
		Retries: seconds(1, 3, 7), Low: 32768}
	FreeBSD = &Stack{TTL: 64, Window: 65535, Scale: 6, Layout: "MNWST",
		Retries: seconds(1, 3, 7, 15), Low: 10000}
	Embedded = &Stack{TTL: 64, Window: 5840, Layout: "M",
		Retries: seconds(3, 9), Counted: true, Low: 1024, CountedIDs: true}
	Printer = &Stack{TTL: 255, Window: 8760, Scale: 0, Layout: "MNNS",
		Retries: seconds(3, 9, 21), Counted: true, Low: 2048, CountedIDs: true}
)

// Host is a machine with an address of each family, or with one.
type Host struct {
	Name   string // for truth and dialogues
	MAC    MAC
	V4, V6 netip.Addr
	Stack  *Stack
	VLAN   uint16
	Inside bool
	// Hops is the number of routers between it and the mirror; a host inside with Hops has Via as
	// its link-layer address on the mirror.
	Hops uint8
	Via  MAC
	// RTT is the time to it and back; that of two hosts is the sum.
	RTT time.Duration
	// Answered is the link-layer address that packets to it have, if it is not its own: those of a
	// forger go to the real host.
	Answered MAC
	// Says is its name in EHLO; "": its address as a literal.
	Says string
	// NoDNS hides its lookups: DNS over HTTPS.
	NoDNS bool

	firstPort, firstID, lastID uint16
	ports                      map[uint16]time.Duration // of counted ports: the latest use
}

// Addr is its address in a family.
func (h *Host) Addr(v6 bool) netip.Addr {
	if v6 {
		return h.V6
	}
	return h.V4
}

// nextPort is the source port of a connection at a time. A counter of ports goes on with the time,
// because the machine has other connections too; connections are not drawn in the order of time.
func (h *Host) nextPort(r *rand.Rand, at time.Duration) uint16 {
	low := h.Stack.Low
	if !h.Stack.Counted {
		return low + uint16(r.IntN(int(60999-low)))
	}
	if h.ports == nil {
		h.ports = map[uint16]time.Duration{}
	}
	span := time.Duration(65000 - int(low))
	for n := time.Duration(h.firstPort) + at/(1700*time.Millisecond); ; n++ {
		p := low + uint16(n%span)
		if last, used := h.ports[p]; !used || max(last, at)-min(last, at) > 10*time.Minute {
			h.ports[p] = at
			return p
		}
	}
}

// nextID is the IPv4 identification of a packet at a time.
func (h *Host) nextID(r *rand.Rand, at time.Duration) uint16 {
	if !h.Stack.CountedIDs {
		return uint16(r.Uint32())
	}
	id := h.firstID + uint16(at/(5*time.Millisecond))
	if id == h.lastID || id+1 == h.lastID {
		id = h.lastID + 1
	}
	h.lastID = id
	return id
}

// counters draws where the host's counters are.
func (h *Host) counters(r *rand.Rand) {
	h.firstPort, h.firstID, h.ports = uint16(r.UintN(10000)), uint16(r.Uint32()), nil
}

// options are the options of a SYN (withTime: timestamps are in use).
func (s *Stack) options(mss uint16, withTime bool, now, echo uint32) (b []byte) {
	for _, o := range s.Layout {
		switch o {
		case 'M':
			b = append(b, 2, 4, byte(mss>>8), byte(mss))
		case 'S':
			b = append(b, 4, 2)
		case 'N':
			b = append(b, 1)
		case 'W':
			b = append(b, 3, 3, s.Scale)
		case 'E':
			b = append(b, 0)
		case 'T':
			if withTime {
				b = append(b, timestamps(now, echo)...)
			} else {
				b = append(b, 1, 1)
			}
		}
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// hasTime reports whether it uses timestamps.
func (s *Stack) hasTime() bool {
	for _, o := range s.Layout {
		if o == 'T' {
			return true
		}
	}
	return false
}

// timestamps is the option of RFC 7323 section 3.2.
func timestamps(now, echo uint32) []byte {
	return []byte{8, 10, byte(now >> 24), byte(now >> 16), byte(now >> 8), byte(now),
		byte(echo >> 24), byte(echo >> 16), byte(echo >> 8), byte(echo)}
}
