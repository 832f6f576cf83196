package engine

import (
	"sync/atomic"

	"spamsensor/sensor/track"
)

// prefetchPackets is the number of packets that are prefetched before they are processed: enough
// for the waits to overlap, and few enough for the lines to be still in the cache when their packet
// is processed.
const prefetchPackets = 64

// runShards has all shards process their packets, and emits the events of the round. With shared
// the helper pool shares the shards.
func (w *Worker) runShards(shared bool) {
	e := w.e
	if shared {
		e.pool.each(len(e.shards), w.processOne)
	} else {
		for i := range e.shards {
			w.processOne(i)
		}
	}
	// From here on one goroutine works, so that events come in one order.
	e.tickMu.Lock()
	e.progress = &w.progress
	e.exchange()
	e.tickMu.Unlock()
}

// process processes a round's packets of this shard, and the ticks between them. progress counts
// the work. The caller does not hold the shard's lock.
func (s *shard) process(b *decodeBatch, ticks []tick, progress *atomic.Uint64) {
	s.t.Lock()
	defer s.t.Unlock()
	s.progress = progress
	s.journal.begin(0, false)
	s.cursor = cursor{}
	for !s.processRest(b, ticks) { // each call but the last ends in a panic
	}
	if s.cursor.prefetchPanic != "" {
		s.e.recordPanic(s.cursor.prefetchPanic)
	}
}

// cursor is a shard's place in a round. It moves before each packet and tick, so that after a panic
// the next packet or tick follows.
type cursor struct {
	packet, tick  int    // the next ones
	prefetching   bool   // prefetch runs, no packet is processed
	noPrefetch    bool   // something panicked in this round
	prefetchPanic string // that no packet has shown again so far
}

// processRest processes the packets and ticks from the cursor on. It reports false if one of them
// panicked.
//
// A tick comes before the packet with its number, so expiry happens at the same place in packet
// order whatever the number of shards and helpers.
func (s *shard) processRest(b *decodeBatch, ticks []tick) (done bool) {
	defer func() {
		if r := recover(); r != nil {
			s.quarantineCurrent(b, describe(r))
		}
	}()
	c := &s.cursor
	var queue []track.Row
	if b != nil {
		queue = b.queues[s.i]
	}
	for c.packet < len(queue) {
		list := queue[c.packet:min(c.packet+prefetchPackets, len(queue))]
		s.prepare(b, list)
		for i := range list {
			p := &list[i]
			order := b.base + uint64(p.Number())
			for c.tick < len(ticks) && ticks[c.tick].order <= order {
				c.tick++
				s.tick(ticks[c.tick-1])
			}
			c.packet++
			s.journal.begin(order, false)
			s.packet(b, p, &s.found[i])
		}
	}
	for c.tick < len(ticks) {
		c.tick++
		s.tick(ticks[c.tick-1])
	}
	return true
}

// prepare counts progress, and prefetches what the next packets need. After a panic nothing is
// prefetched for the rest of the round: broken state would panic there again.
func (s *shard) prepare(b *decodeBatch, list []track.Row) {
	s.progress.Add(1)
	if s.cursor.noPrefetch {
		for i := range list {
			s.found[i] = track.Found{FlowHash: b.side.FlowHash(&list[i])}
		}
		return
	}
	s.cursor.prefetching = true
	if s.e.cfg.Probe != nil {
		s.e.cfg.Probe()
	}
	s.prefetch(b, list)
	s.cursor.prefetching = false
}

// prefetch reads the memory that these packets need, so that the waits for it overlap: first the
// lines of the indexes, then the entries that they refer to. The flows are kept in found, so that a
// packet's flow is looked up once. The sum of what it reads is kept, because the compiler leaves
// out reads without a use.
//
// Each index is read in a loop of its own, of a few instructions for each packet: a processor waits
// for as many lines at a time as the instructions that it holds ask for.
func (s *shard) prefetch(b *decodeBatch, list []track.Row) {
	x := &s.hashes
	syns := 0
	for i := range list {
		r := &list[i]
		h := b.side.FlowHash(r)
		s.found[i] = track.Found{FlowHash: h}
		x.flow[i] = h
		if r.IsSYN() {
			x.synFlow[syns], x.synClient[syns] = h, r.ClientHash
			syns++
		}
	}
	sum := s.t.Flows.Prefetch(x.flow[:len(list)])
	// A SYN also looks for its source, its attempt and the SYN cache.
	if syns > 0 {
		sum += s.t.Attempts.Prefetch(x.synFlow[:syns]) + s.t.Sources.Prefetch(x.synClient[:syns]) +
			s.t.SYNs.Prefetch(x.synClient[:syns])
	}
	if syns < len(list) {
		for i := range list {
			if r := &list[i]; !r.IsSYN() {
				sum += s.tracker.Find(r, &s.found[i])
			}
		}
	}
	s.prefetchSum += sum
}

// prefetchHashes are the hashes of the packets in hand, and those of the SYNs among them.
type prefetchHashes struct {
	flow, synFlow, synClient [prefetchPackets]uint64
}
