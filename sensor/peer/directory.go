package peer

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Config is what the configuration says about addresses; see the fields of the same names
// of the engine's Config.
type Config struct {
	// Home are the networks whose hosts are judged.
	Home []netip.Prefix
	// MailServers are hosts that may send mail to anybody, Roles hosts with another function.
	MailServers []netip.Addr
	Roles       []Role
	// AllowedRelays are destinations that hosts may use for port 25.
	AllowedRelays []netip.Prefix
	// NAT64 are prefixes under which IPv6 hosts reach IPv4 servers, beside the well-known ones; see
	// Translated.
	NAT64 []netip.Prefix
	// Ignore are hosts whose findings are suppressed.
	Ignore []Ignore
}

// Directory says what an address is to the site. It is made once, and several goroutines read it.
// Of its state only the numbers of uses change, and the prefixes of NAT64 that are learned.
type Directory struct {
	Home     prefixSet // the networks whose hosts are judged
	Relays   prefixSet // destinations that hosts may use for port 25
	declared declarations
	nat64    nat64
	secret   *flowtable.Secret // of the hashes
}

// NewDirectory makes a directory. Its hashes are keyed with secret.
func NewDirectory(cfg *Config, secret *flowtable.Secret) *Directory {
	d := &Directory{secret: secret}
	d.Home.set(cfg.Home)
	d.Relays.set(cfg.AllowedRelays)
	d.declared.set(cfg)
	d.nat64.add(cfg.NAT64, len(cfg.NAT64))
	return d
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
