package lookups

import "spamsensor/sensor/sketch"

// servers are the addresses of mail servers that the DNS named to a host, each with the registered
// domain of its name. They are kept longer than the names of answers: programs keep addresses, and
// connect again and again. With more than 64 the oldest is dropped; its server has no name then, as
// if the DNS were not on the mirror port.
type servers struct {
	list [64]server
	next uint8
}

type server struct {
	addr, domain uint32 // keyed hashes
	at           uint32 // seconds
}

// serverTime is how long an address keeps its name, in seconds. Addresses of large providers change
// hands within the provider.
const serverTime = 86400

// add records that an address belongs to a domain.
func (s *servers) add(addr, domain uint32, now int64) {
	for i := range s.list {
		if x := &s.list[i]; x.addr == addr && x.at != 0 {
			*x = server{addr, domain, sketch.Stamp(now)}
			return
		}
	}
	s.list[s.next%uint8(len(s.list))] = server{addr, domain, sketch.Stamp(now)}
	s.next++
}

// Provider is the hash of the domain whose server has an address, by the latest answer of the DNS
// to the host. It is zero if no answer is known.
func (l *Log) Provider(addr uint32, now int64) uint32 {
	for i := range l.servers.list {
		if x := &l.servers.list[i]; x.addr == addr && x.at+serverTime > sketch.Stamp(now) {
			return x.domain
		}
	}
	return 0
}

// Named records that an answer gave an address as one of a domain's mail servers. Both are keyed
// hashes.
func (l *Log) Named(addr, domain uint32, now int64) {
	l.LastUsed = now
	l.servers.add(addr, domain, now)
}
