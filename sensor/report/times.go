package report

import (
	"net/netip"
	"slices"

	"spamsensor/sensor/timeline"
)

// Times replaces what hosts did over time: all calls its first argument with the attempts of each
// host, once for each VLAN or tunnel that it is in, and its second with those of the hosts beyond
// the bound. The series may change afterwards.
func (r *Report) Times(all func(func(netip.Addr, *timeline.Series), func(*timeline.Series))) {
	r.times = map[netip.Addr]*timeline.Series{}
	all(r.addSeries, func(s *timeline.Series) { r.addSeries(netip.Addr{}, s) })
}

func (r *Report) addSeries(host netip.Addr, s *timeline.Series) {
	if !r.shows(host) { // of no host: those beyond the bound
		return
	}
	sum := r.times[host]
	if sum == nil {
		r.times[host] = &timeline.Series{Minutes: slices.Clone(s.Minutes),
			Hours: slices.Clone(s.Hours)}
		return
	}
	for _, b := range s.Minutes {
		sum.Minutes = timeline.Merge(sum.Minutes, b)
	}
	for _, b := range s.Hours {
		sum.Hours = timeline.Merge(sum.Hours, b)
	}
}

// addTimes fills in the activity of a model, and the hours of the hosts with a finding.
func (r *Report) addTimes(m *Model) {
	flagged := map[netip.Addr]bool{}
	for i := range m.Findings {
		f := &m.Findings[i]
		f.Hours = hours(r.times[f.IP])
		flagged[f.IP] = flagged[f.IP] || f.Severity != "info"
	}
	for i := range m.Hosts {
		if m.Hosts[i].Finding != "" {
			m.Hosts[i].Hours = hours(r.times[m.Hosts[i].IP])
		}
	}
	servers := map[netip.Addr]bool{}
	for i := range m.Servers {
		servers[m.Servers[i].IP] = m.Servers[i].Declared
	}
	for i := range m.Hosts {
		if m.Hosts[i].Declared() {
			servers[m.Hosts[i].IP] = true
		}
	}
	ours := map[netip.Addr]bool{}
	for i := range m.Hosts {
		ours[m.Hosts[i].IP] = true
	}
	kind := func(s *Stack, host netip.Addr) *[]uint32 {
		switch {
		case !host.IsValid():
			return &s.Rest
		case flagged[host]:
			return &s.Flagged
		case servers[host]:
			return &s.Servers
		case m.Input.HomeSeen && !ours[host] && !within(m.Input.Home, host):
			return &s.Outside
		}
		return &s.Others
	}
	m.Activity.Minutes = r.stack(timeline.Minute, kind,
		func(s *timeline.Series) []timeline.Bin { return s.Minutes })
	m.Activity.Hours = r.stack(timeline.Hour, kind,
		func(s *timeline.Series) []timeline.Bin { return s.Hours })
	for i := range m.Hosts {
		if h := &m.Hosts[i]; h.Counts.Attempts == 1 && r.times[h.IP] == nil {
			for _, s := range []*Stack{&m.Activity.Minutes, &m.Activity.Hours} {
				s.placeSingle(h.First, *kind(s, h.IP))
			}
		}
	}
	for _, s := range []*Stack{&m.Activity.Minutes, &m.Activity.Hours} {
		if !slices.ContainsFunc(s.Rest, func(n uint32) bool { return n > 0 }) {
			s.Rest = nil
		}
	}
}

// placeSingle moves the only attempt of a host from Rest to the list of its kind. Such a host has
// no series, but its time is known.
func (s *Stack) placeSingle(at Time, list []uint32) {
	if at < s.Start || s.Width == 0 {
		return
	}
	i := int(int64(at-s.Start) / (int64(s.Width) * 1e9))
	if i < len(s.Rest) && i < len(list) && s.Rest[i] > 0 {
		s.Rest[i]--
		list[i]++
	}
}

// within reports whether an address is in one of some networks.
func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// stack adds the bins of all hosts up by kind.
func (r *Report) stack(width int64, kind func(*Stack, netip.Addr) *[]uint32,
	bins func(*timeline.Series) []timeline.Bin) (s Stack) {
	first, last, any := int64(0), int64(0), false
	for _, t := range r.times {
		if b := bins(t); len(b) > 0 {
			if !any || b[0].At < first {
				first = b[0].At
			}
			if !any || b[len(b)-1].At > last {
				last = b[len(b)-1].At
			}
			any = true
		}
	}
	s.Width = int(width / 1e9)
	if !any {
		return s
	}
	first = max(first, last-maxIntervals+1)
	s.Start = Time(first * width)
	n := last - first + 1
	s.Servers, s.Flagged, s.Others = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for host, t := range r.times {
		list := kind(&s, host)
		if *list == nil {
			*list = make([]uint32, n)
		}
		for _, b := range bins(t) {
			if b.At >= first {
				(*list)[b.At-first] += b.N
			}
		}
	}
	return s
}

// maxIntervals bounds the intervals of a Stack: a day of minutes.
const maxIntervals = 24 * 60

// hours are the bins of a series by hour.
func hours(s *timeline.Series) (list []Hour) {
	if s == nil {
		return nil
	}
	for _, b := range s.Hours {
		list = append(list, Hour{Time(b.At * timeline.Hour), b.N})
	}
	return list
}

// replies adds up what servers replied to the hosts of each kind. A host with a finding has its
// counts from the finding, which may be of a time before its entry was evicted.
func replies(m *Model) []Reply {
	list := []Reply{{Group: "servers"}, {Group: "flagged"}, {Group: "others"}}
	add := func(i int, c *Counts) {
		x := &list[i]
		x.Hosts++
		x.Accepted += uint64(c.Messages)
		x.Deferred += uint64(c.Deferred)
		x.Rejected += uint64(c.Rejected)
		x.Recipients += uint64(c.RecipientsRejected)
	}
	seen := map[netip.Addr]bool{}
	for i := range m.Findings {
		if f := &m.Findings[i]; f.Severity != "info" && !seen[f.IP] {
			seen[f.IP] = true
			add(1, &f.Counts)
		}
	}
	for i := range m.Hosts {
		switch h := &m.Hosts[i]; {
		case seen[h.IP]:
		case h.Declared():
			add(0, &h.Counts)
		default:
			add(2, &h.Counts)
		}
	}
	return list
}
