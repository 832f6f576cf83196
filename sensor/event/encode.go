package event

import (
	"math"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"spamsensor/sensor/frame"
)

// Values of JSON as zerolog writes them, appended to a buffer. Sessions, findings and sources are
// almost all of the events of a storm, so that their encoders (session.go, finding.go) write keys
// and punctuation as constants, and use these functions for the values. Each has its counterpart in
// zerolog's internal package json, with which the tests compare it.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain reports whether JSON writes a text as it is, and so does Escape: it is printable ASCII
// without quote and backslash. Eight bytes take about twenty instructions.
func plain(s string) bool {
	for len(s) >= 8 {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// The sum has the high bit of a byte for 0x7f and above, the differences for less than a
		// space, for a quote and for a backslash. A carry comes from such a byte only.
		if (x|(x+ones)|(x-ones*' ')|(x^ones*'"'-ones)|(x^ones*'\\'-ones))&highs != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendString appends a string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		b = append(b, s...)
	} else {
		b = appendEscaped(b, s)
	}
	return append(b, '"')
}

// appendEscaped appends a string that is not plain, without its quotes.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, `\ufffd`...)
			} else {
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
	}
	return b
}

// appendStrings appends an array of strings.
func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendUint appends a number. Most numbers of a session have one digit.
func appendUint[T uint8 | uint16 | uint32 | uint64](b []byte, n T) []byte {
	if n < 10 {
		return append(b, '0'+byte(n))
	}
	return strconv.AppendUint(b, uint64(n), 10)
}

// appendInt is appendUint for a number that may be negative.
func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// exactSeconds bounds the microseconds that appendSeconds writes as digits: up to here a number has
// at most 15 digits, so that no shorter one stands for the same float64.
const exactSeconds = 1e15

// appendSeconds appends a time in seconds as zerolog writes the float64.
func appendSeconds(b []byte, ns int64) []byte {
	us := ns / 1000
	if us < 0 || us >= exactSeconds {
		return appendFloat(b, seconds(ns))
	}
	b = appendUint(b, uint64(us/1e6))
	fraction := int(us % 1e6)
	if fraction == 0 {
		return b
	}
	b = sixDigits(append(b, '.'), fraction)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendFloat appends a number in the shortest form, which is that of ECMAScript. JSON has no other
// numbers than finite ones, so that the others are strings.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"+Inf"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Inf"`...)
	}
	if x := math.Abs(f); x != 0 && (x < 1e-6 || x >= 1e21) {
		b = strconv.AppendFloat(b, f, 'e', -1, 64)
		if n := len(b); b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' { // e-09 is e-9
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
		return b
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendIP appends an address as its String is.
func appendIP(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, a.String()...)
	}
	return a.AppendTo(b)
}

// appendMAC appends a link-layer address.
func appendMAC(b []byte, m [6]byte) []byte {
	for i, c := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

// appendEnhanced appends an enhanced status code.
func appendEnhanced(b []byte, e [3]uint16) []byte {
	b = append(appendUint(b, e[0]), '.')
	b = append(appendUint(b, e[1]), '.')
	return appendUint(b, e[2])
}

// twoDigits appends a number below 100. Package fmt would cost a tenth of the time of reading a
// file with many sessions.
func twoDigits(b []byte, v int) []byte { return append(b, '0'+byte(v/10), '0'+byte(v%10)) }

// sixDigits appends a number below a million.
func sixDigits(b []byte, v int) []byte {
	return twoDigits(twoDigits(twoDigits(b, v/10_000), v/100%100), v%100)
}

// clock appends times in the form of Timestamp. It keeps the texts of some seconds: sessions begin
// and end in the same few seconds.
type clock [16]struct {
	second int64
	text   [len("2006-01-02T15:04:05.")]byte // begins with 0 if it is not set
}

// append appends a time as a string.
func (c *clock) append(b []byte, ns int64) []byte {
	shown := frame.ShownTime(ns)
	second, micros := shown/1e9, int(shown%1e9/1000)
	if shown < 0 {
		return append(append(append(b, '"'), Timestamp(ns)...), '"')
	}
	e := &c[uint64(second)%uint64(len(c))]
	if e.second != second || e.text[0] == 0 {
		e.second = second
		copy(e.text[:], Timestamp(ns))
	}
	b = append(append(b, '"'), e.text[:]...)
	return append(sixDigits(b, micros), 'Z', '"')
}
