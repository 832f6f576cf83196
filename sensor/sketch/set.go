package sketch

import (
	"math"
	"math/bits"
	"slices"
)

// Set counts distinct hashes: exactly as long as its table has room for them, and beyond that by
// the share of ones in a fixed number of bits (linear counting: Whang, Vander-Zanden and Taylor,
// ACM TODS 15, 1990). The zero value is empty.
//
// Every set has a kilobyte of its own. As a table a kilobyte holds some 190 hashes; as bits it
// counts on: 5,000 within 1 %, 40,000 within 4 %. (HyperLogLog in the same kilobyte is off by 3 %
// at any count, and recognises a new element less often.) Beyond its kilobyte a set takes from a
// [Budget] that all sets share: the few hosts that contact thousands are then counted exactly.
type Set struct {
	table     []uint32 // open addressing, zero is free; or bits
	n         int      // elements; or ones
	estimated bool     // table is bits
}

const (
	// setWords is the own memory of every set, 1 KiB.
	setWords = 256
	// maxWords bounds a set, however large the budget is.
	maxWords = 8192
	setBits  = setWords * 32
)

// Budget is the memory that all sets share beyond their own kilobyte, in words of four bytes. A nil
// budget has none.
type Budget struct{ Words int }

// Take takes n words, and reports whether the budget had as many.
func (b *Budget) Take(n int) bool {
	if b == nil || n > b.Words {
		return false
	}
	b.Words -= n
	return true
}

// release returns the words that a table took.
func (b *Budget) release(table []uint32) {
	if b != nil && len(table) > setWords {
		b.Words += len(table)
	}
}

// Add inserts a hash and reports whether the hash is new. A set that only estimates reports some
// new hashes as known.
func (s *Set) Add(h uint32, budget *Budget) bool {
	if h == 0 {
		h = 1
	}
	if !s.estimated && s.n*4 >= len(s.table)*3 {
		s.grow(budget)
	}
	if s.estimated {
		return s.mark(h)
	}
	if !s.place(h) {
		return false
	}
	s.n++
	return true
}

// grow doubles the table, or goes over to bits.
func (s *Set) grow(budget *Budget) {
	old, n := s.table, max(16, 2*len(s.table))
	if s.estimated = n > setWords && (n > maxWords || !budget.Take(n)); s.estimated {
		n, s.n = setWords, 0
	}
	s.table = make([]uint32, n)
	for _, v := range old {
		switch {
		case v == 0:
		case s.estimated:
			s.mark(v)
		default:
			s.place(v)
		}
	}
	budget.release(old)
}

// place inserts a hash into the table, and reports whether the hash is new.
func (s *Set) place(h uint32) bool {
	mask := uint32(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask { // ends at a free place: the table is never full
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			return true
		}
	}
}

// mark sets the bit of a hash, and reports whether the bit was zero.
func (s *Set) mark(h uint32) bool {
	i := (h ^ h>>15) * 0x2c1b3c6d % setBits
	if s.table[i/32]>>(i%32)&1 != 0 {
		return false
	}
	s.table[i/32] |= 1 << (i % 32)
	s.n++
	return true
}

// Each calls f for every hash, and not at all if the set only estimates.
func (s *Set) Each(f func(h uint32)) {
	if s.estimated {
		return
	}
	for _, v := range s.table {
		if v != 0 {
			f(v)
		}
	}
}

// Union adds all hashes of another set. A set that only estimates gives no hashes: then the sum
// only estimates, too.
func (s *Set) Union(o *Set, budget *Budget) {
	if !o.estimated {
		o.Each(func(h uint32) { s.Add(h, budget) })
		return
	}
	if !s.estimated {
		old := s.table
		*s = Set{table: make([]uint32, setWords), estimated: true}
		for _, h := range old {
			if h != 0 {
				s.mark(h)
			}
		}
		budget.release(old)
	}
	s.n = 0
	for i, w := range o.table {
		s.table[i] |= w
		s.n += bits.OnesCount32(s.table[i])
	}
}

// Len is the number of distinct hashes that were added.
func (s *Set) Len() int {
	if !s.estimated {
		return s.n
	}
	return linearCount(s.n, setBits)
}

// Release returns to the budget what the set took.
func (s *Set) Release(budget *Budget) { budget.release(s.table) }

// Clone is a copy that shares no memory.
func (s *Set) Clone() Set {
	c := *s
	c.table = slices.Clone(s.table)
	return c
}

// Estimated reports whether the set only estimates its size.
func (s *Set) Estimated() bool { return s.estimated }

// Words is the size of its table, in words of four bytes.
func (s *Set) Words() int { return len(s.table) }

// linearCount estimates how many distinct values set ones of m bits.
func linearCount(ones, m int) int {
	zero := max(m-ones, 1)
	return int(math.Round(float64(m) * math.Log(float64(m)/float64(zero))))
}
