package peer

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Role is a host with a declared function.
type Role struct {
	Addr netip.Addr
	// Kind is one of RoleKinds.
	Kind string
}

// RoleKinds are the kinds of roles; package detect has their table.
var RoleKinds = detect.RoleNames()

// Ignore is a host or a network whose findings are for information only.
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
	kind  string
	role  detect.Role
	net   netip.Prefix
	why   string
	until int64         // ns since 1970, zero for never
	hits  atomic.Uint64 // how often it was used
	late  atomic.Bool   // it was over when it would have been used
}

// set takes over the entries of the configuration.
func (l *declarations) set(cfg *Config) {
	l.roles = map[flowtable.Addr]*declaration{}
	for _, a := range cfg.MailServers {
		// MailServers are a short form of the role mailserver.
		cfg.Roles = append(cfg.Roles, Role{a, "mailserver"})
	}
	for _, r := range cfg.Roles {
		a := &declaration{kind: r.Kind, role: detect.RoleOf(r.Kind),
			net: netip.PrefixFrom(r.Addr, r.Addr.BitLen())}
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

// IsDeclared reports whether a host has a role that allows it to contact mail servers: all roles
// but nat.
func (d *Directory) IsDeclared(a flowtable.Addr) bool {
	r := d.declared.roles[a]
	if r == nil {
		return false
	}
	r.hits.Add(1)
	return !r.role.Judged()
}

// IsRelay reports whether hosts may send to this server on port 25: a declared mail server or an
// allowed relay.
func (d *Directory) IsRelay(a flowtable.Addr, v6 bool) bool {
	a, v6 = d.Translated(a, v6)
	if r := d.declared.roles[a]; r != nil && r.role.Server() {
		if r.hits.Load() == 0 { // a server that only receives mail counts as used, too
			r.hits.Add(1)
		}
		return true
	}
	if !d.Relays.Has(a, v6) {
		return false
	}
	for i := range d.declared.relays {
		if r := &d.declared.relays[i]; r.net.Contains(NetIP(a, v6)) && r.hits.Load() == 0 {
			r.hits.Add(1) // once is enough: this code runs for each packet
		}
	}
	return true
}

// Ignored returns the exception of the configuration that a host falls under at a time (ns since
// 1970), nil if there is none.
func (d *Directory) Ignored(a netip.Addr, now int64) *Ignore {
	for i := range d.declared.ignore {
		x := &d.declared.ignore[i]
		if !x.net.Contains(a) {
			continue
		}
		if x.until != 0 && now >= x.until {
			x.late.Store(true)
			continue
		}
		x.hits.Add(1)
		return &Ignore{Net: x.net, Why: x.why, Until: x.until}
	}
	return nil
}

// Unused returns the entries of the configuration that had no use, and exceptions that were over
// when they would have been used. serves reports whether a mail
// server received mail: it is in use without being a source.
func (d *Directory) Unused(serves func(flowtable.Addr) bool) (list []string) {
	name := func(a *declaration) string {
		return strings.TrimSuffix(strings.TrimSuffix(a.net.String(), "/32"), "/128")
	}
	add := func(what string, a *declaration) {
		if a.hits.Load() == 0 {
			list = append(list, what+" "+name(a))
		}
	}
	for _, a := range d.declared.hosts {
		if !serves(a.net.Addr().As16()) {
			add("smtp_servers", a)
		}
	}
	for i := range d.declared.relays {
		add("allowed_relays", &d.declared.relays[i])
	}
	for i := range d.declared.ignore {
		x := &d.declared.ignore[i]
		add("ignore", x)
		if x.late.Load() {
			if x.hits.Load() > 0 {
				list = append(list, "ignore "+name(x))
			}
			list[len(list)-1] += fmt.Sprintf(" (over since the end of %s)",
				time.Unix(0, x.until-1).UTC().Format(time.DateOnly))
		}
	}
	return list
}
