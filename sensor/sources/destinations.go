package sources

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/smtpsniff"
)

// destinations are the servers that a source tries most often, for people: who is looked at has a
// name. The counts are those of the algorithm Space-Saving (Metwally et al. 2005): a new server
// takes the place of the one with the fewest attempts, and its count may be too high by as many. A
// host that sends to a few servers has all of them here, one that sends to hundreds has none that
// stands out. The zero value is empty.
type destinations struct {
	list [6]destination
	all  uint32 // attempts
}

// destination is a server and a port of it.
type destination struct {
	addr  flowtable.Addr
	port  uint16
	count uint32 // attempts, too many by up to over
	over  uint32
	name  [maxName]byte // by TLS or by its greeting, of length n; without allocation
	n     uint8         // zero if the name is not known
}

// maxName bounds the name of a destination, in bytes. Longer ones are not kept.
const maxName = 64

// find is the destination of a flow, nil if it is not in the list.
func (d *destinations) find(k *flowtable.Key) *destination {
	for i := range d.list {
		if x := &d.list[i]; x.addr == k.Server && x.port == k.ServerPort && x.count > 0 {
			return x
		}
	}
	return nil
}

// tried counts an attempt.
func (d *destinations) tried(k *flowtable.Key) {
	d.all++
	least := &d.list[0]
	for i := range d.list {
		x := &d.list[i]
		if x.addr == k.Server && x.port == k.ServerPort && x.count > 0 {
			x.count++
			return
		}
		if x.count < least.count {
			least = x
		}
	}
	least.addr, least.port, least.n = k.Server, k.ServerPort, 0
	least.over = least.count
	least.count++
}

// named gives the destination of a session its name: the one that the client wants in TLS, or the
// one in the server's greeting.
func (d *destinations) named(k *flowtable.Key, session *smtpsniff.Session) {
	x := d.find(k)
	if x == nil || x.n > 0 {
		return
	}
	name := session.SNI()
	if len(name) == 0 {
		// RFC 5321, section 4.2: the greeting begins with the server's name
		name, _, _ = bytes.Cut(session.Banner(), []byte{' '})
	}
	if len(name) <= maxName && isHostName(name) {
		x.n = uint8(copy(x.name[:], name))
	}
}

// isHostName reports whether a text can be the full name of a host.
func isHostName(name []byte) bool {
	for _, c := range name {
		if c != '.' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return bytes.IndexByte(name, '.') > 0
}

// top are the destinations with at least a tenth of the attempts, the most frequent first. Of a
// host that sends to hundreds hardly one is left to be sorted.
func (d *destinations) top(v6 bool) (top []finding.Destination) {
	var list [len(d.list)]*destination
	n := 0
	for i := range d.list {
		if x := &d.list[i]; x.certain() > 0 && x.certain()*10 >= d.all {
			list[n] = x
			n++
		}
	}
	slices.SortFunc(list[:n], func(a, b *destination) int {
		return cmp.Or(-cmp.Compare(a.certain(), b.certain()),
			slices.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.port, b.port))
	})
	for _, x := range list[:n] {
		server := netip.AddrPortFrom(peer.NetIP(x.addr, v6), x.port)
		top = append(top, finding.Destination{Server: server, Name: string(x.name[:x.n])})
	}
	return top
}

// certain is how many attempts there were at least.
func (x *destination) certain() uint32 { return x.count - x.over }
