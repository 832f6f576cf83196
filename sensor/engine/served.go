package engine

import (
	"cmp"
	"slices"

	"spamsensor/flowtable"
)

// note is an observation about a host that belongs to another shard than the packet in
// hand: it is handed over at the end of the row of frames, so that the result does not depend on who
// worked on what when.
type note struct {
	about  flowtable.Host
	client uint32
}

// maxNotes bounds what is kept until the end of the row. What is left out comes again: a mail
// server is served all day.
const maxNotes = 256

// served notes that a host of ours took a message from a client that is not ours, or went over to TLS with it: what was said
// then nobody hears, but who answers EHLO and STARTTLS is a mail server.
func (s *shard) served(src *source) {
	if src.flags&home != 0 {
		return
	}
	k := s.t.Flows.KeyOf(s.current)
	if !s.e.home.has(k.Server, k.Scope.V6()) {
		return
	}
	n := note{flowtable.Host{Addr: k.Server, Scope: k.Scope}, uint32(s.e.table.Secret.Bytes(k.Client[:]))}
	switch {
	case slices.Contains(s.notes, n):
	case len(s.notes) >= maxNotes:
		s.unsaid++
	default:
		s.notes = append(s.notes, n)
	}
}

// gather takes what all shards have in a list for each other.
func gather[T any](e *Engine, of func(*shard) *[]T) (all []T) {
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

// handOver gives the notes of all shards to those they are about. The caller holds
// tickMu.
func (e *Engine) handOver() {
	all := gather(e, func(s *shard) *[]note { return &s.notes })
	slices.SortFunc(all, func(a, b note) int {
		return cmp.Or(slices.Compare(a.about.Addr[:], b.about.Addr[:]), cmp.Compare(a.client, b.client))
	})
	for i := range all {
		n := &all[i]
		hash := e.table.Secret.Host(&n.about)
		s := &e.shards[e.table.ShardOf(hash)]
		s.t.Lock()
		if r := s.t.Sources.Find(hash, &n.about); r != 0 {
			if hst := s.hosts.at(s.t.Sources.At(r).host); hst != nil {
				hst.Served(n.client, e.clock.Now())
			}
		}
		s.t.Unlock()
	}
}
