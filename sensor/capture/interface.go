package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"spamsensor/sensor/frame"
	"strconv"
	"strings"
	"time"
)

// InterfaceNames are the names of all interfaces.
func InterfaceNames() (names []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
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
			if f.Link != frame.Ethernet || len(f.Data) < 16 {
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
