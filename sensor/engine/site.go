package engine

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/smtpsniff/refusal"
)

// citation is what a refusal said about our public address and about blocklists.
type citation struct {
	refusal.Citation
	server flowtable.Addr
	text   string
}

// site is what was learned about all of our networks together: under which public address
// they appear, and on which blocklists.
type site struct {
	addrs []publicAddr
	lists []finding.ListSeen
	told  int // what was given out last: addresses and lists
}

type publicAddr struct {
	addr    netip.Addr
	servers map[flowtable.Addr]bool
}

// Bounds of what is remembered of the site.
const (
	maxAddrs   = 32
	maxServers = 64
	maxSite    = 16
)

// learn takes in a citation and gives out what is new.
func (e *Engine) learn(c *citation, now int64) {
	s := &e.site
	for _, a := range c.Addrs {
		i := 0
		for i < len(s.addrs) && s.addrs[i].addr != a { // maxAddrs at most
			i++
		}
		if i == len(s.addrs) {
			if i == maxAddrs {
				continue
			}
			s.addrs = append(s.addrs, publicAddr{a, map[flowtable.Addr]bool{}})
		}
		if p := s.addrs[i].servers; len(p) < maxServers {
			p[c.server] = true
		}
	}
	if c.List != "" {
		i := 0
		for i < len(s.lists) && s.lists[i].Name != c.List { // maxSite at most
			i++
		}
		if i == len(s.lists) && i < maxSite {
			s.lists = append(s.lists, finding.ListSeen{Name: c.List, First: now, Sample: c.text})
		}
		if i < len(s.lists) {
			s.lists[i].Last = now
			s.lists[i].Count++
		}
	}
	if known := s.known(); known != s.told {
		s.told = known
		addr, servers := s.public()
		e.tellSite(addr, servers, now)
	}
}

// known changes when there is something to give out.
func (s *site) known() int {
	known := len(s.lists)
	if _, servers := s.public(); servers > 0 {
		known += 1000
	}
	return known
}

// public is the address that most servers quoted, at least two.
func (s *site) public() (addr netip.Addr, servers int) {
	for i := range s.addrs {
		if n := len(s.addrs[i].servers); n >= 2 && n > servers {
			addr, servers = s.addrs[i].addr, n
		}
	}
	return addr, servers
}

func (e *Engine) tellSite(addr netip.Addr, servers int, now int64) {
	if e.out.Site != nil {
		e.out.Site(&finding.Site{Time: now, PublicIP: addr, Servers: servers, Lists: e.site.lists})
	}
}
