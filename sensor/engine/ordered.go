package engine

import (
	"sync/atomic"

	"spamsensor/sensor/wire"
)

// orderedDecode is the state of decoding that needs packets in their order: the opener of each
// connection between two mail ports, and the fragments of each datagram. A batch that meets such a
// packet without this state stops, and the whole round is decoded again with it. Checksums need no
// second pass: see checksums. One goroutine uses it at a time.
type orderedDecode struct {
	directionCache
	fragments wire.Fragments
	checksums checksums
	// Copies for Stats, which reads them from any goroutine.
	waiting, expired, evicted atomic.Uint64
	judged, ignored           atomic.Uint64
}

// publish copies the counters to the fields that Stats reads.
func (s *orderedDecode) publish() {
	f := &s.fragments
	s.waiting.Store(f.Waiting)
	s.expired.Store(f.Expired)
	s.evicted.Store(f.Evicted)
	s.judged.Store(s.checksums.judged)
	s.ignored.Store(s.checksums.ignored)
}

// expire drops datagrams whose missing fragments did not come in time.
func (s *orderedDecode) expire(now int64) {
	if s.fragments.Waiting > 0 {
		s.fragments.Expire(now)
		s.publish()
	}
}
