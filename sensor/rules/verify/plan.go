package verify

import (
	"errors"
	"net/netip"
	"slices"

	"spamsensor/sensor/rules"
)

// plan is what is tried: the rules, with addresses for each host.
type plan struct {
	set         rules.Set
	standIns    []StandIn
	hosts       map[string][]netip.Addr // by name; of both families
	connections []*Connection
}

// documentation are addresses that nobody has: RFC 5737, RFC 3849, and RFC 2544 and RFC 9637 for
// rules that have all of the others.
var documentation = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20")}

// newPlan chooses the hosts and their connections.
func newPlan(s *rules.Set) (*plan, error) {
	p := &plan{set: *s, hosts: map[string][]netip.Addr{}}
	p.set.Servers, p.set.Local = slices.Clone(s.Servers), slices.Clone(s.Local)
	p.set.Quarantine = slices.Clone(s.Quarantine)
	for _, is := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		out, ok := p.free(is)
		if !ok {
			return nil, errors.New("all addresses are in your networks: the rules cut nothing")
		}
		p.hosts[outside] = append(p.hosts[outside], out)
		var at [3]netip.Addr
		for i, name := range []string{server, flagged, desktop} {
			if at[i], ok = p.host(name, is); !ok {
				return nil, errors.New("the rules name all addresses for documentation")
			}
			p.hosts[name] = append(p.hosts[name], at[i])
		}
		c := func(from string, client netip.Addr, to string, host netip.Addr, port uint16,
			chain string) {
			p.connections = append(p.connections, &Connection{From: from, Client: client, To: to,
				Server: host, Port: port, Passes: chain == "", Chain: chain})
		}
		c(server, at[0], outside, out, 25, "")
		c(flagged, at[1], outside, out, 25, "quarantine")
		c(flagged, at[1], outside, out, 587, "quarantine")
		c(desktop, at[2], outside, out, 25, "port25")
		c(desktop, at[2], outside, out, 587, "")
		c(desktop, at[2], server, at[0], 25, "")
		c(outside, out, server, at[0], 25, "")
		if r, ok := p.relay(is); ok {
			p.hosts[outside] = append(p.hosts[outside], r)
			c(desktop, at[2], relay, r, 25, "")
			c(flagged, at[1], relay, r, 25, "quarantine")
		}
	}
	return p, nil
}

// host is the address of a host: one of the rules, or a stand-in that is added to them.
func (p *plan) host(name string, is func(netip.Addr) bool) (netip.Addr, bool) {
	s := &p.set
	switch name {
	case server:
		for i := range s.Servers {
			if is(s.Servers[i].IP) {
				return s.Servers[i].IP, true
			}
		}
	case flagged:
		for i := range s.Quarantine {
			if is(s.Quarantine[i].IP) {
				return s.Quarantine[i].IP, true
			}
		}
	case desktop:
		for _, local := range s.Local {
			a := local.Addr().Next()
			for range 1000 {
				if is(a) && local.Contains(a) && !p.known(a) {
					return a, true
				}
				a = a.Next()
			}
		}
	}
	a, ok := p.free(is)
	if !ok {
		return a, false
	}
	p.standIns = append(p.standIns, StandIn{name, a})
	switch name {
	case server:
		s.Servers = append(s.Servers, rules.Server{IP: a, Declared: true})
		s.Local = append(s.Local, netip.PrefixFrom(a, a.BitLen()))
	case flagged:
		s.Quarantine = append(s.Quarantine, rules.Flagged{IP: a})
	case desktop:
		s.Local = append(s.Local, netip.PrefixFrom(a, a.BitLen()))
	}
	return a, true
}

// free is an address of a family for documentation that the rules do not name, and no host has.
func (p *plan) free(is func(netip.Addr) bool) (netip.Addr, bool) {
	for _, d := range documentation {
		a := d.Addr()
		for range 200 {
			a = a.Next()
			if is(a) && !p.known(a) && !within(a, p.set.Local) && !within(a, p.set.Relays) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// relay is the address of an allowed relay outside.
func (p *plan) relay(is func(netip.Addr) bool) (netip.Addr, bool) {
	for _, r := range p.set.Relays {
		a := r.Addr()
		if !r.IsSingleIP() {
			a = a.Next()
		}
		if is(a) && !within(a, p.set.Local) && !p.known(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// known reports whether the rules name an address, or a host has it.
func (p *plan) known(a netip.Addr) bool {
	for _, list := range p.hosts {
		if slices.Contains(list, a) {
			return true
		}
	}
	return slices.ContainsFunc(p.set.Servers, func(x rules.Server) bool { return x.IP == a }) ||
		slices.ContainsFunc(p.set.Quarantine, func(x rules.Flagged) bool { return x.IP == a })
}

func within(a netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}
