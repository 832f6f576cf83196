package engine

import (
	"encoding/binary"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
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

// hashMAC returns a hash of a link-layer address under the table's secret, zero for no address. 16
// bits are enough to compare the frames of one connection.
func (e *Engine) hashMAC(mac *[6]byte) uint16 {
	v := uint64(binary.LittleEndian.Uint32(mac[:])) |
		uint64(binary.LittleEndian.Uint16(mac[4:]))<<32
	if v == 0 {
		return 0
	}
	v = (v ^ e.table.Secret[1]) * 0x9e3779b97f4a7c15
	return uint16(v>>48) | 1
}

// observation returns an observation about the server of k.
func (e *Engine) observation(kind detect.Kind, k *flowtable.Key, now int64) detect.Observation {
	return detect.Observation{Kind: kind, Time: now, Port: k.ServerPort,
		Addr: e.destination(&k.Server), Net: e.net(k.Server, k.Scope.V6())}
}
