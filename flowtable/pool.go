package flowtable

import "unsafe"

// Ref is the number of an entry of a Pool until the entry is removed; zero is none.
type Ref uint32

// Pool is a bounded table: an index over a slab of entries. Key and value hold no Go pointers, so
// that the collector never scans them. The lock of its shard guards a Pool.
type Pool[K comparable, V any] struct {
	index
	slab   []entry[K, V]
	stride uint32 // see at
	size   uint32 // of the pool, with entry 0, which is none

	free []uint32 // removed entries, used again last first: the slab stays dense and in the cache
	top  uint32   // entries from here on were never used
	live int

	// keepPriority ranks an entry; in a full pool the lowest is evicted.
	keepPriority func(v *V) int64
	// evicted is called with an entry before it makes room.
	evicted func(r Ref, k *K, v *V)
	// Evicted counts entries that had to make room.
	Evicted uint64

	wheel wheel
	pages *pages
}

// entry is an entry of a pool. Its first line of the cache holds what a look-up by hash compares,
// and the beginning of the value. The key comes last: packets of known flows do not need it.
type entry[K comparable, V any] struct {
	hash       uint64
	prev, next uint32 // in a slot of the wheel
	slot       uint16 // of the wheel, plus one; zero is none
	gen        uint16 // counts the uses of the entry, to recognise a stale Ref
	used       bool
	value      V
	key        K
}

// newPools makes the memory for the pools of all shards, each with n entries, and returns a
// function that sets up the pool of a shard.
func newPools[K comparable, V any](a *arena, n, shards int, keepPriority func(*V) int64,
) func(shard int, p *Pool[K, V], evicted func(Ref, *K, *V)) {
	mem := new(pages)
	buckets := slice[bucket](a, mem, indexSize(n)*shards)
	slab := slice[entry[K, V]](a, mem, (n/chunk+1)*chunk*shards)
	return func(i int, p *Pool[K, V], evicted func(Ref, *K, *V)) {
		p.index, p.slab, p.pages = newIndex(part(buckets, i, shards)), slab[i*chunk:], mem
		p.top, p.size, p.stride = 1, uint32(n+1), uint32((shards-1)*chunk)
		p.keepPriority, p.evicted = keepPriority, evicted
	}
}

// chunk is how many entries of a shard lie together. The chunks of all shards take turns in the
// slab, so that the entries in use are at its beginning, on as few huge pages as possible: a storm
// of short sessions uses a third of the flows, and took all of their 31 MB.
const chunk = 64

// at is the entry with this number.
func (p *Pool[K, V]) at(r uint32) *entry[K, V] { return &p.slab[r+r/chunk*p.stride] }

// part is the i-th of n equal parts.
func part[T any](s []T, i, n int) []T {
	size := len(s) / n
	return s[i*size : (i+1)*size : (i+1)*size]
}

// Len is the number of entries.
func (p *Pool[K, V]) Len() int { return p.live }

func (p *Pool[K, V]) memory() (used, limit uint64) {
	size := uint64(unsafe.Sizeof(p.slab[0]))
	per := uint64(unsafe.Sizeof(bucket{})) * uint64(len(p.buckets)) / uint64(p.Cap())
	return uint64(p.live) * (size + per), uint64(p.Cap()) * (size + per)
}

// indexBytes is the share of the index that an entry takes, at most.
const indexBytes = 8 * 4

// FlowBytes is the size of a flow's entry with its share of the index, at most.
func FlowBytes[F any]() uintptr { return unsafe.Sizeof(entry[Key, F]{}) + indexBytes }

// SourceBytes is the size of a source's entry with its share of the index, at most.
func SourceBytes[S any]() uintptr { return unsafe.Sizeof(entry[HostKey, S]{}) + indexBytes }

// SYNEntryBytes is the size of an entry of the SYN cache with its share of the index, at most.
func SYNEntryBytes[N any]() uintptr { return unsafe.Sizeof(SYNEntry[N]{}) + indexBytes/2 }

// AttemptBytes is the size of an attempt with its share of the index, at most.
const AttemptBytes = unsafe.Sizeof(Attempt{}) + indexBytes/2

// Cap is the number of entries that fit.
func (p *Pool[K, V]) Cap() int { return int(p.size) - 1 }

// Prefetch reads the cache lines that Find reads first, so that the memory accesses of many packets
// overlap. The result has no meaning; its use keeps the compiler from removing the read.
func (p *Pool[K, V]) Prefetch(hashes []uint64) (sum uint32) {
	if p.live == 0 {
		return 0
	}
	for _, h := range hashes {
		sum += uint32(p.bucket(h)[0])
	}
	return sum
}

// Find returns the entry with this key, or zero.
func (p *Pool[K, V]) Find(hash uint64, k *K) Ref {
	if p.live == 0 {
		return 0
	}
	b := p.bucket(hash)
	for m := b.matches(tag(hash)); m != 0; m &= m - 1 {
		r := b.ref(way(m))
		if e := p.at(r); e.hash == hash && e.key == *k {
			return Ref(r)
		}
	}
	return 0
}

// FindHash is Find by the hash alone: all its bits are compared, so that one of 2^64 look-ups finds
// another key's entry, and without the secret none can be chosen that does.
func (p *Pool[K, V]) FindHash(hash uint64) Ref {
	if p.live == 0 {
		return 0
	}
	b := p.bucket(hash)
	for m := b.matches(tag(hash)); m != 0; m &= m - 1 {
		if r := b.ref(way(m)); p.at(r).hash == hash {
			return Ref(r)
		}
	}
	return 0
}

// At returns the value of an entry. The pointer is valid until the entry is removed.
func (p *Pool[K, V]) At(r Ref) *V { return &p.at(uint32(r)).value }

// KeyOf returns the key of an entry. The pointer is valid until the entry is removed.
func (p *Pool[K, V]) KeyOf(r Ref) *K { return &p.at(uint32(r)).key }

// Gen changes each time the entry is used for another key.
func (p *Pool[K, V]) Gen(r Ref) uint16 { return p.at(uint32(r)).gen }

// Add makes an entry with the zero value for a key that Find did not find. It always succeeds, if
// necessary by the eviction of another entry.
func (p *Pool[K, V]) Add(hash uint64, k *K) Ref {
	b := p.bucket(hash)
	at := b.free()
	if at == ways {
		var least candidate
		p.lowestIn(&least, b)
		p.evict(least.ref)
		return p.Add(hash, k) // finds the place of the evicted entry
	}
	var r uint32
	switch {
	case len(p.free) > 0:
		r = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
	case p.top < p.size:
		r = p.top
		p.top++
		if r == smallEntries[entry[K, V]]() {
			p.pages.enlarge()
		}
	default:
		p.evict(p.lowest(hash))
		return p.Add(hash, k)
	}
	e := p.at(r)
	*e = entry[K, V]{key: *k, hash: hash, gen: e.gen + 1, used: true}
	b.set(at, tag(hash), r)
	p.live++
	return Ref(r)
}

// sample is how many entries are compared for an eviction: the lowest of a random sample is nearly
// the lowest of all, and needs no order.
const sample = 16

// lowest is the entry of the lowest priority among those near the hash.
func (p *Pool[K, V]) lowest(hash uint64) Ref {
	var least candidate
	// At most once around the index: the slab is full.
	for i, seen := uint64(0), 0; seen < min(sample, p.live); i++ {
		seen += p.lowestIn(&least, p.bucket(hash+i))
	}
	return least.ref
}

// candidate is the entry of the lowest priority so far.
type candidate struct {
	ref          Ref
	keepPriority int64
}

// lowestIn looks for an entry of a lower priority in a bucket, and returns how many entries it
// holds.
func (p *Pool[K, V]) lowestIn(least *candidate, b *bucket) (n int) {
	for i := range ways {
		if b[i] == 0 {
			continue
		}
		n++
		r := b.ref(i)
		if v := p.keepPriority(&p.at(r).value); least.ref == 0 || v < least.keepPriority {
			*least = candidate{Ref(r), v}
		}
	}
	return n
}

func (p *Pool[K, V]) evict(r Ref) {
	e := p.at(uint32(r))
	p.Evicted++
	p.evicted(r, &e.key, &e.value)
	if e.used { // the callback may have removed it
		p.Remove(r)
	}
}

// Remove removes an entry.
func (p *Pool[K, V]) Remove(r Ref) {
	e := p.at(uint32(r))
	p.index.remove(e.hash, uint32(r))
	p.unschedule(uint32(r))
	p.free = append(p.free, uint32(r))
	e.used = false
	p.live--
}

// HashOf is the hash under which an entry is found.
func (p *Pool[K, V]) HashOf(r Ref) uint64 { return p.at(uint32(r)).hash }

// Move changes the hash under which an entry is found. An entry with the new hash must have been
// removed just before, so that its bucket has room.
func (p *Pool[K, V]) Move(r Ref, hash uint64) {
	e := p.at(uint32(r))
	p.index.remove(e.hash, uint32(r))
	e.hash = hash
	b := p.bucket(hash)
	b.set(b.free(), tag(hash), uint32(r))
}

// Still is the value of an entry that was found under this hash with this generation, or nil if it
// was removed or moved since.
func (p *Pool[K, V]) Still(r Ref, gen uint16, hash uint64) *V {
	e := p.at(uint32(r))
	if e.hash != hash || e.gen != gen || !e.used {
		return nil
	}
	return &e.value
}

// Used reports whether r is an entry and has the generation gen, so that its key is still the same.
func (p *Pool[K, V]) Used(r Ref, gen uint16) bool {
	e := p.at(uint32(r))
	return e.used && e.gen == gen
}

// All calls f for every entry, in the order of the slab. f may remove the entry that it is given.
func (p *Pool[K, V]) All(f func(r Ref, k *K, v *V)) {
	for r := uint32(1); r < p.top; r++ {
		if e := p.at(r); e.used {
			f(Ref(r), &e.key, &e.value)
		}
	}
}
