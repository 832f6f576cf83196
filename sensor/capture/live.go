package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/gopacket/pcap"

	"spamsensor/sensor/frame"
)

// LiveConfig configures Live.
type LiveConfig struct {
	Interface string // name of the interface; required
	// Snaplen is the number of bytes of a frame that are captured. Zero means 262144, the whole
	// frame: a card may join segments to frames of 64 KiB, and with the filter only mail is copied.
	Snaplen int
	// Buffer is the kernel's buffer in bytes. Zero means DefaultBuffer, 64 MiB: a reader that
	// stalls for 0.2 s at 0.8 million packets a second lost 7.4 % with 2 MiB and nothing with 64.
	Buffer int
	// Ports are the mail ports, for the kernel's filter.
	Ports []uint16
	// NoFilter captures every frame. It serves to examine a mirror port.
	NoFilter bool
	// From is the index of this input, for Frame.From.
	From uint16
	// NoPromiscuous does not set the interface to promiscuous mode.
	NoPromiscuous bool
}

// readTimeout bounds how long Next waits and how long Close takes. With no timeout and no traffic,
// Close would never return.
const readTimeout = 100 * time.Millisecond

// InterfaceError is the reason why an interface cannot be captured on, and a hint for the user.
type InterfaceError struct {
	Interface string
	Reason    string
	Hint      string // further lines; may be empty
	Err       error
}

// Error implements error: the reason, and the hint on further lines.
func (e *InterfaceError) Error() string {
	s := fmt.Sprintf("cannot capture on %s: %s", e.Interface, e.Reason)
	if e.Hint != "" {
		s += "\n" + e.Hint
	}
	return s
}

// Unwrap returns Err.
func (e *InterfaceError) Unwrap() error { return e.Err }

// ErrNoInterface is wrapped by the error for a name that no interface has.
var ErrNoInterface = errors.New("no such interface")

// LiveBatch is the most frames in a batch of Live.
const LiveBatch = 512

// Live captures on one interface. When the interface goes away, Next returns one error and from
// then on tries to open it again, every second; Stats.Errors counts these errors. One goroutine
// uses it; Stats and Problem may be called from any.
type Live struct {
	cfg    LiveConfig
	handle *pcap.Handle
	link   frame.LinkType
	// Frames are copied here, because libpcap returns them one by one and reuses the memory with
	// the next. With the filter these are mail frames only.
	arena  []byte
	frames [LiveBatch]frame.Frame
	part   [1][]frame.Frame
	batch  Batch

	retry     time.Time  // when to open the interface again; handle is nil then
	last      pcap.Stats // libpcap's counters when they were read last
	countedAt time.Time  // when last was read
	linkCount uint64     // the interface's own counter, when it was read last

	// Written by the goroutine that calls Next, read by Stats from any: libpcap's own counters are
	// not safe to read from another goroutine.
	gone                          atomic.Bool
	index                         atomic.Int64 // of the interface, zero if it has none
	returned, bytes, received     atomic.Uint64
	drops, ifDrops, errs, arrived atomic.Uint64
}

// DefaultBuffer holds the frames of 200 ms at 0.8 million packets a second: the system may stop the
// sensor for that long.
const DefaultBuffer = 64 << 20

// ErrDown is wrapped by the error for an interface that is down.
var ErrDown = errors.New("the interface is down")

// OpenLive starts capturing. Errors are *InterfaceError. After ErrDown the Live may be used all the
// same: Next tries to open the interface every second.
func OpenLive(cfg LiveConfig) (*Live, error) {
	if cfg.Snaplen == 0 {
		cfg.Snaplen = maxCaplen
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = DefaultBuffer
	}
	l := &Live{cfg: cfg, arena: make([]byte, 256<<10+cfg.Snaplen)}
	l.findIndex()
	return l, l.open()
}

// open opens the interface.
func (l *Live) open() error {
	name := l.cfg.Interface
	in, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return l.openError(err, nil)
	}
	defer in.CleanUp()
	for _, set := range []func() error{
		func() error { return in.SetSnapLen(l.cfg.Snaplen) },
		func() error { return in.SetPromisc(!l.cfg.NoPromiscuous) },
		func() error { return in.SetTimeout(readTimeout) },
		func() error { return in.SetBufferSize(l.cfg.Buffer) },
	} {
		if err := set(); err != nil {
			return l.openError(err, in.Error())
		}
	}
	h, err := in.Activate()
	if err != nil {
		return l.openError(err, in.Error())
	}
	l.link = frame.LinkType(h.LinkType())
	if !l.cfg.NoFilter {
		if err := h.SetBPFFilter(Filter(l.link, l.cfg.Ports)); err != nil {
			defer h.Close()
			return l.openError(fmt.Errorf("the kernel's filter: %w", err), h.Error())
		}
	}
	l.findIndex()
	l.gone.Store(false)
	l.handle, l.last, l.linkCount = h, pcap.Stats{}, received(sysDir(name))
	return nil
}

// findIndex looks for the interface by its name; "any" is libpcap's name for all.
func (l *Live) findIndex() {
	l.index.Store(0)
	if is, err := net.InterfaceByName(l.cfg.Interface); err == nil {
		l.index.Store(int64(is.Index))
	}
}

// openError is the InterfaceError of a failed open. cause is libpcap's own text.
func (l *Live) openError(err, cause error) error {
	e := &InterfaceError{Interface: l.cfg.Interface, Reason: err.Error(), Err: err}
	if cause != nil && cause.Error() != "" {
		e.Reason += ": " + cause.Error()
	}
	text := strings.ToLower(e.Reason)
	switch _, missing := net.InterfaceByName(l.cfg.Interface); {
	case missing != nil && l.cfg.Interface != "any":
		e.Reason, e.Err = "there is no such interface", ErrNoInterface
		e.Hint = "  there are: " + strings.Join(InterfaceNames(), ", ") +
			"   (more with: spamsensor interfaces)"
	case strings.Contains(text, "permi") || strings.Contains(text, "not permitted"):
		exe, _ := os.Executable()
		e.Reason, e.Err = "permission denied", os.ErrPermission
		e.Hint = "  as a service:  AmbientCapabilities=CAP_NET_RAW     " +
			"once, by hand:  sudo setcap cap_net_raw+ep " + exe + "\n" +
			"  in a container: --network host --cap-drop ALL --cap-add NET_RAW (user 0)"
	case strings.Contains(text, "not up"):
		e.Reason, e.Err = ErrDown.Error(), ErrDown
		e.Hint = "  sudo ip link set " + l.cfg.Interface + " up promisc on"
	}
	return e
}

// InterfaceNames are the names of all interfaces.
func InterfaceNames() (names []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// Next returns frames, or an empty batch after 100 ms without a frame, or an *InterfaceError when
// the interface goes away.
func (l *Live) Next() (*Batch, error) {
	l.batch = Batch{End: true}
	n, err := l.fill()
	if n > 0 {
		l.part[0] = l.frames[:n]
		l.batch.Parts = l.part[:]
		l.batch.First, l.batch.Last = l.frames[0].Time, l.frames[n-1].Time
	}
	return &l.batch, err
}

// fill copies frames until the kernel has no more, or readTimeout has passed.
func (l *Live) fill() (n int, err error) {
	if l.handle == nil {
		if wait := time.Until(l.retry); wait > 0 {
			time.Sleep(min(wait, readTimeout))
			return 0, nil
		}
		if l.open() != nil {
			l.retry = time.Now().Add(time.Second)
			return 0, nil
		}
	}
	used := 0
	for n < len(l.frames) && used+l.cfg.Snaplen <= len(l.arena) {
		data, ci, err := l.handle.ZeroCopyReadPacketData()
		if err == pcap.NextErrorTimeoutExpired {
			break
		}
		if err != nil {
			if n == 0 {
				return 0, l.disconnect(err)
			}
			break // the next call meets the same error
		}
		to := l.arena[used : used+len(data) : used+len(data)]
		copy(to, data)
		used += len(data)
		at := frame.ReadTime(ci.Timestamp.UnixNano())
		l.frames[n] = frame.Frame{Data: to, Time: at, Len: ci.Length, Link: l.link,
			From: l.cfg.From}
		n++
		if at-l.frames[0].Time > int64(readTimeout) {
			break
		}
	}
	l.returned.Add(uint64(n))
	l.bytes.Add(uint64(used))
	if now := time.Now(); now.Sub(l.countedAt) >= time.Second {
		l.countedAt = now
		l.count()
	}
	return n, nil
}

// disconnect closes the handle after an error. libpcap would repeat the error for ever (247,319
// times in 1.4 s were seen), even when the interface is back under the same name.
func (l *Live) disconnect(err error) error {
	e := &InterfaceError{Interface: l.cfg.Interface, Reason: err.Error(), Err: err}
	if cause := l.handle.Error(); cause != nil && cause.Error() != "" {
		e.Reason += ": " + cause.Error()
	}
	l.count()
	l.handle.Close()
	l.handle = nil
	l.errs.Add(1)
	l.gone.Store(true)
	l.retry = time.Now().Add(time.Second)
	return e
}

// count adds libpcap's counters to ours. They are 32 bits wide and wrap within hours on a busy
// link, so differences are added.
func (l *Live) count() {
	st, err := l.handle.Stats()
	if err != nil {
		return
	}
	l.received.Add(uint64(uint32(st.PacketsReceived - l.last.PacketsReceived)))
	l.drops.Add(uint64(uint32(st.PacketsDropped - l.last.PacketsDropped)))
	l.ifDrops.Add(uint64(uint32(st.PacketsIfDropped - l.last.PacketsIfDropped)))
	l.last = *st
	n := received(sysDir(l.cfg.Interface))
	l.arrived.Add(n - min(n, l.linkCount)) // the counter of a new interface begins at zero
	l.linkCount = n
}

// drainTime bounds Drain: four times as long as a full buffer takes at a million packets a second.
const drainTime = 2 * time.Second

// Drain calls take for the frames that were in the kernel's buffer at the time of the call.
func (l *Live) Drain(take func(*Batch)) {
	if l.handle == nil {
		return
	}
	l.count()
	wanted := l.received.Load()
	end := time.Now().Add(drainTime)
	for time.Now().Before(end) && l.returned.Load()+l.drops.Load() < wanted {
		b, err := l.Next()
		if take(b); err != nil || len(b.Parts) == 0 {
			return
		}
	}
}

// Problem is a short text that explains why no frame can arrive: the interface is gone, or down, or
// has no carrier; "" if no reason is known. A renamed interface is the same interface. It may be
// called from any goroutine.
func (l *Live) Problem() string {
	index := int(l.index.Load())
	if l.gone.Load() {
		return "is gone"
	}
	if index == 0 {
		return ""
	}
	is, err := net.InterfaceByIndex(index)
	switch {
	case err != nil:
		return "is gone"
	case is.Flags&net.FlagUp == 0:
		return "is down"
	case is.Flags&net.FlagRunning == 0:
		return "has no carrier"
	}
	return ""
}

// Input is the name of the interface.
func (l *Live) Input(uint16) string { return l.cfg.Interface }

// Stats are the counters so far. It may be called from any goroutine.
func (l *Live) Stats() Stats {
	returned, drops, received := l.returned.Load(), l.drops.Load(), l.received.Load()
	return Stats{Frames: returned, Unread: received - min(received, returned+drops),
		Bytes: l.bytes.Load(), BytesRead: l.bytes.Load(), KernelDrops: drops,
		InterfaceDrops: l.ifDrops.Load(), Errors: l.errs.Load(), Arrived: l.arrived.Load()}
}

// Close ends the capture.
func (l *Live) Close() error {
	if l.handle != nil {
		l.count()
		l.handle.Close()
		l.handle = nil
	}
	return nil
}

// Filter is the kernel's filter for a link type, in the syntax of pcap-filter(7). It passes all
// frames that package wire may decode to mail or DNS, and some more where the syntax is too weak.
// The filter `tcp port 25` alone would drop fragments, every IPv6 extension header, frames with two
// tags and all tunnels.
//
// The kernel removes the outermost VLAN tag of a frame before the filter sees it, so that a tagged
// frame matches like any other; an ethertype of 802.1Q in the frame means that there is another
// tag.
func Filter(link frame.LinkType, ports []uint16) string {
	var tcp []string
	for _, p := range ports {
		tcp = append(tcp, "tcp port "+strconv.Itoa(int(p)))
	}
	or := []string{
		strings.Join(tcp, " or "),
		"port 53",
		// fragments of TCP: only one of them has the ports
		"(ip proto 6 and ip[6:2] & 0x3fff != 0)",
		// errors that quote a segment
		"(icmp and (icmp[0] = 3 or icmp[0] = 11 or icmp[0] = 12))",
		"(ip6 and ip6[6] = 58 and (ip6[40] = 1 or ip6[40] = 3 or ip6[40] = 4))",
		// a first SYN to any port: a scanner is no spammer
		"(ip proto 6 and ip[6:2] & 0x1fff = 0 and tcp[13] & 0x12 = 2)",
		"(ip6 and ip6[6] = 6 and ip6[53] & 0x12 = 2)",
		// IPv6 with anything but TCP, UDP and ICMPv6 directly behind the header
		"(ip6 and ip6[6] != 6 and ip6[6] != 17 and ip6[6] != 58)",
		// tunnels
		"ip proto 4", "ip proto 41", "ip proto 47", "ip proto 97", "ip proto 137",
		"udp dst port 4789", "udp dst port 8472", "udp dst port 4790", "udp dst port 6081",
		"udp dst port 37008",
	}
	// 802.3: a length in place of the ethertype, or a protocol number of the cooked header
	llc := map[frame.LinkType]string{frame.Ethernet: "ether[12:2] < 1536",
		frame.SLL: "link[14:2] = 1 or link[14:2] = 4"}[link]
	if llc != "" {
		for _, t := range []string{"0x8100", "0x88a8", "0x9100", "0x9200", "0x893f", "0x88e7",
			"0x8847", "0x8848", "0x8864"} {
			or = append(or, "ether proto "+t)
		}
		or = append(or, llc)
	}
	return strings.Join(or, " or ")
}

// Interface describes a network interface.
type Interface struct {
	Name      string
	Up        bool // administratively
	Carrier   bool // a cable with a device at its other end
	Promisc   bool
	Packets   uint64 // received since the machine started
	Dropped   uint64
	SpeedMbit int // 0 where unknown
	Addresses []string
}

// Interfaces lists the system's interfaces. The further ones of libpcap (bluetooth, usb, nflog,
// dbus) carry no mail and are not listed.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	var list []Interface
	for _, n := range all {
		dir := sysDir(n.Name)
		i := Interface{Name: n.Name, Up: n.Flags&net.FlagUp != 0,
			Carrier: sysNumber(dir, "carrier") == 1, Packets: received(dir),
			Dropped:   uint64(sysNumber(dir, "statistics/rx_dropped")),
			Promisc:   sysNumber(dir, "flags")&0x100 != 0,
			SpeedMbit: max(0, int(sysNumber(dir, "speed")))}
		addrs, _ := n.Addrs()
		for _, a := range addrs {
			i.Addresses = append(i.Addresses, a.String())
		}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Interface) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Sample captures all frames of an interface for the duration d, and returns their number and the
// VLAN ids of their outermost tags.
func Sample(name string, d time.Duration) (frames int, vlans []uint16, err error) {
	l, err := OpenLive(LiveConfig{Interface: name, Snaplen: 128, Buffer: 1 << 20, NoFilter: true})
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	seen := map[uint16]bool{}
	for end := time.Now().Add(d); time.Now().Before(end); {
		n, err := l.fill()
		if err != nil {
			return frames, nil, err
		}
		frames += n
		for _, f := range l.frames[:n] {
			if l.link != frame.Ethernet || len(f.Data) < 16 {
				continue
			}
			if t := binary.BigEndian.Uint16(f.Data[12:]); t == 0x8100 || t == 0x88a8 {
				seen[binary.BigEndian.Uint16(f.Data[14:])&0xfff] = true
			}
		}
	}
	for id := range seen {
		vlans = append(vlans, id)
	}
	slices.Sort(vlans)
	return frames, vlans, nil
}

// sysDir is the directory with the system's data of an interface.
func sysDir(name string) string { return filepath.Join("/sys/class/net", name) }

// received is the number of frames that an interface has received since it was made, zero if
// unknown.
func received(dir string) uint64 { return uint64(sysNumber(dir, "statistics/rx_packets")) }

func sysNumber(dir, name string) int64 {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	v, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 0, 64)
	return v
}

// LibpcapVersion is the version of the linked libpcap.
func LibpcapVersion() string { return pcap.Version() }
