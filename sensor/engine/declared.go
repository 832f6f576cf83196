package engine

import (
	"net/netip"
	"strings"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Role is a host of ours that is known for something.
type Role struct {
	Addr netip.Addr
	// Kind is mailserver (mails to anybody), bulk (the same, to many networks that it never
	// mailed to before), nat (several machines behind one address), scanner or probe (looks at mail servers, delivers
	// nothing).
	Kind string
}

// RoleKinds are the kinds of roles.
var RoleKinds = []string{"mailserver", "bulk", "nat", "scanner", "probe"}

// Ignore is a host, or a network, whose findings are not given out.
type Ignore struct {
	Net netip.Prefix
	Why string
	// Until is when it ends, nanoseconds since 1970; zero is never.
	Until int64
}

// declarations are what the configuration allows, and how often each entry was of use: one
// that never was is a mistake in the configuration, or a machine that is gone.
type declarations struct {
	roles  map[flowtable.Addr]*declaration
	hosts  []*declaration // the same, as they were declared
	ignore []declaration
	relays []declaration
}

type declaration struct {
	kind   string
	net    netip.Prefix
	why    string
	until  int64
	hits   atomic.Uint64
	server bool // its kind is a mail server's
}

func (l *declarations) set(cfg *Config) {
	l.roles = map[flowtable.Addr]*declaration{}
	for _, a := range cfg.MailServers {
		cfg.Roles = append(cfg.Roles, Role{a, "mailserver"})
	}
	for _, r := range cfg.Roles {
		a := &declaration{kind: r.Kind, net: netip.PrefixFrom(r.Addr, r.Addr.BitLen()), server: r.Kind == "mailserver" || r.Kind == "bulk"}
		l.roles[r.Addr.As16()] = a
		l.hosts = append(l.hosts, a)
	}
	l.ignore = make([]declaration, len(cfg.Ignore))
	for i, x := range cfg.Ignore {
		a := &l.ignore[i]
		a.kind, a.net, a.why, a.until = "ignore", x.Net, x.Why, x.Until
	}
	l.relays = make([]declaration, len(cfg.AllowedRelays))
	for i, p := range cfg.AllowedRelays {
		l.relays[i].kind, l.relays[i].net = "allowed_relays", p
	}
}

// isDeclared reports whether a host is declared for something that is not judged as a bot:
// all but bulk senders and NAT gateways.
func (e *Engine) isDeclared(a flowtable.Addr) bool {
	r := e.declared.roles[a]
	if r == nil {
		return false
	}
	r.hits.Add(1)
	return r.kind != "bulk" && r.kind != "nat"
}

// isRelay reports whether a server is one that hosts are meant to send to.
func (e *Engine) isRelay(a flowtable.Addr, v6 bool) bool {
	if r := e.declared.roles[a]; r != nil && r.server {
		if r.hits.Load() == 0 { // a server that only takes mail is of use, too
			r.hits.Add(1)
		}
		return true
	}
	if !e.relays.has(a, v6) {
		return false
	}
	for i := range e.declared.relays {
		if r := &e.declared.relays[i]; r.net.Contains(addr(a, v6)) && r.hits.Load() == 0 {
			r.hits.Add(1) // one is enough: this is the packets' path
		}
	}
	return true
}

// isIgnored reports whether nobody wants to hear of a host.
func (e *Engine) isIgnored(k flowtable.HostKey, now int64) bool {
	for i := range e.declared.ignore {
		if x := &e.declared.ignore[i]; x.net.Contains(addr(k.Addr, k.Scope.V6())) && (x.until == 0 || now < x.until) {
			x.hits.Add(1)
			return true
		}
	}
	return false
}

// Unused names the entries of the configuration that were never of use.
func (e *Engine) Unused() (list []string) {
	add := func(what string, a *declaration) {
		if a.hits.Load() == 0 {
			list = append(list, what+" "+strings.TrimSuffix(strings.TrimSuffix(a.net.String(), "/32"), "/128"))
		}
	}
	known := *e.servers.known.Load()
	for _, a := range e.declared.hosts {
		if s := known[flowtable.Addr(a.net.Addr().As16())]; s == nil || s.First == 0 { // a server may only be mailed to
			add("smtp_servers", a)
		}
	}
	for i := range e.declared.relays {
		add("allowed_relays", &e.declared.relays[i])
	}
	for i := range e.declared.ignore {
		add("ignore", &e.declared.ignore[i])
	}
	return list
}

// applyRole sets up what a host's declared role changes.
func (s *shard) applyRole(hst *host, k *flowtable.HostKey) {
	if r := s.e.declared.roles[k.Addr]; r != nil && r.kind == "bulk" {
		hst.Ignore(detect.Volume)
	}
	if l := s.dnsLookups.of(*k); l != nil {
		hst.LookedUp(&s.e.cfg.Detect, l, l.LastUsed)
	}
}

// role is what a source is: as declared, or as it behaves.
func (s *shard) role(src *source, hst *host, k *flowtable.HostKey) string {
	if r := s.e.declared.roles[k.Addr]; r != nil {
		return r.kind
	}
	switch {
	case src.flags&home == 0:
		return "external"
	case hst != nil:
		return hst.Role()
	}
	return "workstation"
}
