package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Evidence is the form of mail addresses in events.
type Evidence struct {
	Mode Mode
	// Key is for Hash: equal local parts have equal hashes under the same key.
	Key []byte
}

// Mode is the part of an address that is shown.
type Mode uint8

// The modes. Domain is the default: it identifies the sending organisation and names no person.
const (
	Domain Mode = iota // example.org
	Full               // name@example.org
	Hash               // 9f86d081884c7d65@example.org
	None               // nothing
)

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	for m, name := range []string{"domain", "full", "hash", "none"} {
		if s == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("%q is none of full, domain, hash, none", s)
}

// noDomain replaces an address without a domain in modes that do not show the local part.
const noDomain = "(no domain)"

// address shortens an address; ok is false if it is omitted. An empty address is the null sender
// and stays empty.
func (v Evidence) address(a string) (s string, ok bool) {
	at := strings.LastIndexByte(a, '@')
	switch {
	case v.Mode == None:
		return "", false
	case a == "" || v.Mode == Full:
		return a, true
	case v.Mode == Hash:
		local, domain := a, noDomain
		if at >= 0 {
			local, domain = a[:at], strings.ToLower(a[at+1:])
		}
		return v.hash(local) + "@" + domain, true
	case at < 0:
		return noDomain, true
	}
	return strings.ToLower(a[at+1:]), true
}

func (v Evidence) hash(local string) string {
	h := hmac.New(sha256.New, v.Key)
	h.Write([]byte(strings.ToLower(local)))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// ats are the forms of @ that servers write in an address, most specific first.
var ats = []string{"@", "%2540", "%40", "=40", "&#64;", "&commat;", " (at) ", " [at] ", " {at} ",
	" <at> ", "(at)", "[at]", "{at}", "<at>"}

// nextAt finds the first form of @ in a text, and its length; at is -1 if there is none.
func nextAt(text string) (at, n int) {
	at = -1
	low := strings.ToLower(text)
	if len(low) != len(text) { // some letters are longer in lower case
		low = text
	}
	for _, way := range ats {
		if i := strings.Index(low, way); i >= 0 && (at < 0 || i < at) {
			at, n = i, len(way)
		}
	}
	return at, n
}

// marks are the bytes of which each form of @ has one, and the > behind a local part without
// domain.
var marks = func() (t [256]bool) {
	for _, c := range []byte("@%=&([{<>") {
		t[c] = true
	}
	return t
}()

// mayAddress reports whether a text may hold an address. Most texts have none of the bytes in
// marks.
func mayAddress(text string) bool {
	for i := 0; i < len(text); i++ {
		if marks[text[i]] {
			return true
		}
	}
	return false
}

// hide shortens the addresses in a text from the wire, because servers quote senders and
// recipients. Sendmail writes a local part without domain, as in "<name>... User unknown".
func (v Evidence) hide(text string) string {
	if v.Mode == Full || !mayAddress(text) {
		return text
	}
	return hidden(text)
}

// hidden is hide for a text that may hold an address.
func hidden(text string) string {
	var b strings.Builder
	for { // each round consumes an address
		at, n := nextAt(text)
		if at < 0 {
			break
		}
		end := at + n
		for end < len(text) && atext(text[end]) {
			end++
		}
		// the form of @ that was found is in the local part
		if end < len(text) && text[end] == '@' {
			at, n = end, 1
		}
		start := at
		if start > 0 && text[start-1] == '"' { // a quoted local part
			if q := openingQuote(text[:start-1]); q >= 0 {
				start = q
			}
		} else {
			for start > 0 && atext(text[start-1]) {
				start--
			}
		}
		b.WriteString(text[:start])
		if start < at {
			b.WriteString("...")
		}
		b.WriteString(text[at : at+n])
		text = text[at+n:]
	}
	b.WriteString(text)
	text = b.String()
	for _, end := range []string{">... ", ">: "} {
		to := strings.Index(text, end)
		if to < 0 {
			continue
		}
		from := strings.LastIndexByte(text[:to], '<')
		if from >= 0 && !strings.ContainsAny(text[from:to], "@ ") && !isClient(text[from+1:to]) {
			text = text[:from+1] + "..." + text[to:]
		}
	}
	return text
}

// isClient reports whether a text is a server's name for a client, not a mailbox: an IP address,
// with the client's name before it, or the name that each machine has.
func isClient(text string) bool {
	_, address, both := strings.Cut(strings.TrimSuffix(text, "]"), "[")
	if !both {
		address = text
	}
	_, err := netip.ParseAddr(strings.TrimPrefix(address, "IPv6:"))
	return err == nil || text == "localhost"
}

// openingQuote finds the quote that opens the quoted string at the end of text, whose closing quote
// is not part of text; -1 if there is none. A quote behind a backslash is part of the string (RFC
// 5321, section 4.1.2).
func openingQuote(text string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '"' && (i == 0 || text[i-1] != '\\') {
			return i
		}
	}
	return -1
}

// Clean is a text from the wire in a form that is safe to print, without local parts.
func (v Evidence) Clean(text string) string { return Escape(v.hide(text), 512) }

// atext reports whether c is a character of a local part without quotes (RFC 5321, section 4.1.2),
// a backslash, or not ASCII (RFC 6531).
func atext(c byte) bool {
	return c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~.\\", c) >= 0
}

// Escape makes a text from the wire safe to print. Runes that are not printable, or that change the
// direction of writing, become \xNN, byte by byte, so that the original can be restored; a
// backslash that begins such a sequence in the text becomes \x5c. The result has at most limit
// bytes and is valid UTF-8.
func Escape(s string, limit int) string {
	limit = max(limit, 0)
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return s[:min(len(s), limit)]
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		good := r != utf8.RuneError && unicode.IsPrint(r) && !turns(r)
		if r == '\\' && looksEscaped(s[i:]) {
			good = false
		}
		size := n
		if !good {
			size = 4 * n
		}
		if b.Len()+size > limit {
			break
		}
		if good {
			b.WriteString(s[i : i+n])
		} else {
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		i += n
	}
	return b.String()
}

// looksEscaped reports whether s begins with a sequence that Escape could have written.
func looksEscaped(s string) bool {
	return len(s) >= 4 && s[1] == 'x' && isHex(s[2]) && isHex(s[3])
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// turns reports whether a rune changes the direction of writing (Unicode UAX #9).
func turns(r rune) bool {
	return r == 0x061c || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e ||
		r >= 0x2066 && r <= 0x2069
}
