package flowtable

import "math/bits"

// ways is how many entries a bucket holds: two cache lines, the second of which the
// processor fetches along with the first.
const ways = 16

// index finds entries of a slab by hash. A word is a 32-bit tag over a 32-bit reference;
// zero is free. Buckets do not spill over, so that a lookup touches at most two lines,
// and an index has four words for every entry of its slab: at that load one bucket in a
// million is full.
type index struct {
	words []uint64
	mask  uint64 // of bucket numbers
}

// indexSize is how many words an index for n entries has, with room words for each.
func indexSize(n, room int) int {
	buckets := 1
	for buckets*ways < n*room {
		buckets *= 2
	}
	return buckets * ways
}

func newIndex(words []uint64) index {
	return index{words: words, mask: uint64(len(words)/ways - 1)}
}

// bucket is where the entries of this hash are. The lower half of the hash chooses it,
// the upper half is the tag, and the shard took the top bits.
func (x *index) bucket(hash uint64) []uint64 {
	i := (hash & x.mask) * ways
	return x.words[i : i+ways : i+ways]
}

func word(hash uint64, ref uint32) uint64 { return tag(hash)<<32 | uint64(ref) }

// tag mixes the hash, because flows of one host have hashes that differ in all bits but
// hosts in one shard share the top ones.
func tag(hash uint64) uint64 { return bits.RotateLeft64(hash, 29) >> 32 }

// remove forgets ref.
func (x *index) remove(hash uint64, ref uint32) {
	b, w := x.bucket(hash), word(hash, ref)
	for i := range b {
		if b[i] == w {
			b[i] = 0
			return
		}
	}
}
