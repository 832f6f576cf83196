package engine

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// machines follows what was found of a machine when its address changes: another DHCP lease, or a
// temporary address of IPv6 (RFC 8981), of which it takes a new one every day. Its link-layer address tells that it is
// the same, if the frames are its own: those that a router passed on have the router's address, and a hop
// limit that is less than any system begins with; see detect.Profile.Near.
//
// Each address is judged and has its finding, because that is what can be looked up and blocked; the findings of one
// machine name the others, and are one incident.
type machines struct {
	known     map[machine]*incident
	forgotten atomic.Uint64
}

type machine struct {
	mac   [6]byte
	class verdict.Class
}

type incident struct {
	id    string // of the first finding
	first int64
	last  int64
	addrs []netip.Addr // the latest ones
}

// maxMachines and maxAddresses bound what is remembered.
const maxMachines, maxAddresses = 1024, 8

// follow tells a finding what was found of the same machine before.
func (m *machines) follow(f *finding.Finding) {
	if !f.Near || f.Source.MAC == [6]byte{} || f.Class == verdict.DirectSMTP {
		return
	}
	if m.known == nil {
		m.known = map[machine]*incident{}
	}
	k := machine{f.Source.MAC, f.Class}
	i := m.known[k]
	if i == nil {
		m.makeRoom()
		i = &incident{id: f.ID, first: f.Source.Facts.First}
		m.known[k] = i
	}
	i.last = max(i.last, f.Time)
	if !slices.Contains(i.addrs, f.Source.Addr) {
		if len(i.addrs) == maxAddresses {
			i.addrs = i.addrs[1:]
		}
		i.addrs = append(slices.Clip(i.addrs), f.Source.Addr) // findings keep what they were given
	}
	if i.id == f.ID && len(i.addrs) == 1 && len(f.Also) == 0 {
		return
	}
	f.Incident, f.Since = i.id, i.first
	if len(f.Also) > 0 { // its machine is known to have several addresses, which need not all have been found
		return
	}
	for _, a := range i.addrs {
		if a != f.Source.Addr {
			f.Also = append(f.Also, a)
		}
	}
}

// makeRoom forgets the machine of which nothing was found for the longest time.
func (m *machines) makeRoom() {
	if len(m.known) < maxMachines {
		return
	}
	var oldest machine
	at := int64(0)
	for k, i := range m.known {
		if at == 0 || i.last < at || i.last == at && string(k.mac[:]) < string(oldest.mac[:]) {
			oldest, at = k, i.last
		}
	}
	delete(m.known, oldest)
	m.forgotten.Add(1)
}
