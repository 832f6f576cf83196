package doctor

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/safchain/ethtool"
)

// Link is the state of an interface. The zero value is that of one that does not exist.
type Link struct {
	Name        string
	Exists      bool
	Up          bool   // administratively
	Carrier     bool   // a cable with a device at its other end
	Promiscuous bool   // or the system does not say
	SpeedMbit   int    // zero where unknown
	Duplex      string // full, half, or empty where unknown
	Driver      string // empty where unknown
	MTU         int
	MAC         [6]byte
	Addrs       []netip.Addr
	// RingRX is the number of receive buffers of the card, RingMax the most it can have; zero
	// where unknown.
	RingRX, RingMax int
	// GRO and LRO join received segments to longer frames, in the kernel and in the card.
	GRO, LRO bool
	// Counters of the card: frames that were damaged, that were too long.
	Damaged, TooLong uint64
}

// InterfaceLink reads the state of an interface from the system. What the system does not know
// stays zero.
func InterfaceLink(name string) Link {
	l := Link{Name: name}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return l
	}
	l.Exists, l.MTU = true, i.MTU
	l.Up = i.Flags&net.FlagUp != 0
	copy(l.MAC[:], i.HardwareAddr)
	addrs, _ := i.Addrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			l.Addrs = append(l.Addrs, p.Addr().Unmap())
		}
	}
	const promiscuous = 0x100 // IFF_PROMISC; netlink has the flag of the administrator alone
	l.Promiscuous = l.text("flags") == "" || l.number("flags")&promiscuous != 0
	l.Carrier = i.Flags&net.FlagRunning != 0
	l.SpeedMbit = max(0, int(l.number("speed")))
	if d := l.text("duplex"); d == "full" || d == "half" {
		l.Duplex = d
	}
	l.Damaged = l.counter("rx_crc_errors") + l.counter("rx_frame_errors")
	l.TooLong = l.counter("rx_length_errors") + l.counter("rx_over_errors")
	l.card()
	return l
}

// card asks the driver, by the ioctls of ethtool(8).
func (l *Link) card() {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return
	}
	defer e.Close()
	l.Driver, _ = e.DriverName(l.Name)
	if r, err := e.GetRing(l.Name); err == nil {
		l.RingRX, l.RingMax = int(r.RxPending), int(r.RxMaxPending)
	}
	if f, err := e.Features(l.Name); err == nil {
		l.GRO, l.LRO = f["rx-gro"], f["rx-lro"]
	}
}

func (l *Link) text(name string) string {
	b, err := os.ReadFile(filepath.Join("/sys/class/net", l.Name, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (l *Link) number(name string) int64 {
	n, _ := strconv.ParseInt(l.text(name), 0, 64)
	return n
}

func (l *Link) counter(name string) uint64 { return uint64(l.number("statistics/" + name)) }

// virtual reports whether a hypervisor decides which frames the interface gets.
func (l *Link) virtual() bool {
	switch l.Driver {
	case "virtio_net", "vmxnet3", "hv_netvsc", "vif", "xen_netfront", "ena", "macvlan", "ipvlan":
		return true
	}
	return false
}
