package sources

import (
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// inboundNote says that an internal host accepted mail. The host may belong to another shard than
// the packet, so notes are delivered at the end of a round: the result does not depend on the order
// in which helpers process the shards.
type inboundNote struct {
	about  flowtable.HostKey
	client uint32 // hash of the client's address
}

// maxInboundNotes bounds the notes of a round. A dropped note comes again: a mail server is served
// all day.
const maxInboundNotes = 256

// shardNotes are a shard's observations of hosts that may belong to other shards, until the end of
// the round.
type shardNotes struct {
	all            *Set
	inboundNotes   []inboundNote
	pendingInbound map[flowtable.HostKey]pendingInbound // about hosts without a profile
	newAddresses   []NewAddress                         // machines under one of their addresses
	// closed sessions of sources that have had few
	briefSenders []BriefSender
	linkNotes    []LinkNote
	links        [linkMemory]LinkNote // the latest of linkNotes
	changed      []flowtable.HostKey  // addresses whose machine has something new
	dropped      uint64               // notes that were dropped at a bound
}

// noteInbound records that an internal host accepted mail from an external client, or began TLS
// with one after EHLO and STARTTLS, when the rest of the dialogue is encrypted. Such a host is a
// mail server.
func (s *shardNotes) noteInbound(src *Source, k *flowtable.Key) {
	// Only external clients prove a mail server.
	if src.flags&home != 0 {
		return
	}
	if !s.all.cfg.Peers.Home.Has(k.Server, k.Scope.V6()) {
		return
	}
	n := inboundNote{flowtable.HostKey{Addr: k.Server, Scope: k.Scope},
		uint32(s.all.cfg.Table.Secret.HashBytes(k.Client[:]))}
	switch {
	case slices.Contains(s.inboundNotes, n):
	case len(s.inboundNotes) >= maxInboundNotes:
		s.dropped++
	default:
		s.inboundNotes = append(s.inboundNotes, n)
	}
}

// drainShards appends the lists of all shards to all, and empties them. The result is in the order
// of the shards; callers sort it.
func drainShards[T any](all *Set, list []T, of func(*Observer) *[]T) []T {
	for i := range all.shards {
		s := all.shards[i]
		s.Table.Lock()
		noted := of(s)
		list = append(list, *noted...)
		*noted = (*noted)[:0]
		s.Table.Unlock()
	}
	return list
}

// DeliverInbound delivers the notes of all shards to the hosts that they are about. The caller
// holds tickMu.
func (all *Set) DeliverInbound() {
	list := drainShards(all, nil, func(s *Observer) *[]inboundNote {
		return &s.notes.inboundNotes
	})
	// The order must not depend on which shard noted first.
	slices.SortFunc(list, func(a, b inboundNote) int {
		return cmp.Or(slices.Compare(a.about.Addr[:], b.about.Addr[:]),
			cmp.Compare(a.client, b.client))
	})
	for i := range list {
		n := &list[i]
		hash := all.cfg.Table.Secret.HashHost(&n.about)
		s := all.shards[all.cfg.Table.ShardOf(hash)]
		s.Table.Lock()
		var prof *profile
		if r := s.Table.Sources.Find(hash, &n.about); r != 0 {
			prof = s.profiles.At(s.Table.Sources.At(r).profile)
		}
		if prof != nil {
			prof.Observe(&all.cfg.Detect, nil, &detect.Observation{
				Kind: detect.KindServed, Time: all.cfg.Now(),
				Hash: n.client})
		} else {
			s.notes.keepInbound(n, all.cfg.Now())
		}
		s.Table.Unlock()
	}
}

// pendingInbound are the first and the latest client that brought mail to a host without a profile,
// and their times in ns: two clients make it a mail server.
type pendingInbound struct {
	client [2]uint32
	at     [2]int64 // zero for an empty place
}

// maxPendingInbound bounds the hosts with pending notes in a shard, of 24 bytes and a key each.
const maxPendingInbound = 1024

// keepInbound keeps a note about a host that has sent nothing so far: most servers receive mail
// before they send any.
func (s *shardNotes) keepInbound(n *inboundNote, now int64) {
	t, known := s.pendingInbound[n.about]
	switch {
	case !known && len(s.pendingInbound) >= maxPendingInbound:
		s.dropped++
		return
	case slices.Contains(t.client[:], n.client):
		return
	// The first client stays, the second place takes the latest one: the two are different clients.
	case t.at[0] == 0:
		t.client[0], t.at[0] = n.client, now
	default:
		t.client[1], t.at[1] = n.client, now
	}
	if s.pendingInbound == nil {
		s.pendingInbound = map[flowtable.HostKey]pendingInbound{}
	}
	s.pendingInbound[n.about] = t
}

// applyInbound applies the pending notes of a host that gets a profile.
func (s *shardNotes) applyInbound(prof *profile, k *flowtable.HostKey) {
	t, known := s.pendingInbound[*k]
	if !known {
		return
	}
	for i, at := range t.at {
		if at != 0 {
			prof.Observe(&s.all.cfg.Detect, nil,
				&detect.Observation{Kind: detect.KindServed, Time: at,
					Hash: t.client[i]})
		}
	}
	delete(s.pendingInbound, *k)
}
