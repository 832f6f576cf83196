package peer

import (
	"net/netip"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Config is what the configuration says about addresses; see the fields of the same names
// of the engine's Config.
type Config struct {
	// Home are the networks whose hosts are judged.
	Home []netip.Prefix
	// Stated are those of Home that an administrator named. Of a family that they name no further
	// network is learned from the link; see Directory.MayLearn.
	Stated []netip.Prefix
	// MailServers are hosts that may send mail to anybody, Roles hosts with another function.
	MailServers []netip.Addr
	Roles       []Role
	// AllowedRelays are destinations that hosts may use for port 25.
	AllowedRelays []netip.Prefix
	// NAT64 are prefixes under which IPv6 hosts reach IPv4 servers, beside the well-known ones; see
	// Translated.
	NAT64 []netip.Prefix
	// Ignore are hosts whose findings are for information only.
	Ignore []Ignore
}

// Directory says what an address is to the site. Several goroutines read it. Of its state only
// the numbers of uses change, the networks and the prefixes of NAT64 that are learned, and all of
// it in Replace.
type Directory struct {
	Home     prefixSet // the networks whose hosts are judged
	Relays   prefixSet // destinations that hosts may use for port 25
	declared declarations
	nat64    nat64
	secret   *flowtable.Secret // of the hashes
	version  atomic.Uint32     // grows when the directory learns; not zero
	stated   [2]bool           // the administrator named the home networks of IPv4, of IPv6
}

// NewDirectory makes a directory. Its hashes are keyed with secret.
func NewDirectory(cfg *Config, secret *flowtable.Secret) *Directory {
	d := &Directory{secret: secret}
	d.Home.set(cfg.Home)
	d.state(cfg.Stated)
	d.Relays.set(cfg.AllowedRelays)
	d.declared.set(cfg)
	d.nat64.add(cfg.NAT64, len(cfg.NAT64))
	d.version.Store(1)
	return d
}

// state notes the families of the home networks that an administrator named.
func (d *Directory) state(named []netip.Prefix) {
	d.stated = [2]bool{}
	for _, p := range named {
		d.stated[family(p.Addr().Is6())] = true
	}
}

// family is the index of an address family.
func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// MayLearn reports whether a network of this family may become a home network because its hosts
// share the link with home machines: the administrator has not named the networks of this family.
func (d *Directory) MayLearn(v6 bool) bool { return !d.stated[family(v6)] }

// LearnNetwork adds the network of an address to the home networks, its /24 or /64, and reports
// whether that is new. Calls may not run at the same time.
func (d *Directory) LearnNetwork(h flowtable.HostKey) bool {
	a := NetIP(h.Addr, h.Scope.V6())
	bits := 24
	if a.Is6() {
		bits = 64
	}
	if !d.Home.Learn(netip.PrefixFrom(a, bits)) {
		return false
	}
	d.version.Add(1)
	return true
}

// Role returns the declared role of a host, empty if it has none.
func (d *Directory) Role(a flowtable.Addr) string {
	if r := d.declared.roles[a]; r != nil {
		return r.kind
	}
	return ""
}

// DetectRole is Role for the detectors.
func (d *Directory) DetectRole(a flowtable.Addr) detect.Role {
	if r := d.declared.roles[a]; r != nil {
		return r.role
	}
	return detect.NoRole
}

// Servers returns the declared mail servers, in no order.
func (d *Directory) Servers() (list []netip.Addr) {
	for _, r := range d.declared.roles {
		if r.role.Server() {
			list = append(list, r.net.Addr())
		}
	}
	return list
}

// Direction returns whether a flow's client and server are internal, by the configured networks.
func (d *Directory) Direction(k *flowtable.Key) string {
	v6 := k.Scope.V6()
	switch from, to := d.Home.Has(k.Client, v6), d.Home.Has(k.Server, v6); {
	case from && to:
		return "internal"
	case from:
		return "outbound"
	case to:
		return "inbound"
	}
	return "transit"
}
