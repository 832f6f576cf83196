package flowtable

import "math/bits"

// ways is how many entries a bucket holds: one cache line of words.
const ways = 16

// index finds entries of a slab or a ring by hash. A word is a tag, some bits of the hash, above a
// reference, as many bits as the slab needs; zero is free. Buckets do not overflow into others, so
// that a look-up reads one cache line. An index has at least four words for each entry: at that
// load one bucket in a million is full.
type index struct {
	words []uint32
	mask  uint64 // of bucket numbers
	refs  uint   // number of bits of a reference
}

// indexSize is the number of words of an index for n entries, with room words for each.
func indexSize(n, room int) int {
	buckets := 1
	for buckets*ways < n*room {
		buckets *= 2
	}
	return buckets * ways
}

// newIndex makes an index whose references are below n.
func newIndex(words []uint32, n int) index {
	return index{words: words, mask: uint64(len(words)/ways - 1), refs: uint(bits.Len(uint(n - 1)))}
}

// bucket holds the words of this hash. The lowest bits of the hash select it, the middle bits are
// the tag, and the top bits have selected the shard.
func (x *index) bucket(hash uint64) []uint32 {
	i := (hash & x.mask) * ways
	return x.words[i : i+ways : i+ways]
}

// tag is the upper part of a word of this hash. It is never zero, so that no word is.
func (x *index) tag(hash uint64) uint32 { return uint32(hash>>28)>>x.refs | 1<<(31-x.refs) }

func (x *index) word(hash uint64, ref uint32) uint32 { return x.tag(hash)<<x.refs | ref }

// ref is the reference of a word.
func (x *index) ref(word uint32) uint32 { return word & (1<<x.refs - 1) }

// slotFor is the word of the hash's bucket to write next, where references are positions in a ring.
// It is the first word that is free or refers to none of the latest live positions before head;
// else it is the oldest, and age is the age of that one. The records are not read: each read would
// be a wait for memory.
func (x *index) slotFor(hash uint64, head, live uint32) (word *uint32, age uint32) {
	b := x.bucket(hash)
	word = &b[0]
	for i, w := range b {
		a := x.ref(head - w)
		if w == 0 || a == 0 || a > live {
			return &b[i], 0
		}
		if a > age {
			word, age = &b[i], a
		}
	}
	return word, age
}

// remove frees the word of ref.
func (x *index) remove(hash uint64, ref uint32) {
	b, w := x.bucket(hash), x.word(hash, ref)
	for i := range b {
		if b[i] == w {
			b[i] = 0
			return
		}
	}
}
