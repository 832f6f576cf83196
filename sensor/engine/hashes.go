package engine

import (
	"spamsensor/flowtable"
)

// destination returns the hash by which the detectors know a server. Hashes are keyed with the
// table's secret, so that nobody can choose addresses that collide.
func (e *Engine) destination(a *flowtable.Addr) uint32 {
	return uint32(e.table.Secret.HashBytes(a[:]))
}

// net returns the hash of an address's network: /24 for IPv4, /48 for IPv6. Two servers in one
// network are often one provider.
func (e *Engine) net(a flowtable.Addr, v6 bool) uint32 {
	if v6 {
		clear(a[6:])
	} else {
		a[15] = 0
	}
	return uint32(e.table.Secret.HashBytes(a[:]))
}
