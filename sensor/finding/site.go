package finding

import (
	"net/netip"
	"slices"

	"spamsensor/smtpsniff/refusal"
)

// SiteFacts are evidence about all internal networks together: the public address under which they
// appear, and the blocklists that name it. The zero value knows nothing.
type SiteFacts struct {
	addrs   []publicAddr
	lists   []ListSeen
	emitted int // known as of the latest event, zero if there was none
}

type publicAddr struct {
	addr    netip.Addr
	servers map[[16]byte]bool
}

// Bounds of what is remembered of the site.
const (
	maxAddrs = 32
	maxLists = 16
	// MaxQuoting is how many servers that quoted an address are kept apart.
	MaxQuoting = 64
)

// Learn takes in a citation of a server whose reply is text, and reports whether there is something
// new to emit.
func (s *SiteFacts) Learn(c *refusal.Citation, server [16]byte, text string,
	now int64) (news bool) {
	for _, a := range c.Addrs {
		i := 0
		for i < len(s.addrs) && s.addrs[i].addr != a { // maxAddrs at most
			i++
		}
		if i == len(s.addrs) {
			if i == maxAddrs {
				continue
			}
			s.addrs = append(s.addrs, publicAddr{a, map[[16]byte]bool{}})
		}
		if p := s.addrs[i].servers; len(p) < MaxQuoting {
			p[server] = true
		}
	}
	named := c.List != "" && s.learnList(c.List, text, now)
	known := s.known()
	news = known != s.emitted || named && known > 0
	s.emitted = known
	return news
}

// learnList counts a list, and reports whether one that is known got another name: a link may have
// named its operator alone, see refusal.IsSiteOf.
func (s *SiteFacts) learnList(name, text string, now int64) (named bool) {
	i := slices.IndexFunc(s.lists, func(l ListSeen) bool {
		return l.Name == name || refusal.IsSiteOf(name, l.Name)
	})
	if i < 0 {
		i = slices.IndexFunc(s.lists, func(l ListSeen) bool {
			return refusal.IsSiteOf(l.Name, name)
		})
		if i >= 0 {
			s.lists[i].Name, s.lists[i].Sample, named = name, text, true
		}
	}
	if i < 0 && len(s.lists) < maxLists {
		i = len(s.lists)
		s.lists = append(s.lists, ListSeen{Name: name, First: now, Sample: text})
	}
	if i >= 0 {
		s.lists[i].Last = now
		s.lists[i].Count++
	}
	return named
}

// known changes when an event has something new: it counts the lists, and 1000 for an address.
func (s *SiteFacts) known() int {
	known := len(s.lists)
	if _, servers := s.Public(); servers > 0 {
		known += 1000
	}
	return known
}

// Public is the address that most servers quoted, at least two.
func (s *SiteFacts) Public() (addr netip.Addr, servers int) {
	for i := range s.addrs {
		if n := len(s.addrs[i].servers); n >= 2 && n > servers {
			addr, servers = s.addrs[i].addr, n
		}
	}
	return addr, servers
}

// Emitted reports whether there was an event.
func (s *SiteFacts) Emitted() bool { return s.emitted > 0 }

// Event is what is known at a time.
func (s *SiteFacts) Event(now int64) *Site {
	addr, servers := s.Public()
	return &Site{Time: now, PublicIP: addr, Servers: servers, Lists: s.lists}
}

// SavedSite is what was learned about our networks as a whole, in a checkpoint.
type SavedSite struct {
	Addrs []SavedAddr `json:"Addrs,omitempty"`
	Lists []ListSeen  `json:"Lists,omitempty"`
}

// SavedAddr is an address under which servers saw us.
type SavedAddr struct {
	Addr    netip.Addr   `json:"Addr"`
	Servers []netip.Addr `json:"Servers"`
}

// Save copies what is known.
func (s *SiteFacts) Save() (d SavedSite) {
	for i := range s.addrs {
		p := SavedAddr{Addr: s.addrs[i].addr}
		for a := range s.addrs[i].servers {
			p.Servers = append(p.Servers, netip.AddrFrom16(a).Unmap())
		}
		slices.SortFunc(p.Servers, netip.Addr.Compare)
		d.Addrs = append(d.Addrs, p)
	}
	d.Lists = slices.Clone(s.lists)
	for i := range d.Lists {
		d.Lists[i].Sample = refusal.Anonymous(d.Lists[i].Sample)
	}
	return d
}

// Restore takes over what Save copied. There is no event before there is news.
func (s *SiteFacts) Restore(d *SavedSite) {
	for _, p := range d.Addrs[:min(len(d.Addrs), maxAddrs)] {
		servers := map[[16]byte]bool{}
		for _, a := range p.Servers[:min(len(p.Servers), MaxQuoting)] {
			servers[a.As16()] = true
		}
		s.addrs = append(s.addrs, publicAddr{p.Addr, servers})
	}
	s.lists = slices.Clone(d.Lists[:min(len(d.Lists), maxLists)])
	s.emitted = s.known()
}
