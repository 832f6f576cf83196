package sketch

// SmallSet is a set of up to three hashes, without a pointer. The zero value is empty.
type SmallSet struct {
	hash [3]uint32
	n    uint8
}

// Len is the number of hashes.
func (s *SmallSet) Len() int { return int(s.n) }

// All are the hashes, in the order in which they were added. The slice is the set's own memory.
func (s *SmallSet) All() []uint32 { return s.hash[:s.n] }

// Add inserts a hash, and reports whether the set is too small for it.
func (s *SmallSet) Add(h uint32) (full bool) {
	for _, have := range s.hash[:s.n] {
		if have == h {
			return false
		}
	}
	if int(s.n) == len(s.hash) {
		return true
	}
	s.hash[s.n] = h
	s.n++
	return false
}
