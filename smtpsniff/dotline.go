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
// bytes, or the 32 bytes that may have one. 9 instructions for eight bytes of ASCII, whatever the
// text: the lines of mail have 76 bytes at most, and to search for each LF would take longer.
func skipText(b []byte) int {
	rest := b
	for len(rest) > 32 {
		c := rest[:33]
		p, q, r, s := dotBehindLF(c[0:9]), dotBehindLF(c[8:17]), dotBehindLF(c[16:25]),
			dotBehindLF(c[24:33])
		found := (p - ones) | (q - ones) | (r - ones) | (s - ones)
		if found&high != 0 { // a zero byte, or one beyond ASCII
			if ((p-ones)&^p|(q-ones)&^q|(r-ones)&^r|(s-ones)&^s)&high != 0 {
				break
			}
		}
		rest = rest[32:]
	}
	return len(b) - len(rest)
}

// dotBehindLF has a zero byte where one of the first eight bytes is LF and the next one a dot.
func dotBehindLF(b []byte) uint64 {
	return (binary.LittleEndian.Uint64(b[:8]) ^ lf) | (binary.LittleEndian.Uint64(b[1:9]) ^ dot)
}
