package flowtable

import (
	"encoding/binary"
	"math/bits"
)

// ways is how many entries a bucket holds.
const ways = 16

// bucket is one cache line: a tag of each entry, and the entries' references of three bytes each. A
// tag is eight bits of the hash; zero is free. A look-up compares the tags eight at a time.
type bucket [ways + 3*ways]byte

const (
	// refBits is the size of a reference, refMask its bits.
	refBits = 24
	refMask = 1<<refBits - 1
	// ones and highs have the lowest and the highest bit of each byte.
	ones, highs = 0x0101010101010101, 0x8080808080808080
)

// zeroBytes has the highest bit of each byte of v that is zero. It may also have that of a byte
// that is one, above a byte that is zero.
func zeroBytes(v uint64) uint64 { return (v - ones) & ^v & highs }

// matches has a bit for each way of the bucket that may hold this tag; way has its number.
func (b *bucket) matches(tag uint8) uint64 {
	t := uint64(tag) * ones
	return zeroBytes(le64(b[:])^t) | zeroBytes(le64(b[8:])^t)>>1
}

// way is the number of the way that the lowest bit of matches stands for.
func way(matches uint64) int {
	i := bits.TrailingZeros64(matches)
	return (i>>3 | ^i<<3&8) & (ways - 1)
}

// free is the first way of the bucket that is free, or ways if there is none.
func (b *bucket) free() int {
	if m := zeroBytes(le64(b[:])); m != 0 {
		return bits.TrailingZeros64(m) >> 3
	}
	return 8 + bits.TrailingZeros64(zeroBytes(le64(b[8:])))>>3
}

// ref is the reference of a way. It reads the byte before, too: a word of four is one read.
func (b *bucket) ref(way int) uint32 {
	return binary.LittleEndian.Uint32(b[ways-1+3*(way&(ways-1)):]) >> 8
}

// set gives a way to an entry.
func (b *bucket) set(way int, tag uint8, ref uint32) {
	b[way] = tag
	at := b[ways+3*way : ways+3*way+3]
	at[0], at[1], at[2] = byte(ref), byte(ref>>8), byte(ref>>16)
}

// index finds entries of a slab or a ring by hash. Buckets do not overflow into others, so that a
// look-up reads one cache line. An index has at least four ways for each entry: at that load one
// bucket in a million is full.
type index struct {
	buckets []bucket
	mask    uint64 // of bucket numbers
}

// indexSize is the number of buckets of an index for n entries.
func indexSize(n int) int {
	buckets := 1
	for buckets*ways < n*4 {
		buckets *= 2
	}
	return buckets
}

func newIndex(buckets []bucket) index {
	return index{buckets: buckets, mask: uint64(len(buckets) - 1)}
}

// bucket holds the entries of this hash. The lowest bits of the hash select it, the middle bits are
// the tag, and the top bits have selected the shard.
func (x *index) bucket(hash uint64) *bucket { return &x.buckets[hash&x.mask] }

// tag is what a bucket has of this hash. It is never zero, which is free, nor one: a free way above
// one that matches would seem to match too, see zeroBytes, and a look-up would find the entry that
// was removed from there.
func tag(hash uint64) uint8 {
	t := uint32(hash>>28) & 0xff
	return uint8(t + (t-2)>>31<<1)
}

// slotFor is the way of a bucket to write next, where references are positions in a ring. It is one
// that is free or refers to none of the latest live positions before head; else it is the oldest,
// and age is the age of that one. The records are not read: each read would be a wait for memory.
// The search begins at a way that depends on head: the first ways are in use more often than not.
func (b *bucket) slotFor(head, live uint32) (way int, age uint32) {
	for i := range uint32(ways) {
		w := int((head + i) % ways)
		a := (head - b.ref(w)) & refMask
		if b[w] == 0 || a == 0 || a > live {
			return w, 0
		}
		if a > age {
			way, age = w, a
		}
	}
	return way, age
}

// remove frees the way of ref.
func (x *index) remove(hash uint64, ref uint32) {
	b := x.bucket(hash)
	for m := b.matches(tag(hash)); m != 0; m &= m - 1 {
		if i := way(m); b.ref(i) == ref && b[i] == tag(hash) {
			b[i] = 0
			return
		}
	}
}
