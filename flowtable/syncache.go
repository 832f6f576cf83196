package flowtable

// SYNCache holds the hosts of which one SYN was seen and nothing else: no second SYN, no answer.
// A flood of SYNs with random senders consists of such hosts, and a source's entry would be ten
// times as large as what there is to know. The entries are in a ring, in the order of their time,
// with an index by host. The owner takes a host that does more out of the cache, and makes a source
// and an attempt of the entry.
//
// Values V are the caller's and hold no Go pointers.
type SYNCache[V any] struct {
	index
	ring []SYNEntry[V]
	head uint32 // position that is written next
	live int
	// Evicted counts entries that were overwritten.
	Evicted uint64
	evicted func(n *SYNEntry[V])
	secret  Secret
	pages   *pages
}

// SYNEntry is the only SYN of a host.
type SYNEntry[V any] struct {
	Time    int64 // of the SYN, nanoseconds
	Key     Key
	ISN     uint32
	Outcome Outcome
	state   uint8
	Value   V
}

// The states of an entry's place in the ring.
const vacant, occupied = 0, 1

func (l *SYNCache[V]) init(x []bucket, ring []SYNEntry[V], mem *pages, secret Secret,
	evicted func(n *SYNEntry[V])) {
	l.index, l.ring, l.pages = newIndex(x), ring, mem
	l.secret, l.evicted = secret, evicted
}

// Prefetch reads the cache lines that Find reads first; see Pool.Prefetch.
func (l *SYNCache[V]) Prefetch(hashes []uint64) (sum uint32) {
	if l.live == 0 {
		return 0
	}
	for _, h := range hashes {
		sum += uint32(l.bucket(h)[0])
	}
	return sum
}

// Find is the entry of the client of k, or nil. host is the client's hash. The pointer is valid
// until the next Add.
func (l *SYNCache[V]) Find(host uint64, k *Key) *SYNEntry[V] {
	if l.live == 0 {
		return nil
	}
	b := l.bucket(host)
	for m := b.matches(tag(host)); m != 0; m &= m - 1 {
		ref := b.ref(way(m))
		if (l.head-ref)&refMask > uint32(len(l.ring)) {
			continue // it was overwritten
		}
		n := l.at(ref)
		if n.state == occupied && n.Key.Client == k.Client && n.Key.Scope == k.Scope {
			return n
		}
	}
	return nil
}

// at is the entry at a position, or the entry that took its place in the ring.
func (l *SYNCache[V]) at(ref uint32) *SYNEntry[V] {
	return &l.ring[ref&uint32(len(l.ring)-1)]
}

// Add makes an entry, with a zero value, for a host that Find did not find.
func (l *SYNCache[V]) Add(host uint64, k *Key, isn uint32, now int64) *SYNEntry[V] {
	n := l.at(l.head)
	if n.state == occupied {
		n.state = vacant
		l.Evicted++
		l.live--
		l.evicted(n)
	}
	b := l.bucket(host)
	i, age := b.slotFor(l.head, uint32(len(l.ring)-1))
	// One bucket in a million is full: its oldest entry cannot be found any more, and is evicted.
	// But a reference that was not replaced for several turns of the ring looks young again, and
	// points to an entry of another bucket, which stays.
	if old := l.at(b.ref(i)); age > 0 && old.state == occupied &&
		l.secret.HashAddr(&old.Key.Client, old.Key.Scope)&l.mask == host&l.mask {
		old.state = vacant
		l.Evicted++
		l.live--
		l.evicted(old)
	}
	b.set(i, tag(host), l.head&refMask)
	var none V
	n.Time, n.Key, n.ISN, n.Outcome, n.state, n.Value = now, *k, isn, Waiting, occupied, none
	if l.head++; l.head == smallEntries[SYNEntry[V]]() {
		l.pages.enlarge()
	}
	l.live++
	return n
}

// Remove takes an entry out of the cache. Its memory is valid until the next Add. host is the hash
// of its client.
func (l *SYNCache[V]) Remove(host uint64, n *SYNEntry[V]) {
	b := l.bucket(host)
	for m := b.matches(tag(host)); m != 0; m &= m - 1 {
		if i := way(m); l.at(b.ref(i)) == n && b[i] == tag(host) {
			b[i] = 0
		}
	}
	n.state = vacant
	l.live--
}

// All calls f for every entry, the oldest first.
func (l *SYNCache[V]) All(f func(n *SYNEntry[V])) {
	if l.live == 0 {
		return
	}
	for i := range uint32(len(l.ring)) {
		if n := l.at(l.head + i); n.state == occupied {
			f(n)
		}
	}
}

// Len is the number of entries.
func (l *SYNCache[V]) Len() int { return l.live }

// Cap is the number of entries that fit.
func (l *SYNCache[V]) Cap() int { return len(l.ring) }

func (l *SYNCache[V]) memory() (used, limit uint64) {
	size := uint64(SYNEntryBytes[V]())
	return uint64(l.live) * size, uint64(len(l.ring)) * size
}
