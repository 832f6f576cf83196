package smtpsniff

import "encoding/binary"

// lf and dot have that byte eight times, ones a one in each byte, high the highest bit of each.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
	lf   = '\n' * ones
	dot  = '.' * ones
)

// skipText returns how many bytes of b may be skipped in the search for a line that begins with a
// dot: no LF among them has a dot behind it. It takes 32 bytes at a time and leaves fewer than 33
// bytes, or the 32 bytes that may have one. 13 instructions for eight bytes, whatever the text: the
// lines of mail have 76 bytes at most, and to search for each LF would take longer.
func skipText(b []byte) (n int) {
	for len(b) > 32 {
		c := b[:33]
		found := dotBehindLF(c[0:9]) | dotBehindLF(c[8:17]) | dotBehindLF(c[16:25]) |
			dotBehindLF(c[24:33])
		if found&high != 0 {
			return n
		}
		b = b[32:]
		n += 32
	}
	return n
}

// dotBehindLF has the highest bit of a byte set where one of the first eight bytes is LF and the
// next one a dot. There may be more such bits above the first one.
func dotBehindLF(b []byte) uint64 {
	differ := binary.LittleEndian.Uint64(b[:8]) ^ lf | binary.LittleEndian.Uint64(b[1:9]) ^ dot
	return (differ - ones) &^ differ
}
