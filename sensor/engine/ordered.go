package engine

import (
	"sync/atomic"

	"spamsensor/sensor/wire"
)

// orderedDecode is what can be known only where packets are looked at one after the other: who
// opened a connection between two mail ports, and what the fragments of a datagram are
// together. A piece that meets such a packet without it stops, and the whole batch is decoded
// again with it. What it knows of checksums needs no second time: see checksums.
type orderedDecode struct {
	directionCache
	fragments wire.Fragments
	checksums checksums
	// What Stats reads, from any goroutine.
	waiting, expired, evicted atomic.Uint64
	judged, ignored           atomic.Uint64
}

// publish copies the counters to where Stats reads them.
func (s *orderedDecode) publish() {
	f := &s.fragments
	s.waiting.Store(f.Waiting)
	s.expired.Store(f.Expired)
	s.evicted.Store(f.Evicted)
	s.judged.Store(s.checksums.judged)
	s.ignored.Store(s.checksums.ignored)
}

// expire gives up datagrams that never became whole.
func (s *orderedDecode) expire(now int64) {
	if s.fragments.Waiting > 0 {
		s.fragments.Expire(now)
		s.publish()
	}
}
