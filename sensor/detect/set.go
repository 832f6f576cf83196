package detect

// set counts distinct hashes: exactly up to maxExact, and beyond by how full a fixed
// number of bits is (linear counting: Whang, Vander-Zanden and Taylor 1990). The hashes
// are keyed, so that nobody can choose what collides.
type set struct {
	table []uint32 // open addressing, zero is free
	n     int
	bits  []uint64 // nil until the table is full
	ones  int
}

const (
	// maxExact is how many are told apart. The real spambots seen have up to 700 addresses in
	// 500 networks; 4,096 entries take 32 KiB, and only what has that many takes it.
	maxExact = 4096
	// sketchBits counts up to some 200,000 with an error of about 1 %.
	sketchBits = 1 << 15
)

// add reports whether the hash is new.
func (s *set) add(h uint32) bool {
	if h == 0 {
		h = 1
	}
	if s.bits != nil {
		return s.sketch(h)
	}
	if s.n*2 >= len(s.table) {
		if s.n == maxExact {
			s.bits = make([]uint64, sketchBits/64)
			for _, v := range s.table {
				if v != 0 {
					s.sketch(v)
				}
			}
			s.table = nil
			return s.sketch(h)
		}
		old := s.table
		s.table = make([]uint32, max(16, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				s.place(v)
			}
		}
	}
	if !s.place(h) {
		return false
	}
	s.n++
	return true
}

// place reports whether it was not there.
func (s *set) place(h uint32) bool {
	mask := uint32(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			return true
		}
	}
}

func (s *set) sketch(h uint32) bool {
	h = (h ^ h>>15) * 0x2c1b3c6d
	i := h % sketchBits
	if s.bits[i/64]>>(i%64)&1 != 0 {
		return false
	}
	s.bits[i/64] |= 1 << (i % 64)
	s.ones++
	return true
}

// len is how many distinct hashes were added.
func (s *set) len() int {
	if s.bits == nil {
		return s.n
	}
	return linearCount(s.ones, sketchBits)
}
