package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// maxText bounds the bytes of a text that are decoded; addresses have 254 bytes at most.
const maxText = 512

// eachDecoding calls f for each decoding of a part of a text, until f returns true: percent signs
// (RFC 3986, section 2.1), equals signs (RFC 2045, section 6.7), plus signs (RFC 3461, section 4),
// base64, hexadecimal digits. It reports whether f returned true.
func (r *Redactor) eachDecoding(part []byte, f func(plain []byte) bool) bool {
	if len(part) > maxText {
		part = part[:maxText]
	}
	quoting, extra := false, false
	for _, c := range part {
		switch c {
		case '%', '=':
			quoting = true
		case '+':
			quoting, extra = true, true
		case '/', '-', '_':
			extra = true
		}
	}
	if quoting {
		for _, mark := range []byte("%=+") {
			if bytes.IndexByte(part, mark) >= 0 {
				if plain, ok := unquote(r.decoded[:0], part, mark); ok && f(plain) {
					return true
				}
			}
		}
	}
	// The other characters of base64 may stand between words, or in one.
	return r.eachRun(part, "", f) || extra && r.eachRun(part, runExtra, f)
}

// runExtra are the characters of base64 besides letters and digits, in both of its alphabets.
const runExtra = "+/-_"

// eachRun calls f for the decodings of the runs of letters, digits and the characters of more,
// until f returns true. With more it skips the runs without any of them.
func (r *Redactor) eachRun(part []byte, more string, f func(plain []byte) bool) bool {
	for i := 0; i < len(part); { // each round takes a byte at least
		end, extra := i, more == ""
		for end < len(part) && (asciiLetter(part[end]) || strings.IndexByte(more, part[end]) >= 0) {
			extra = extra || !letter(part[end])
			end++
		}
		if run := part[i:end]; len(run) >= 4 && extra && r.eachBinary(run, f) {
			return true
		}
		i = end + 1
	}
	return false
}

// eachBinary calls f for a run of letters and digits decoded as hexadecimal digits and as base64,
// with and without a beginning that is none.
func (r *Redactor) eachBinary(run []byte, f func(plain []byte) bool) bool {
	room := r.decoded[:]
	if n, err := hex.Decode(room, run[:len(run)&^1]); err == nil && f(room[:n]) {
		return true
	}
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		encoding = base64.RawURLEncoding // differs from the other in these two characters alone
	}
	whole := len(run) / 4 * 4
	if rest := len(run) % 4; rest > 1 {
		whole += rest
	}
	if n, err := encoding.Decode(room, run[:whole]); err == nil && n > 0 {
		plain := room[:n]
		if f(plain) {
			return true
		}
		if zeros := bytes.Count(plain, []byte{0}); zeros*4 > n { // letters in two bytes
			k := 0
			for _, c := range plain {
				if c != 0 {
					plain[k] = c
					k++
				}
			}
			if f(plain[:k]) {
				return true
			}
		}
	}
	return false
}

// unquote decodes a mark and two hexadecimal digits, also several times over. ok reports that there
// was such a mark.
func unquote(room, b []byte, mark byte) (plain []byte, ok bool) {
	for i := 0; i < len(b); i++ {
		if b[i] == mark && i+2 < len(b) {
			for mark == '%' && i+4 < len(b) && b[i+1] == '2' && b[i+2] == '5' { // %2540 is %40 is @
				i += 2
			}
			var c [1]byte
			if _, err := hex.Decode(c[:], b[i+1:i+3]); err == nil {
				room = append(room, c[0])
				i += 2
				ok = true
				continue
			}
		}
		room = append(room, b[i])
	}
	return room, ok
}
