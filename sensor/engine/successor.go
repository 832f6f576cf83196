package engine

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// arrival is the first packet of a source of ours with IPv6. If its machine had another address before, it takes over what is
// known of that: temporary addresses (RFC 8981) change every day, and a bot can take a new one for each mail, because it has
// 2^64 to choose from. So that no address is judged by a handful of attempts, the machine is judged, by its link-layer
// address, and only within one /64.
//
// Like a note, an arrival is followed up at the end of the row of frames. What is known moves and is not copied: a machine
// has one host, however many addresses somebody takes in its name, and one finding that is open.
type arrival struct {
	source flowtable.Host
	mac    [6]byte
	time   int64
}

// maxArrivals bounds what is kept until the end of the row. Who is left out is judged alone.
const maxArrivals = 256

// arrives notes a new source. A packet that a router passed on has the router's address, and a hop limit that no system begins
// with.
func (s *shard) arrives(src *source, p *packet) {
	if !p.key.Scope.V6() || !detect.FirstTTL(p.ttl) || src.flags&home == 0 || !s.judges(src) || p.mac == [6]byte{} {
		return
	}
	if len(s.arrivals) >= maxArrivals {
		s.unsaid++
		return
	}
	s.arrivals = append(s.arrivals, arrival{p.key.Host(), p.mac, p.time})
}

// succeed has the arrivals of all shards take over from their machines' addresses before. The caller holds tickMu.
func (e *Engine) succeed() {
	all := gather(e, func(s *shard) *[]arrival { return &s.arrivals })
	slices.SortFunc(all, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.source.Addr[:], b.source.Addr[:]))
	})
	for i := range all {
		if a := &all[i]; e.machines.had(a) {
			e.handDown(&e.machines.latest[a.mac].source, &a.source)
		}
		e.machines.arrived(&all[i])
	}
}

// had reports whether the machine of an arrival had another address of the same network within a day.
func (m *machines) had(a *arrival) bool {
	was := m.latest[a.mac]
	return was != nil && was.source != a.source && was.source.Scope == a.source.Scope && [8]byte(was.source.Addr[:8]) == [8]byte(a.source.Addr[:8]) && a.time-was.time < 24*hour
}

// arrived remembers the address of a machine. There may be maxMachines; then those of a day ago are forgotten, or all.
func (m *machines) arrived(a *arrival) {
	if m.latest == nil {
		m.latest = map[[6]byte]*arrival{}
	}
	if m.latest[a.mac] == nil && len(m.latest) >= maxMachines {
		for mac, old := range m.latest {
			if a.time-old.time >= 24*hour {
				delete(m.latest, mac)
			}
		}
		if len(m.latest) >= maxMachines {
			m.forgotten.Add(uint64(len(m.latest)))
			clear(m.latest)
		}
	}
	m.latest[a.mac] = a
}

// handDown moves what is known of one source to another.
func (e *Engine) handDown(from, to *flowtable.Host) {
	hash := e.table.Secret.Host(from)
	s := &e.shards[e.table.ShardOf(hash)]
	s.t.Lock()
	r := s.t.Sources.Find(hash, from)
	if r == 0 || s.hosts.at(s.t.Sources.At(r).host) == nil {
		s.t.Unlock()
		return
	}
	src := s.t.Sources.At(r)
	hst := s.hosts.at(src.host)
	estate := hst.Estate(&src.facts)
	if hst.left = true; !hst.anyOpen() {
		s.forgetHost(src, *from, 0, "address_changed")
	}
	s.t.Unlock()

	hash = e.table.Secret.Host(to)
	s = &e.shards[e.table.ShardOf(hash)]
	s.t.Lock()
	defer s.t.Unlock()
	if r = s.t.Sources.Find(hash, to); r == 0 {
		return
	}
	src = s.t.Sources.At(r)
	hst = s.hosts.at(src.host)
	if hst == nil {
		hst = s.newHost(r, src)
	}
	hst.Inherit(&e.cfg.Detect, estate, &src.facts)
	if !hst.waiting { // the tick has it judged
		hst.waiting = true
		s.later = append(s.later, r)
	}
}
