package machines

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/sources"
)

// host is a machine that is known by its link-layer address, with the addresses that it uses side
// by side: the IPv4 address, those that it had before, and one of each /64. They are judged
// together, see sources.Set.Join.
//
// A machine has one IPv4 address at a time. It gets another one from a DHCP server: the next one
// begins when the one before is silent, and that one does not come back for an hour. Two that are
// in use at the same time, that take turns or that have different hop limits belong to a router, a
// bridge, a group of machines that stand in for one another, or a server with an address for each
// customer. Such a link-layer address is shared: its addresses are judged one by one.
type host struct {
	id     hostID
	v4     []hostAddress // in their order; the last accepted one is in use
	v6     []hostAddress
	shared bool
	dirty  bool
	joined []flowtable.HostKey // the lead first; empty if each is judged alone
	synced int64               // when they were joined last, ns
	latest int64
	ttl    uint8 // of its IPv4 packets
}

// hostID identifies a host: overlapping address spaces have equal link-layer addresses, too.
type hostID struct {
	mac   [6]byte
	space flowtable.Scope
}

// hostAddress is an address of a host.
type hostAddress struct {
	key      flowtable.HostKey
	first    int64 // when it came, ns
	left     int64 // when it was seen last before the next one followed
	accepted bool  // it is the machine's: the first one, or it followed the one before
}

const (
	// maxAddresses bounds the addresses of each family. A link-layer address with more is shared:
	// a DHCP server gives out one a day, and an address for each mail is known by its chain.
	maxAddresses = 8
	// minSessions is the number of sessions of an IPv4 address before it follows another one.
	minSessions = 2
	// awayFor is how long an address must have been away to be the machine's again.
	awayFor = hour
	// joinEvery is how often a machine with news is joined.
	joinEvery = second
)

// identify handles the note of an address.
func (t *Tracker) identify(a *sources.NewAddress) {
	if isShared(a.MAC) {
		return
	}
	h := t.host(a)
	h.latest = max(h.latest, a.Time)
	switch {
	case h.shared:
	case t.links[macKey(a.MAC)].isRouter():
		t.share(h)
	case a.Routed: // it is external, and not learned so far
	case a.Source.Scope.V6():
		h.addV6(a)
	case h.ttl != 0 && a.TTL != 0 && h.ttl != a.TTL:
		t.share(h)
	default:
		h.ttl = cmp.Or(a.TTL, h.ttl)
		t.followV4(h, a)
	}
}

// host returns the host of an address. At maxMachines those without a note for a day are dropped,
// or all: a bridge or an attacker shows more link-layer addresses than can be followed.
func (t *Tracker) host(a *sources.NewAddress) *host {
	id := hostID{a.MAC, a.Source.Scope &^ 1}
	if h := t.hosts[id]; h != nil {
		return h
	}
	if t.hosts == nil {
		t.hosts, t.hostOf = map[hostID]*host{}, map[flowtable.HostKey]*host{}
	}
	if len(t.hosts) >= maxMachines {
		t.dropHosts(a.Time - maxSilence)
	}
	if len(t.hosts) >= maxMachines {
		t.dropHosts(a.Time)
	}
	h := &host{id: id}
	t.hosts[id] = h
	return h
}

// dropHosts drops the hosts without a note since a time.
func (t *Tracker) dropHosts(since int64) {
	for _, h := range t.orderedHosts(func(h *host) bool { return h.latest <= since }) {
		t.part(h)
		delete(t.hosts, h.id)
		t.forgotten.Add(1)
	}
}

// orderedHosts returns some of the hosts in the order of their ids.
func (t *Tracker) orderedHosts(some func(h *host) bool) (list []*host) {
	for _, h := range t.hosts {
		if some(h) {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *host) int {
		return cmp.Or(bytes.Compare(a.id.mac[:], b.id.mac[:]),
			cmp.Compare(a.id.space, b.id.space))
	})
	return list
}

// addV6 adds an IPv6 address, or replaces the one of its /64: temporary addresses (RFC 8981) follow
// one another, and the profile moves with them; see trackAddress.
func (h *host) addV6(a *sources.NewAddress) {
	for i := range h.v6 {
		x := &h.v6[i]
		if sources.LocalNetwork(x.key) != sources.LocalNetwork(a.Source) {
			continue
		}
		if x.key != a.Source && x.first < a.Time {
			*x = hostAddress{key: a.Source, first: a.Time, accepted: true}
			h.dirty = true
		}
		return
	}
	if len(h.v6) < maxAddresses {
		h.v6 = append(h.v6, hostAddress{key: a.Source, first: a.Time, accepted: true})
		h.dirty = true
	}
}

// followV4 handles an IPv4 address: a new one, the one in use, or one that came back.
func (t *Tracker) followV4(h *host, a *sources.NewAddress) {
	last := len(h.v4) - 1
	at := slices.IndexFunc(h.v4, func(x hostAddress) bool { return x.key == a.Source })
	switch {
	// One that was there before or a third one, beside one that has just come.
	case last >= 0 && at != last && !h.v4[last].accepted, at < 0 && len(h.v4) >= maxAddresses:
		t.share(h)
		return
	case at >= 0 && at < last: // see cameBack
		h.dirty = true
		return
	case at < 0:
		h.v4 = append(h.v4, hostAddress{key: a.Source, first: a.Time, accepted: last < 0})
		h.dirty = h.dirty || last < 0
		return
	case h.v4[last].accepted:
		return
	}
	// The latest one is on trial.
	next := t.sources.Activity(&a.Source)
	if next.Sessions < minSessions {
		return
	}
	before := t.sources.Activity(&h.v4[last-1].key)
	if before.Open || before.Last >= next.First {
		t.share(h)
		return
	}
	h.v4[last-1].left = before.Last
	h.v4[last].accepted, h.dirty = true, true
}

// cameBack looks for IPv4 addresses that were given up and are in use again. One that was away for
// awayFor follows the one in use. If it was not, or both are in use, it reports true: the addresses
// are not one machine's.
func (t *Tracker) cameBack(h *host) (both bool) {
	for i := 0; i+1 < len(h.v4) && h.v4[i+1].accepted; i++ {
		x := h.v4[i]
		a := t.sources.Activity(&x.key)
		if !a.Known || a.Last <= x.left && !a.Open {
			continue
		}
		last := len(h.v4) - 1
		now := t.sources.Activity(&h.v4[last].key)
		if a.Last-x.left < awayFor || now.Open || now.Last >= a.Last || !h.v4[last].accepted {
			return true
		}
		h.v4[last].left = now.Last
		x.first = a.Last
		h.v4 = append(slices.Delete(h.v4, i, i+1), x)
		return false
	}
	return false
}

// share has the addresses of a host judged one by one from now on.
func (t *Tracker) share(h *host) {
	h.shared, h.v4, h.v6 = true, nil, nil
	t.part(h)
}

// part splits a host into its addresses again.
func (t *Tracker) part(h *host) {
	for _, k := range h.joined {
		delete(t.hostOf, k)
	}
	t.parted = append(t.parted, h.joined...)
	h.joined = nil
}

// addresses returns the addresses that are judged together, the lead first: the IPv4 address in
// use, or the latest IPv6 address.
func (h *host) addresses() (list []flowtable.HostKey) {
	for _, x := range slices.Backward(h.v4) {
		if x.accepted {
			list = append(list, x.key)
		}
	}
	for _, x := range slices.Backward(h.v6) {
		list = append(list, x.key)
	}
	return list
}

// JoinAddresses has the machines with news judged by what all of their addresses did, at most once
// in joinEvery; at the end of the input all of them. The caller holds tickMu.
func (t *Tracker) JoinAddresses(now int64, end bool) {
	t.changed = t.sources.TakeChanged(t.changed[:0])
	for i := range t.changed {
		if h := t.hostOf[t.changed[i]]; h != nil {
			h.dirty, t.news = true, true
		}
	}
	t.judgeParted(now)
	if !t.news {
		return
	}
	t.news = false
	for _, h := range t.orderedHosts(func(h *host) bool { return h.dirty }) {
		if end || now-h.synced >= joinEvery || now < h.synced {
			h.dirty, h.synced = false, now
			t.joinHost(h, now)
		}
		t.news = t.news || h.dirty
	}
	t.judgeParted(now)
}

// judgeParted has addresses judged alone that were joined.
func (t *Tracker) judgeParted(now int64) {
	t.sources.Part(t.parted, now)
	t.parted = t.parted[:0]
}

// joinHost has the addresses of a host judged together.
func (t *Tracker) joinHost(h *host, now int64) {
	if t.cameBack(h) || t.links[macKey(h.id.mac)].isRouter() {
		t.share(h)
		return
	}
	list := h.addresses()
	for _, k := range h.joined {
		if !slices.Contains(list, k) || len(list) < 2 {
			delete(t.hostOf, k)
			t.parted = append(t.parted, k)
		}
	}
	if h.joined = nil; len(list) < 2 {
		return
	}
	for _, k := range list {
		t.hostOf[k] = h
	}
	h.joined = list
	t.sources.Join(h.id.mac, list, now)
}
