package doctor

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// exam is an examination that is under way.
type exam struct {
	cfg     Config
	mail    map[uint16]bool
	decoder wire.Decoder
	frames  uint64
	bytes   uint64
	counts  Counts
	seed    maphash.Seed

	flows     map[flowKey]*flow
	hosts     map[wire.Addr]*host
	pairs     map[pairKey]bool
	originals map[uint64]original
	copies    copies
	stations  map[[6]byte]uint64 // unicast frames of which it is an end
	neighbors []Neighbor

	first, last, latest int64 // times of frames
	joined              uint64
	tunnelParts         uint64 // fragments of tunnels that are opened
	shortest            int    // captured bytes of the shortest truncated frame
	skew                int64  // of a stream: machine's time minus frame's, at the last frame
	ours                uint64 // frames of this machine
	sawStations         bool   // frames have addresses of stations
	ownMail             uint64 // segments of mail of this machine
	lost                uint64 // by the sequence numbers of ERSPAN
	sequences           map[sequenceKey]uint32

	link, linkBefore            Link
	kernelDrops, interfaceDrops uint64
	listened                    time.Duration
	readError                   error
}

// host is an address that sent or received packets.
type host struct {
	home  bool
	own   bool // of this machine
	sent  uint64
	peers uint64 // different addresses that it exchanged packets with
	// Segments whose checksum was checked, and those in which it is wrong.
	sums, wrongSums uint64

	ttls  [4]uint8
	mac   [6]byte
	tag   string // VLAN tags of the first packet
	twice bool   // another station in another VLAN has the same address
}

func newExam(cfg Config) *exam {
	e := &exam{cfg: cfg, mail: map[uint16]bool{}, seed: maphash.MakeSeed(),
		flows: map[flowKey]*flow{}, hosts: map[wire.Addr]*host{}, pairs: map[pairKey]bool{},
		originals: map[uint64]original{}, stations: map[[6]byte]uint64{},
		sequences: map[sequenceKey]uint32{}}
	all := make([]uint16, 65536)
	for i := range all {
		all[i] = uint16(i)
	}
	e.decoder.SetPorts(all)
	for _, p := range cfg.Ports {
		e.mail[p] = true
	}
	e.counts = Counts{Decoded: map[string]uint64{}, Ethertypes: map[string]uint64{},
		VLANs: map[string]uint64{}, Tunnels: map[string]uint64{}, Hidden: map[string]uint64{},
		MailPorts: map[string]uint64{}}
	return e
}

// bump counts under a name. The names beyond maxNames are counted together.
func bump(m map[string]uint64, name string) {
	if _, ok := m[name]; !ok && len(m) >= maxNames {
		name = "others"
	}
	m[name]++
}

// add examines a frame.
func (e *exam) add(f *frame.Frame) {
	size := max(f.Len, len(f.Data))
	e.frames++
	e.bytes += uint64(size)
	e.addTime(f.Time)
	if len(f.Data) < size {
		e.counts.Truncated++
		if e.shortest == 0 || len(f.Data) < e.shortest {
			e.shortest = len(f.Data)
		}
	}
	var s sight
	s.look(f.Link, f.Data)
	var p wire.Packet
	o := e.decoder.Decode(f.Link, f.Data, size, &p)
	p.Time = f.Time
	name := o.String()
	if o == wire.Mail { // every port is a mail port of this decoder
		name = "tcp"
	}
	e.counts.Decoded[name]++
	bump(e.counts.Ethertypes, s.kind)
	bump(e.counts.VLANs, tagsName(s.tags))
	e.addTunnel(&s, o)
	e.addStations(&s)
	e.addNames(&s, f)
	switch {
	case o == wire.Mail:
		e.addTCP(&p, &s, size)
	case o == wire.DNSMessage:
		e.counts.DNS++
		e.addPair(p.Src, p.Dst, p.TTL, &s)
	case s.typ == etherARP:
		e.counts.ARP++
	case s.tunnel != "": // the addresses are those of the tunnel
	case s.udp:
		e.addUDP(&s)
	case s.icmp() && !s.multicast():
		e.addPair(s.from, s.to, s.ttl, &s)
	}
	if s.udp && !s.multicast() && s.tunnel == "" {
		e.compareDatagram(&s, f.Time)
	}
}

// tagsName names the VLAN tags of a frame.
func tagsName(tags []uint16) string {
	if len(tags) == 0 {
		return "untagged"
	}
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = strconv.Itoa(int(t))
	}
	return strings.Join(names, ".")
}

// backwards is how far a time may lie before the latest one, in ns. Cards with several queues, and
// files that were merged, mix frames within milliseconds.
const backwards = 1e9

// addTime checks the time of a frame.
func (e *exam) addTime(t int64) {
	shown := frame.ShownTime(t)
	if e.frames == 1 {
		e.first, e.latest = t, t
	}
	if t < e.latest-backwards {
		e.counts.Backwards++
		e.latest = t // one jump counts once
	}
	e.latest, e.last = max(e.latest, t), t
	now := e.cfg.Now()
	if shown < earliest || shown > now+int64(24*time.Hour) {
		e.counts.OddTimes++
	}
	e.skew = now - shown
}

// addStations counts for whom the frame is.
func (e *exam) addStations(s *sight) {
	if !s.ether {
		return
	}
	e.sawStations = true
	if s.multicast() {
		return
	}
	e.counts.Unicast++
	own := e.ownMAC()
	switch {
	case own == [6]byte{}:
	case s.src == own || s.dst == own:
		e.ours++
	default:
		e.counts.Foreign++
	}
	for _, m := range [2][6]byte{s.src, s.dst} {
		if _, ok := e.stations[m]; !ok && len(e.stations) >= maxMACs {
			e.counts.Unheld++
			continue
		}
		e.stations[m]++
	}
}

// ownMAC is the link-layer address of the interface, zero if there is none.
func (e *exam) ownMAC() [6]byte { return e.linkBefore.MAC }

// addTCP examines a TCP segment.
func (e *exam) addTCP(p *wire.Packet, s *sight, size int) {
	e.addPair(p.Src, p.Dst, p.TTL, s)
	if e.isOwn(p.Src) || e.isOwn(p.Dst) { // the mirror did not bring it
		if e.mail[p.SrcPort] || e.mail[p.DstPort] {
			e.ownMail++
		}
		return
	}
	if p.SrcPort == 53 || p.DstPort == 53 {
		e.counts.DNS++
	}
	// Behind the largest header of Ethernet a segment of 1,500 bytes has one frame; longer ones
	// are several that a card or the kernel has joined, or jumbo frames.
	if size > 1600 && s.tunnel == "" {
		e.joined++
	}
	if h := e.hosts[p.Src]; h != nil && p.Checksum != wire.Unchecked {
		h.sums++
		e.counts.CheckedSums++
		if p.Checksum != wire.Right {
			h.wrongSums++
			e.counts.WrongSums++
		}
	}
	e.addSegment(p)
	e.compareSegment(p, s)
}

// addUDP examines a datagram that is neither DNS nor in a tunnel that is opened.
func (e *exam) addUDP(s *sight) {
	if isDHCP(s.sport) && isDHCP(s.dport) {
		e.counts.DHCP++
		return
	}
	if !s.multicast() {
		e.addPair(s.from, s.to, s.ttl, s)
	}
}

// isDHCP reports whether a port is one of DHCP (RFC 2131) or DHCPv6 (RFC 8415).
func isDHCP(port uint16) bool { return port == 67 || port == 68 || port == 546 || port == 547 }

// isOwn reports whether an address belongs to this machine.
func (e *exam) isOwn(a wire.Addr) bool {
	h := e.hosts[a]
	return h != nil && h.own
}

// isHome reports whether an address lies in the home networks.
func (e *exam) isHome(addr wire.Addr) bool {
	a := netip.AddrFrom16(addr).Unmap()
	for _, n := range e.cfg.Home {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
