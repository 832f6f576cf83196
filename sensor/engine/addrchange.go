package engine

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// arrival is a sign of life of a machine under one of its addresses. A bot can take another address
// for each mail: of IPv6 it has 2^64 to choose from, of IPv4 what its network has free. So that no
// address is judged by a handful of attempts, the machine is judged, by its link-layer address.
//
// Temporary addresses of IPv6 (RFC 8981) change every day, so there the first packet of a new
// address within one /64 is enough. Of IPv4 a link-layer address can have several for better
// reasons: it is a router's, whose other machines are behind it (it reduces the hop limit and
// brings addresses from outside), a bridge's that hides theirs, or a server's with an address for
// each customer. So what counts is a session with a server outside on port 25, seen from both
// sides, and four addresses must have followed one another (see lineal): none comes again, none has
// a connection left when the next one has its own, and two of them were refused.
//
// Like a note, an arrival is followed up at the end of the row of frames. What is known moves and is not copied: a machine
// has one host, however many addresses somebody takes in its name, and one finding of each class.
type arrival struct {
	source flowtable.Host
	mac    [6]byte
	time   int64
	ttl    uint8
	far    bool // a router has passed it on, or it comes from outside
}

// maxArrivals bounds what is kept until the end of the row. Who is left out is judged alone.
const maxArrivals = 256

// arrives notes a new source with IPv6. A packet that a router passed on has the router's address,
// and a hop limit that no system begins with.
func (s *shard) arrives(src *source, p *packet) {
	if !p.key.Scope.V6() || !detect.InitialTTL(p.ttl) || src.flags&home == 0 || !s.judges(src) || p.mac == [6]byte{} {
		return
	}
	s.arrive(arrival{source: p.key.Host(), mac: p.mac, time: p.time, ttl: p.ttl})
}

// appears notes a session of a source with IPv4.
func (s *shard) appears(src *source, p *packet, f *flow) {
	if p.key.Scope.V6() || !p.toServer || src.facts.Sessions > faithful || p.mac == [6]byte{} || p.key.ServerPort != 25 || !f.seenWhole() {
		return
	}
	far := src.flags&home == 0 || !detect.InitialTTL(p.ttl)
	if !far && (!f.has(external) || f.has(relay) || !s.judges(src)) {
		return
	}
	s.arrive(arrival{p.key.Host(), p.mac, p.time, p.ttl, far})
}

func (s *shard) arrive(a arrival) {
	if n := len(s.arrivals); n > 0 && s.arrivals[n-1].source == a.source && s.arrivals[n-1].mac == a.mac {
		return
	}
	if len(s.arrivals) >= maxArrivals {
		s.unsaid++
		return
	}
	s.arrivals = append(s.arrivals, a)
}

// lineage is a machine, by its link-layer address, and the addresses that it has had.
type lineage struct {
	latest    arrival
	seen      []uint32         // hashes of those with IPv4, the latest of them last
	past      []flowtable.Host // the latest of these that followed one another
	row       int              // how many followed one another
	near, far uint32           // sessions with IPv4
	one       bool             // the latest ones are the same machine's
	members   []flowtable.Host // those
	findings  [detect.Classes]shown
	swarm     *swarm // nil if it is known by its link-layer address
}

// shown is a finding of a machine with several addresses, as it was given out.
type shown struct {
	id      string
	seq     int
	level   detect.Level
	open    bool
	updated int64
	lists   int
}

const (
	// lineal is how many addresses with IPv4 must have followed one another before they are taken
	// for one machine's.
	lineal = 4
	// maxPast is how many addresses of a machine are told and looked at, maxSeen how many are known
	// when they come again.
	maxPast, maxSeen = 64, 1024
	// faithful is after how many sessions a source is not looked at any more: it is not one of many
	// addresses.
	faithful = 64
	// succession is how long an address may have been silent when the next one comes.
	succession = 24 * hour
)

// move is that a machine has another address.
type move struct {
	from, to flowtable.Host
	ttl      uint8 // of its packets
}

// followArrivals notes what arrived in the row, and says what has moved. The caller holds tickMu.
func (e *Engine) followArrivals() (moves []move) {
	e.arrivals = gather(e, e.arrivals[:0], func(s *shard) *[]arrival { return &s.arrivals })
	all := e.arrivals
	slices.SortFunc(all, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.source.Addr[:], b.source.Addr[:]), bytes.Compare(a.mac[:], b.mac[:]))
	})
	for i := range all {
		moves = append(moves, e.arrived(&all[i])...)
	}
	return moves
}

// arrived takes in one arrival.
func (e *Engine) arrived(a *arrival) []move {
	l := e.machines.lineage(a)
	was := l.latest
	switch {
	case a.far:
		l.far++
		return nil
	case was.source == a.source:
		l.latest.time = a.time
		l.near++
		return nil
	case was.time == 0:
	case a.source.Scope != was.source.Scope || a.time-was.time >= succession:
		e.machines.leave(l)
	case a.source.Scope.V6():
		if [8]byte(was.source.Addr[:8]) == [8]byte(a.source.Addr[:8]) {
			l.latest = *a
			l.one = true
			e.machines.belongs(l, was.source, a.source)
			return []move{{was.source, a.source, a.ttl}}
		}
		e.machines.leave(l)
	}
	l.latest = *a
	if a.source.Scope.V6() {
		return nil
	}
	l.near++
	hash := uint32(e.table.Secret.Host(&a.source))
	if slices.Contains(l.seen, hash) {
		if was.source != a.source { // it comes again
			l.past, l.row = append(l.past[:0], a.source), 1
			e.machines.leave(l)
		}
		return nil
	}
	if l.seen = append(l.seen, hash); len(l.seen) > maxSeen {
		l.seen = slices.Delete(l.seen, 0, maxSeen/2)
	}
	if len(l.past) == maxPast {
		delete(e.machines.lines, l.past[0])
		l.past = slices.Delete(l.past, 0, 1)
	}
	l.past = append(l.past, a.source)
	if l.row++; l.far*2 > l.near || l.row > 1 && e.busy(&was.source) {
		l.row = 1
		e.machines.leave(l)
		return nil
	}
	if l.one {
		e.machines.belongs(l, a.source)
		return []move{{was.source, a.source, a.ttl}}
	}
	row := l.past[max(0, len(l.past)-l.row):]
	if l.row < lineal || !e.unwelcome(row) {
		return nil
	}
	l.one = true
	e.machines.belongs(l, a.source)
	var moves []move
	for i := range len(row) - 1 {
		moves = append(moves, move{row[i], row[i+1], a.ttl})
	}
	return moves
}

// lineage is what is known of the machine of an arrival. There may be maxMachines; then those of a
// day ago are forgotten, or all.
func (m *machines) lineage(a *arrival) *lineage {
	if l := m.lineages[a.mac]; l != nil {
		return l
	}
	if m.lineages == nil {
		m.lineages, m.lines = map[[6]byte]*lineage{}, map[flowtable.Host]*lineage{}
	}
	if len(m.lineages) >= maxMachines {
		for mac, old := range m.lineages {
			if a.time-old.latest.time >= succession {
				m.leave(old)
				delete(m.lineages, mac)
			}
		}
		if len(m.lineages) >= maxMachines {
			m.forgotten.Add(uint64(len(m.lineages)))
			clear(m.lineages)
			clear(m.lines)
			for _, c := range m.swarms {
				for _, h := range c.line.members {
					m.lines[h] = &c.line
				}
			}
		}
	}
	l := &lineage{}
	m.lineages[a.mac] = l
	return l
}

// belongs says that addresses are those of one machine. There are at most maxPast for each; the
// oldest makes room.
func (m *machines) belongs(l *lineage, list ...flowtable.Host) {
	for _, h := range list {
		if m.lines[h] == l {
			continue
		}
		m.lines[h] = l
		if l.members = append(l.members, h); len(l.members) > maxPast {
			delete(m.lines, l.members[0])
			l.members = slices.Delete(l.members, 0, 1)
		}
	}
}

// leave ends that addresses are taken for one machine's.
func (m *machines) leave(l *lineage) {
	for _, h := range l.members {
		delete(m.lines, h)
	}
	l.members, l.one, l.findings = nil, false, [detect.Classes]shown{}
}

// at calls f, under the lock, for a source that is judged.
func (e *Engine) at(h *flowtable.Host, f func(s *shard, r flowtable.Ref, src *source, hst *host)) {
	hash := e.table.Secret.Host(h)
	s := &e.shards[e.table.ShardOf(hash)]
	s.t.Lock()
	defer s.t.Unlock()
	if r := s.t.Sources.Find(hash, h); r != 0 {
		src := s.t.Sources.At(r)
		f(s, r, src, s.hosts.at(src.host))
	}
}

// busy reports whether a source has a connection left.
func (e *Engine) busy(h *flowtable.Host) (is bool) {
	e.at(h, func(_ *shard, _ flowtable.Ref, src *source, _ *host) { is = src.facts.Concurrent > 0 })
	return is
}

// unwelcome reports whether two of the sources were refused.
func (e *Engine) unwelcome(list []flowtable.Host) bool {
	n := 0
	for i := range list {
		e.at(&list[i], func(_ *shard, _ flowtable.Ref, _ *source, hst *host) {
			if hst != nil && hst.WasRefused() {
				n++
			}
		})
	}
	return n >= 2
}

// succeed moves what is known of sources to their successors. The caller holds tickMu.
func (e *Engine) succeed(moves []move) {
	for i := range moves {
		e.handDown(&moves[i])
	}
}

// handDown moves what is known of one source to another, and its findings.
func (e *Engine) handDown(m *move) {
	from, to := &m.from, &m.to
	line := e.machines.lines[*from]
	var old *host
	var estate *detect.Snapshot
	var facts detect.Counters
	e.at(from, func(s *shard, _ flowtable.Ref, src *source, hst *host) {
		if hst == nil {
			return
		}
		estate = hst.Snapshot(&src.facts)
		facts = src.facts
		if hst.elsewhere != nil {
			facts = facts.Plus(hst.elsewhere)
		}
		old = hst
		if line != nil && line == e.machines.lines[*to] { // its findings go along
			copied := *hst
			old = &copied
			hst.findings = [detect.Classes]*finding{}
		}
		if hst.left = true; !hst.anyOpen() {
			s.forgetHost(src, *from, 0, "address_changed")
		}
	})
	if old == nil {
		return
	}
	e.at(to, func(s *shard, r flowtable.Ref, src *source, hst *host) {
		if hst == nil {
			hst = s.newHost(r, src)
		}
		hst.TakeOver(&e.cfg.Detect, estate, &src.facts)
		hst.Came(m.ttl)
		hst.left, hst.elsewhere = false, &facts
		if line != nil && line == e.machines.lines[*to] {
			hst.take(old)
			if hst.anyOpen() {
				s.follow(src)
			}
		}
		if !hst.waiting { // the tick has it judged
			hst.waiting = true
			s.later = append(s.later, r)
		}
	})
}

// take takes over the findings of the machine's address before.
func (h *host) take(old *host) {
	for c, f := range old.findings {
		if f != nil && (h.findings[c] == nil || f.open && !h.findings[c].open) {
			h.findings[c] = f
		} else if f != nil {
			h.findings[c].id, h.findings[c].seq = f.id, max(f.seq, h.findings[c].seq)
		}
	}
	h.evidence = append(slices.Clone(old.evidence), h.evidence...)
	h.evidence = h.evidence[:min(len(h.evidence), maxEvidence)]
	h.given += old.given
	h.suppressed += old.suppressed
	h.opaque += old.opaque
	h.oneWay += old.oneWay
	h.doubtful += old.doubtful
	h.foreign += old.foreign
}

// merge makes one finding of those of a machine with several addresses, and reports whether it is
// to be given out: what is found of its latest address alone says less than what is known of the
// machine.
//
// What it gives out names the addresses of the machine.
func (m *machines) merge(k flowtable.Host, f *detect.Finding, lists int) (news bool) {
	l := m.lines[k]
	if l == nil || !l.one {
		return true
	}
	if l.swarm != nil && ofOne(f.Class) {
		return l.swarm.news(k, f)
	}
	if f.Class == detect.DirectSMTP || f.Class == detect.OnBlocklist {
		for _, c := range verdicts { // it is superseded
			if l.findings[c].open && !l.findings[f.Class].open {
				return false
			}
		}
	}
	t := &l.findings[f.Class]
	late := f.Time-t.updated >= updateEvery
	switch f.Action {
	case "opened":
		if t.open {
			f.Action = "updated"
			if f.Level <= t.level && !late {
				return false
			}
		}
	case "updated":
		if t.open && (f.Level < t.level || f.Level == t.level && lists <= t.lists) && !late {
			return false
		}
	case "closed":
		if t.id != "" && !t.open {
			return false
		}
	}
	if t.id == "" {
		t.id, t.seq = f.ID, f.Seq-1
	}
	t.seq++
	t.open, t.level, t.updated, t.lists = f.Action != "closed", f.Level, f.Time, max(t.lists, lists)
	f.ID, f.Seq = t.id, t.seq
	list := l.past
	if l.swarm != nil {
		l.swarm.tell(f)
	}
	if k.Scope.V6() || l.swarm != nil {
		list = l.members
	}
	for _, h := range list[max(0, len(list)-maxAddresses):] {
		if h != k {
			f.Also = append(f.Also, addr(h.Addr, h.Scope.V6()))
		}
	}
	return true
}
