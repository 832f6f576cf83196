package flowtable

import "unsafe"

// Ref names an entry of a Pool until it is removed; zero names none.
type Ref uint32

// Pool is a bounded table: an index over a slab of entries. Key and value hold no Go
// pointers, so that the collector never looks at them. A Pool is guarded by its shard's
// lock.
type Pool[K comparable, V any] struct {
	index
	slab []entry[K, V]
	free []uint32 // removed entries, last first: the slab stays dense and warm
	top  uint32   // entries beyond this were never used
	live int

	// keepPriority says how much an entry is worth; when there is no room the lowest is evicted.
	keepPriority func(v *V) int64
	// evicted is called with an entry that has to make room.
	evicted func(r Ref, k *K, v *V)
	// Evicted counts entries that had to make room.
	Evicted uint64

	wheel wheel
}

type entry[K comparable, V any] struct {
	key        K
	hash       uint64
	prev, next uint32 // in a slot of the wheel
	slot       uint16 // of the wheel, plus one; zero is none
	gen        uint16 // counts how often the entry was used, to see that a Ref is stale
	used       bool
	value      V
}

// initPools makes the pools of all shards, each with n entries.
func initPools[K comparable, V any](a *arena, n, shards int, each func(i int) (p *Pool[K, V], rank func(*V) int64, evicted func(Ref, *K, *V))) {
	words, slab := slice[uint32](a, indexSize(n, 4)*shards), slice[entry[K, V]](a, (n+1)*shards)
	for i := range shards {
		p, rank, evicted := each(i)
		p.init(part(words, i, shards), part(slab, i, shards), rank, evicted)
	}
}

// part is the i-th of n equal parts.
func part[T any](s []T, i, n int) []T {
	size := len(s) / n
	return s[i*size : (i+1)*size : (i+1)*size]
}

func (p *Pool[K, V]) init(words []uint32, slab []entry[K, V], rank func(*V) int64, evicted func(Ref, *K, *V)) {
	p.index, p.slab = newIndex(words, len(slab)), slab // entry 0 is none
	p.top = 1
	p.keepPriority, p.evicted = rank, evicted
}

// Len is how many entries there are.
func (p *Pool[K, V]) Len() int { return p.live }

func (p *Pool[K, V]) memory() (used, limit uint64) {
	size := uint64(unsafe.Sizeof(p.slab[0]))
	per := 4 * uint64(len(p.words)) / uint64(p.Cap())
	return uint64(p.live) * (size + per), uint64(p.Cap()) * (size + per)
}

// indexBytes is what an entry takes in its index, at most.
const indexBytes = 8 * 4

// FlowBytes and SourceBytes are what an entry of a pool takes, SYNEntryBytes and AttemptBytes one
// of a ring, at most.
func FlowBytes[F any]() uintptr   { return unsafe.Sizeof(entry[Key, F]{}) + indexBytes }
func SourceBytes[S any]() uintptr { return unsafe.Sizeof(entry[HostKey, S]{}) + indexBytes }

// SYNEntryBytes: see FlowBytes.
func SYNEntryBytes[N any]() uintptr { return unsafe.Sizeof(SYNEntry[N]{}) + indexBytes/2 }

// AttemptBytes: see FlowBytes.
const AttemptBytes = unsafe.Sizeof(Attempt{}) + indexBytes/2

// Cap is how many entries there can be.
func (p *Pool[K, V]) Cap() int { return len(p.slab) - 1 }

// Prefetch fetches what Find will look at, so that the memory accesses of many packets
// overlap instead of following each other.
func (p *Pool[K, V]) Prefetch(hash uint64) uint32 {
	if p.live == 0 {
		return 0
	}
	return p.bucket(hash)[0]
}

// Find looks an entry up.
func (p *Pool[K, V]) Find(hash uint64, k *K) Ref {
	if p.live == 0 {
		return 0
	}
	t := p.tag(hash)
	for _, w := range p.bucket(hash) {
		if w>>p.refs == t {
			if r := p.ref(w); p.slab[r].key == *k {
				return Ref(r)
			}
		}
	}
	return 0
}

// At is the value of an entry.
func (p *Pool[K, V]) At(r Ref) *V { return &p.slab[r].value }

// KeyOf is the key of an entry.
func (p *Pool[K, V]) KeyOf(r Ref) *K { return &p.slab[r].key }

// Gen changes each time the entry is used for another key.
func (p *Pool[K, V]) Gen(r Ref) uint16 { return p.slab[r].gen }

// Add makes an entry with the zero value for a key that Find did not find. It always
// succeeds, if need be at the cost of another entry.
func (p *Pool[K, V]) Add(hash uint64, k *K) Ref {
	b := p.bucket(hash)
	at := -1
	for i, w := range b {
		if w == 0 {
			at = i
			break
		}
	}
	if at < 0 {
		var least candidate
		p.lowestIn(&least, b)
		p.evict(least.ref)
		return p.Add(hash, k) // finds the place of what was evicted
	}
	var r uint32
	switch {
	case len(p.free) > 0:
		r = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
	case int(p.top) < len(p.slab):
		r = p.top
		p.top++
	default:
		p.evict(p.lowest(hash))
		return p.Add(hash, k)
	}
	e := &p.slab[r]
	*e = entry[K, V]{key: *k, hash: hash, gen: e.gen + 1, used: true}
	b[at] = p.word(hash, r)
	p.live++
	return Ref(r)
}

// sample is how many entries are compared when one has to go: the least of a random
// sample is nearly the least of all, and costs no order.
const sample = 16

// lowest is the entry of the least worth among those near the hash.
func (p *Pool[K, V]) lowest(hash uint64) Ref {
	var least candidate
	for i, seen := uint64(0), 0; seen < min(sample, p.live); i++ { // once around the index at most; it is called when the slab is full
		seen += p.lowestIn(&least, p.bucket(hash+i))
	}
	return least.ref
}

// candidate is the entry of the least worth so far.
type candidate struct {
	ref          Ref
	keepPriority int64
}

// lowestIn looks for an entry of lower worth in a bucket, and says how many it holds.
func (p *Pool[K, V]) lowestIn(least *candidate, bucket []uint32) (n int) {
	for _, w := range bucket {
		if w == 0 {
			continue
		}
		n++
		r := p.ref(w)
		if v := p.keepPriority(&p.slab[r].value); least.ref == 0 || v < least.keepPriority {
			*least = candidate{Ref(r), v}
		}
	}
	return n
}

func (p *Pool[K, V]) evict(r Ref) {
	e := &p.slab[r]
	p.Evicted++
	p.evicted(r, &e.key, &e.value)
	if e.used { // the callback may have removed it
		p.Remove(r)
	}
}

// Remove forgets an entry.
func (p *Pool[K, V]) Remove(r Ref) {
	e := &p.slab[r]
	p.index.remove(e.hash, uint32(r))
	p.unschedule(uint32(r))
	p.free = append(p.free, uint32(r))
	e.used = false
	p.live--
}

// HashOf is the hash under which an entry is found.
func (p *Pool[K, V]) HashOf(r Ref) uint64 { return p.slab[r].hash }

// Move has an entry be found under another hash, under which an entry was removed just now: there is room.
func (p *Pool[K, V]) Move(r Ref, hash uint64) {
	e := &p.slab[r]
	p.index.remove(e.hash, uint32(r))
	e.hash = hash
	for i, b := 0, p.bucket(hash); i < len(b); i++ {
		if b[i] == 0 {
			b[i] = p.word(hash, uint32(r))
			return
		}
	}
}

// Used reports whether r is an entry and was not used for another key since gen.
func (p *Pool[K, V]) Used(r Ref, gen uint16) bool {
	e := &p.slab[r]
	return e.used && e.gen == gen
}

// All calls f for every entry, in the order of the slab. f may remove the entry it is
// given.
func (p *Pool[K, V]) All(f func(r Ref, k *K, v *V)) {
	for r := uint32(1); r < p.top; r++ {
		if e := &p.slab[r]; e.used {
			f(Ref(r), &e.key, &e.value)
		}
	}
}
