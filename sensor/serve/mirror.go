package serve

import (
	"maps"
	"slices"
	"strings"

	"spamsensor/sensor/status"
)

// Port is an interface of the sensor, as the page of the mirror port shows it.
type Port struct {
	*status.Interface
	// PerSecond is what arrived in the last second or so; empty if it is not known.
	PerSecond, Bits string
}

// Ports are the interfaces.
func (s *Sheet) Ports() (list []Port) {
	if s.now.status == nil {
		return nil
	}
	for i := range s.now.status.Interfaces {
		p := Port{Interface: &s.now.status.Interfaces[i]}
		s.addRate(&p)
		list = append(list, p)
	}
	return list
}

// addRate compares an interface with the snapshot before.
func (s *Sheet) addRate(p *Port) {
	if s.before == nil {
		return
	}
	seconds := s.now.status.Now.Sub(s.before.status.Now).Seconds()
	for i := range s.before.status.Interfaces {
		b := &s.before.status.Interfaces[i]
		if b.Name != p.Name || b.Frames > p.Frames || b.Bytes > p.Bytes || seconds <= 0 {
			continue
		}
		p.PerSecond = s.Printer.Number(uint64(float64(p.Frames-b.Frames)/seconds + 0.5))
		p.Bits = s.rate(8 * float64(p.Bytes-b.Bytes) / seconds)
	}
}

// rate writes bits in a second.
func (s *Sheet) rate(bits float64) string {
	switch {
	case bits >= 1e9:
		return s.Printer.Sprintf("%.1f Gbit/s", bits/1e9)
	case bits >= 1e6:
		return s.Printer.Sprintf("%.1f Mbit/s", bits/1e6)
	}
	return s.Printer.Sprintf("%.0f kbit/s", bits/1e3)
}

// Row is a name with what it counts.
type Row struct {
	Name  string
	N     uint64
	Share string // of all; empty where it has no meaning
}

// share writes a part of a whole.
func (s *Sheet) share(n, all uint64) string {
	if all == 0 {
		return ""
	}
	return s.Printer.Sprintf("%.1f %%", 100*float64(n)/float64(all))
}

// Sides are the sessions by the sides that were seen.
func (s *Sheet) Sides() []Row {
	x := s.now.status
	if x == nil {
		return nil
	}
	all := x.SeenBoth + x.SeenClient + x.SeenServer
	p := s.Printer
	return []Row{{p.Text("Both sides"), x.SeenBoth, s.share(x.SeenBoth, all)},
		{p.Text("The client's side only"), x.SeenClient, s.share(x.SeenClient, all)},
		{p.Text("The server's side only"), x.SeenServer, s.share(x.SeenServer, all)}}
}

// Frames are the frames by what became of them, the most first. The names are those of the
// metric decode_frames_total.
func (s *Sheet) Frames() (list []Row) {
	x := s.now.status
	if x == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(x.Decode)) {
		if n := x.Decode[name]; n > 0 {
			list = append(list, Row{strings.ReplaceAll(name, "_", " "), n, s.share(n, x.Frames)})
		}
	}
	slices.SortStableFunc(list, func(a, b Row) int {
		if a.N == b.N {
			return 0
		}
		return map[bool]int{true: -1, false: 1}[a.N > b.N]
	})
	return list
}

// Tables are the tables of the sensor.
func (s *Sheet) Tables() []struct {
	Name string
	status.Table
} {
	x := s.now.status
	if x == nil {
		return nil
	}
	p := s.Printer
	return []struct {
		Name string
		status.Table
	}{{p.Text("Connections"), x.Flows}, {p.Text("Hosts that are judged"), x.Hosts},
		{p.Text("Hosts"), x.Sources}}
}

// State is the state of the sensor; nil while it does not answer.
func (s *Sheet) State() *status.Status { return s.now.status }

// Dropped are frames that got lost before the sensor read them.
func (p Port) Dropped() uint64 { return p.KernelDrops + p.InterfaceDrops }

// MiB writes a size.
func (s *Sheet) MiB(n uint64) string { return s.Printer.Sprintf("%d MiB", int(n>>20)) }

// LostShare is the share of the bytes of mail connections that were not captured.
func (s *Sheet) LostShare() string { return s.Printer.Sprintf("%.2f %%", 100*s.now.status.Loss) }

// LastPacket is the time of the latest packet.
func (s *Sheet) LastPacket() string {
	if s.now.status.LastPacket.IsZero() {
		return s.Printer.Text("none yet")
	}
	return s.stamp(s.now.status.LastPacket)
}

// Loaded is when the configuration in force was loaded.
func (s *Sheet) Loaded() string { return s.stamp(s.Settings().Config.Loaded) }
