package redact

import (
	"bytes"
	"net/netip"
	"strings"
)

// A part of a text is a run of bytes without blanks. These functions report what a part is, with
// the punctuation that servers put around it.

// blank reports whether c separates parts of a text.
func blank(c byte) bool { return c == ' ' || c == '\t' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// shortNumber reports whether a word is a number of at most three digits: a count, a reply code, or
// a time in seconds. A longer number may be a customer's or a telephone number.
func shortNumber(word []byte) bool {
	for _, c := range word {
		if !digit(c) {
			return false
		}
	}
	return len(word) <= 3
}

// isEnhanced reports whether a part of a text is an enhanced status code.
func isEnhanced(part []byte) bool {
	if bytes.IndexByte(part, '.') < 0 { // most words end here
		return false
	}
	part = bytes.Trim(part, "#()[]:")
	n := 0
	for i, c := range part {
		switch {
		case c == '.' && i > 0 && part[i-1] != '.':
			n++
		case !digit(c):
			return false
		}
	}
	return n == 2 && len(part) >= 5 && len(part) <= 9 && part[1] == '.' && digit(part[len(part)-1])
}

// isAddress reports whether a part of a text is an IP address, with the characters that servers put
// around it.
func isAddress(part []byte) bool {
	if bytes.IndexByte(part, '.') < 0 && bytes.IndexByte(part, ':') < 0 { // most words end here
		return false
	}
	part = bytes.Trim(part, "[](){}<>\"',;.")
	part = bytes.TrimRight(part, ":")
	for _, prefix := range []string{"IPv6:", "ip=", "IP=", "address=", "client="} {
		part = bytes.TrimPrefix(part, []byte(prefix))
	}
	part = bytes.Trim(part, "[]")
	if len(part) < 2 || len(part) > 45 {
		return false
	}
	_, err := netip.ParseAddr(string(part))
	return err == nil
}

// hostIn is the host name that a part of a text is or links to; nil if there is none. link reports
// that it is a link.
func hostIn(part []byte) (host []byte, link bool) {
	if bytes.IndexByte(part, '.') < 0 { // most words end here
		return nil, false
	}
	part = bytes.TrimLeft(part, "[](){}<>\"'")
	for _, scheme := range []string{"https://", "http://", "HTTPS://", "HTTP://"} {
		if rest, ok := bytes.CutPrefix(part, []byte(scheme)); ok {
			part, link = rest, true
		}
	}
	end := 0
	for end < len(part) && (asciiLetter(part[end]) || strings.IndexByte(".-_", part[end]) >= 0) {
		end++
	}
	rest := part[end:]
	host = bytes.TrimRight(part[:end], ".")
	more := len(bytes.Trim(rest, "[](){}<>\"',;:.!?")) > 0 && rest[0] != '/'
	if !link && more || bytes.IndexByte(host, '.') < 1 {
		return nil, false
	}
	return host, link || len(rest) > 0 && rest[0] == '/'
}

// equalLower compares without case; lower is in small letters.
func equalLower(b []byte, lower string) bool {
	if len(b) != len(lower) || lower == "" {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
