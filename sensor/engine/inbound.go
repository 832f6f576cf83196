package engine

import (
	"cmp"
	"slices"

	"spamsensor/flowtable"
)

// inboundNote is an observation about a host that belongs to another shard than the packet in
// hand: it is handed over at the end of the row of frames, so that the result does not depend on who
// worked on what when.
type inboundNote struct {
	about  flowtable.HostKey
	client uint32
}

// maxInboundNotes bounds what is kept until the end of the row. What is left out comes again: a mail
// server is served all day.
const maxInboundNotes = 256

// noteInbound notes that a host of ours took a message from a client that is not ours, or went over to TLS with it: what was said
// then nobody hears, but who answers EHLO and STARTTLS is a mail server.
func (s *shard) noteInbound(src *source) {
	if src.flags&home != 0 {
		return
	}
	k := s.t.Flows.KeyOf(s.current)
	if !s.e.home.has(k.Server, k.Scope.V6()) {
		return
	}
	n := inboundNote{flowtable.HostKey{Addr: k.Server, Scope: k.Scope}, uint32(s.e.table.Secret.HashBytes(k.Client[:]))}
	switch {
	case slices.Contains(s.inboundNotes, n):
	case len(s.inboundNotes) >= maxInboundNotes:
		s.notesDropped++
	default:
		s.inboundNotes = append(s.inboundNotes, n)
	}
}

// drainShards takes what all shards have in a list for each other, into all.
func drainShards[T any](e *Engine, all []T, of func(*shard) *[]T) []T {
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		list := of(s)
		all = append(all, *list...)
		*list = (*list)[:0]
		s.t.Unlock()
	}
	return all
}

// deliverInbound gives the notes of all shards to those they are about. The caller holds
// tickMu.
func (e *Engine) deliverInbound() {
	all := drainShards(e, nil, func(s *shard) *[]inboundNote { return &s.inboundNotes })
	slices.SortFunc(all, func(a, b inboundNote) int {
		return cmp.Or(slices.Compare(a.about.Addr[:], b.about.Addr[:]), cmp.Compare(a.client, b.client))
	})
	for i := range all {
		n := &all[i]
		hash := e.table.Secret.HashHost(&n.about)
		s := &e.shards[e.table.ShardOf(hash)]
		s.t.Lock()
		var hst *host
		if r := s.t.Sources.Find(hash, &n.about); r != 0 {
			hst = s.hosts.at(s.t.Sources.At(r).host)
		}
		if hst != nil {
			hst.Served(n.client, e.clock.Now())
		} else {
			s.keepInbound(n, e.clock.Now())
		}
		s.t.Unlock()
	}
}

// pendingInbound are the first and the latest that brought mail to a host of which nothing else is known yet, and when: as many as make a mail
// server of it.
type pendingInbound struct {
	client [2]uint32
	at     [2]int64
}

// maxPendingInbound bounds how many such hosts a shard remembers, of 24 bytes and their key.
const maxPendingInbound = 1024

// keepInbound keeps a note about a host that has sent nothing so far: mail comes to most servers before they send any.
func (s *shard) keepInbound(n *inboundNote, now int64) {
	t, known := s.pendingInbound[n.about]
	switch {
	case !known && len(s.pendingInbound) >= maxPendingInbound:
		s.notesDropped++
		return
	case slices.Contains(t.client[:], n.client):
		return
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

// applyInbound tells a host what was noted before it was one.
func (s *shard) applyInbound(hst *host, k *flowtable.HostKey) {
	t, known := s.pendingInbound[*k]
	if !known {
		return
	}
	for i, at := range t.at {
		if at != 0 {
			hst.Served(t.client[i], at)
		}
	}
	delete(s.pendingInbound, *k)
}
