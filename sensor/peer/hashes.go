package peer

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/smtpsniff/mailname"
)

// HashName returns the hash of a domain, a HELO name or an address literal, which is the same for
// each spelling of it (package mailname).
func (d *Directory) HashName(name []byte) uint64 {
	var buf [256]byte
	return d.secret.HashBytes(mailname.AppendDomain(buf[:0], name))
}

// RegisteredDomain returns the registered domain of a name in any spelling.
func RegisteredDomain(name []byte) string {
	var buf [256]byte
	return dns.Registered(string(mailname.AppendDomain(buf[:0], name)))
}

// HashRegistered returns the hash of the registered domain of a name in any spelling.
func (d *Directory) HashRegistered(name []byte) uint64 {
	return d.secret.HashBytes([]byte(RegisteredDomain(name)))
}

// Destination returns the hash by which the detectors know a server. Hashes are keyed with the
// table's secret, so that nobody can choose addresses that collide.
func (d *Directory) Destination(a *flowtable.Addr) uint32 {
	to, _ := d.Translated(*a, !netip.AddrFrom16(*a).Is4In6())
	return uint32(d.secret.HashBytes(to[:]))
}

// Net returns the hash of an address's network: /24 for IPv4, /48 for IPv6. Two servers in one
// network are often one provider. All servers behind NAT64 are in one /48: their network is that of
// the IPv4 address.
func (d *Directory) Net(a flowtable.Addr, v6 bool) uint32 {
	a, v6 = d.Translated(a, v6)
	if v6 {
		clear(a[6:])
	} else {
		a[15] = 0
	}
	return uint32(d.secret.HashBytes(a[:]))
}

// DomainHash returns the hash of the registered domain of a mail server's name, zero for no name.
func (d *Directory) DomainHash(name string) uint32 {
	if name == "" {
		return 0
	}
	return uint32(d.secret.HashBytes([]byte(dns.Registered(name))))
}

// NetIP returns an address of the table as a netip.Addr. An IPv4 address is stored as the mapped
// IPv6 address; v6 distinguishes the two.
func NetIP(a flowtable.Addr, v6 bool) netip.Addr {
	n := netip.AddrFrom16(a)
	if !v6 {
		n = n.Unmap()
	}
	return n
}
