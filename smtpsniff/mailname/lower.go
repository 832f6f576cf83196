package mailname

import (
	"encoding/binary"
	"unicode/utf8"
)

// ones has a one in each byte, high the highest bit of each byte.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// lowerASCII writes the ASCII letters of b in lower case, and reports whether it is all ASCII. It
// takes eight bytes at a time, about 12 instructions; the last eight may have been seen before.
func lowerASCII(b []byte) bool {
	if len(b) < 8 {
		seen := byte(0)
		for i, c := range b {
			seen |= c
			b[i] = lower(c)
		}
		return seen < utf8.RuneSelf
	}
	seen, last := uint64(0), b[len(b)-8:]
	for len(b) > 8 {
		w := binary.LittleEndian.Uint64(b)
		seen |= w
		binary.LittleEndian.PutUint64(b, lowerWord(w))
		b = b[8:]
	}
	w := binary.LittleEndian.Uint64(last)
	binary.LittleEndian.PutUint64(last, lowerWord(w))
	return (seen|w)&high == 0
}

// lowerWord is lower for eight bytes. Bytes beyond ASCII stay as they are. No sum of a byte below
// 0x80 carries into the next one: its highest bit says whether the byte is at least as large as A,
// or larger than Z.
func lowerWord(w uint64) uint64 {
	low := w &^ high
	fromA, behindZ := low+(0x80-'A')*ones, low+(0x80-'Z'-1)*ones
	return w | (fromA&^behindZ&^w&high)>>2
}
