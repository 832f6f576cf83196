package detect

// set counts distinct hashes: exactly as long as there is room for them, and beyond by how
// full a fixed number of bits is (linear counting: Whang, Vander-Zanden and Taylor 1990).
// The hashes are keyed, so that nobody can choose what collides.
//
// Every set may have a kilobyte. That tells some 190 hashes apart, and then, as bits, counts
// on: 5,000 within 1 %, 40,000 within 4 %. (HyperLogLog in the same kilobyte is off by 3 %
// at any count, and does not tell a new element as often.) Beyond its kilobyte a set
// takes from a Room that all share: the few hosts that contact thousands are then counted exactly.
type set struct {
	table []uint32 // open addressing, zero is free; or bits
	n     int      // elements; or ones
	rough bool     // table is bits
}

const (
	// setWords is the share of every set, 1 KiB.
	setWords = 256
	// maxWords bounds a set, however much room there is.
	maxWords = 8192
	setBits  = setWords * 32
)

// Room is what sets may take beyond their share, in words of four bytes. Nil is none.
type Room struct{ Words int }

// Take takes n words, and reports whether there were as many.
func (r *Room) Take(n int) bool {
	if r == nil || n > r.Words {
		return false
	}
	r.Words -= n
	return true
}

// release gives back what a table took.
func (r *Room) release(table []uint32) {
	if r != nil && len(table) > setWords {
		r.Words += len(table)
	}
}

// add reports whether the hash is new. A set that only estimates takes some for known
// that are new.
func (s *set) add(h uint32, room *Room) bool {
	if h == 0 {
		h = 1
	}
	if !s.rough && s.n*4 >= len(s.table)*3 {
		s.grow(room)
	}
	if s.rough {
		return s.mark(h)
	}
	if !s.place(h) {
		return false
	}
	s.n++
	return true
}

// grow doubles the table, or goes over to bits.
func (s *set) grow(room *Room) {
	old, n := s.table, max(16, 2*len(s.table))
	if s.rough = n > setWords && (n > maxWords || !room.Take(n)); s.rough {
		n, s.n = setWords, 0
	}
	s.table = make([]uint32, n)
	for _, v := range old {
		switch {
		case v == 0:
		case s.rough:
			s.mark(v)
		default:
			s.place(v)
		}
	}
	room.release(old)
}

// place reports whether it was not there.
func (s *set) place(h uint32) bool {
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

// mark sets a hash's bit.
func (s *set) mark(h uint32) bool {
	i := (h ^ h>>15) * 0x2c1b3c6d % setBits
	if s.table[i/32]>>(i%32)&1 != 0 {
		return false
	}
	s.table[i/32] |= 1 << (i % 32)
	s.n++
	return true
}

// each calls f for the hashes, unless there are so many that they are only counted.
func (s *set) each(f func(h uint32)) {
	if s.rough {
		return
	}
	for _, v := range s.table {
		if v != 0 {
			f(v)
		}
	}
}

// len is how many distinct hashes were added.
func (s *set) len() int {
	if !s.rough {
		return s.n
	}
	return linearCount(s.n, setBits)
}
