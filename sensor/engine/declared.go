package engine

import (
	"net/netip"
	"strings"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Role is a host with a declared function.
type Role struct {
	Addr netip.Addr
	// Kind is one of RoleKinds. A mailserver sends to anybody; bulk is a mail server that also
	// sends to many new networks; nat is several machines behind one address; scanner and probe
	// connect to mail servers and deliver nothing.
	Kind string
}

// RoleKinds are the kinds of roles.
var RoleKinds = []string{"mailserver", "bulk", "nat", "scanner", "probe"}

// Ignore is a host or a network whose findings are not emitted.
type Ignore struct {
	// Net is the network, Why a note for the administrator.
	Net netip.Prefix
	Why string
	// Until is the end of the exception, in ns since 1970; zero means never.
	Until int64
}

// declarations are the hosts and networks that the configuration names, each with the number of its
// uses: an entry without a use is a mistake in the configuration, or its machine is gone.
type declarations struct {
	roles  map[flowtable.Addr]*declaration // by address
	hosts  []*declaration                  // the same, in the order of the configuration
	ignore []declaration
	relays []declaration
}

// declaration is one entry of the configuration.
type declaration struct {
	kind   string
	net    netip.Prefix
	why    string
	until  int64         // ns since 1970, zero for never
	hits   atomic.Uint64 // how often it was used
	server bool          // its kind is mailserver or bulk
}

// set takes over the entries of the configuration.
func (l *declarations) set(cfg *Config) {
	l.roles = map[flowtable.Addr]*declaration{}
	for _, a := range cfg.MailServers {
		// MailServers are a short form of the role mailserver.
		cfg.Roles = append(cfg.Roles, Role{a, "mailserver"})
	}
	for _, r := range cfg.Roles {
		a := &declaration{kind: r.Kind, net: netip.PrefixFrom(r.Addr, r.Addr.BitLen()),
			server: r.Kind == "mailserver" || r.Kind == "bulk"}
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

// isDeclared reports whether a host has a role that exempts it from the bot detectors: all roles
// but bulk and nat. The detector for volume alone is switched off for bulk; see applyRole.
func (e *Engine) isDeclared(a flowtable.Addr) bool {
	r := e.declared.roles[a]
	if r == nil {
		return false
	}
	r.hits.Add(1)
	return r.kind != "bulk" && r.kind != "nat"
}

// isRelay reports whether hosts may send to this server on port 25: a declared mail server or an
// allowed relay.
func (e *Engine) isRelay(a flowtable.Addr, v6 bool) bool {
	if r := e.declared.roles[a]; r != nil && r.server {
		if r.hits.Load() == 0 { // a server that only receives mail counts as used, too
			r.hits.Add(1)
		}
		return true
	}
	if !e.relays.has(a, v6) {
		return false
	}
	for i := range e.declared.relays {
		if r := &e.declared.relays[i]; r.net.Contains(addr(a, v6)) && r.hits.Load() == 0 {
			r.hits.Add(1) // once is enough: this code runs for each packet
		}
	}
	return true
}

// isIgnored reports whether the configuration suppresses the findings of a host.
func (e *Engine) isIgnored(k flowtable.HostKey, now int64) bool {
	for i := range e.declared.ignore {
		if x := &e.declared.ignore[i]; x.net.Contains(addr(k.Addr, k.Scope.V6())) &&
			(x.until == 0 || now < x.until) {
			x.hits.Add(1)
			return true
		}
	}
	return false
}

// Unused returns the entries of the configuration that had no use, for a hint to the administrator.
func (e *Engine) Unused() (list []string) {
	add := func(what string, a *declaration) {
		if a.hits.Load() == 0 {
			list = append(list, what+" "+strings.TrimSuffix(strings.TrimSuffix(a.net.String(),
				"/32"), "/128"))
		}
	}
	known := *e.servers.known.Load()
	for _, a := range e.declared.hosts {
		// a server may only receive mail
		// A server that only receives mail has no hits as a source.
		if s := known[flowtable.Addr(a.net.Addr().As16())]; s == nil || s.First == 0 {
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

// applyRole sets up a new profile for the host's declared role and its DNS lookups so far.
func (s *sourceObserver) applyRole(prof *profile, k *flowtable.HostKey) {
	if r := s.e.declared.roles[k.Addr]; r != nil && r.kind == "bulk" {
		prof.Ignore(detect.Volume)
	}
	if l := s.dnsLookups.of(*k); l != nil {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{
			Kind: detect.KindLookups, Time: l.LastUsed,
			Lookups: l})
	}
}

// role returns a source's role: the declared one, or the one that its behaviour shows. Declared
// roles come first, because an administrator knows more.
func (s *sourceObserver) role(src *source, prof *profile, k *flowtable.HostKey) string {
	if r := s.e.declared.roles[k.Addr]; r != nil {
		return r.kind
	}
	switch {
	case src.flags&home == 0:
		return "external"
	case prof != nil:
		return prof.Role()
	}
	return "workstation"
}
