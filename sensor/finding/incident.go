package finding

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"spamsensor/sensor/verdict"
)

// Incidents connects the findings of a machine when its address changes: another DHCP lease, or a
// temporary address of IPv6 (RFC 8981), of which a machine takes a new one every day. The
// link-layer address says that the machine is the same, if the frames are its own: frames that a
// router forwarded have the router's address, and a hop limit that is less than any system begins
// with; see detect.Profile.OnLink.
//
// Each address is judged and has its finding, because an address is what can be looked up and
// blocked; the findings of one machine name its other addresses, and are one incident. The zero
// value is empty.
type Incidents struct {
	of      map[incidentKey]*incident
	Evicted atomic.Uint64
}

type incidentKey struct {
	mac   [6]byte
	class verdict.Class
}

type incident struct {
	id    string // of the first finding
	first int64
	last  int64
	addrs []netip.Addr // the latest ones
}

// maxIncidents bounds the incidents that are remembered.
const maxIncidents = 1024

// MaxAddresses bounds the addresses of a machine that a finding names.
const MaxAddresses = 8

// Follow adds to a finding what was found of the same machine before.
func (m *Incidents) Follow(f *Finding) {
	if !f.OnLink || f.Source.MAC == [6]byte{} || f.Class == verdict.DirectSMTP {
		return
	}
	if m.of == nil {
		m.of = map[incidentKey]*incident{}
	}
	k := incidentKey{f.Source.MAC, f.Class}
	i := m.of[k]
	if i == nil {
		m.makeRoom()
		i = &incident{id: f.ID, first: f.Source.Counters.First}
		m.of[k] = i
	}
	i.last = max(i.last, f.Time)
	if !slices.Contains(i.addrs, f.Source.Addr) {
		if len(i.addrs) == MaxAddresses {
			i.addrs = i.addrs[1:]
		}
		i.addrs = append(slices.Clip(i.addrs), f.Source.Addr) // findings keep what they were given
	}
	if i.id == f.ID && len(i.addrs) == 1 && len(f.Also) == 0 {
		return
	}
	f.Incident, f.Since = i.id, i.first
	if len(f.Also) > 0 {
		// its machine is known to have several addresses, which need not all have been found
		return
	}
	for _, a := range i.addrs {
		if a != f.Source.Addr {
			f.Also = append(f.Also, a)
		}
	}
}

// makeRoom evicts the incident of which nothing was found for the longest time.
func (m *Incidents) makeRoom() {
	if len(m.of) < maxIncidents {
		return
	}
	var oldest incidentKey
	at := int64(0)
	for k, i := range m.of {
		if at == 0 || i.last < at || i.last == at && string(k.mac[:]) < string(oldest.mac[:]) {
			oldest, at = k, i.last
		}
	}
	delete(m.of, oldest)
	m.Evicted.Add(1)
}
