package sketch

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Saved is a set as a checkpoint holds it: its hashes, or the bits of a set that only estimates.
type Saved struct {
	Hashes []uint32 `json:"Hashes,omitempty"`
	Bits   []byte   `json:"Bits,omitempty"`
}

// Save is the set as a checkpoint holds it.
func (s *Set) Save() (d Saved) {
	if !s.estimated && s.n*4 <= setWords*3 {
		for _, v := range s.table {
			if v != 0 {
				d.Hashes = append(d.Hashes, v)
			}
		}
		slices.Sort(d.Hashes)
		return d
	}
	ones := s
	if !s.estimated {
		ones = &Set{table: make([]uint32, setWords), estimated: true}
		for _, v := range s.table {
			if v != 0 {
				ones.mark(v)
			}
		}
	}
	for _, word := range ones.table {
		d.Bits = binary.LittleEndian.AppendUint32(d.Bits, word)
	}
	return d
}

// Load is the opposite of Save. Bits of another size are ignored.
func (s *Set) Load(d *Saved, budget *Budget) {
	if len(d.Bits) == setWords*4 {
		budget.release(s.table)
		*s = Set{table: make([]uint32, setWords), estimated: true}
		for i := range s.table {
			s.table[i] = binary.LittleEndian.Uint32(d.Bits[i*4:])
			s.n += bits.OnesCount32(s.table[i])
		}
		return
	}
	for _, v := range d.Hashes[:min(len(d.Hashes), setWords)] {
		s.Add(v, budget)
	}
}
