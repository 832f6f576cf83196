// Package mailname writes domains and mailboxes in one spelling, so that two that are the same are
// equal byte by byte:
//
//	Mail.EXAMPLE.org.      mail.example.org      no case (RFC 5321, section 2.4; RFC 4343)
//	bücher.example         xn--bcher-kva.example A-label for U-label (RFC 5890; RFC 6531)
//	[IPv6:2001:DB8:0::1]   [ipv6:2001:db8::1]    one form of an address literal (RFC 5952)
//	"Anna"@example.org     anna@example.org      quotes that are not needed (RFC 5321, 4.1.2)
//
// The package asks no DNS and checks nothing: what is no name stays as it is, in lower case.
// A name in ASCII letters costs no allocation; the others are rare.
package mailname

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxDomain is the length of a domain up to which it can be a name (RFC 5321, section 4.5.3.1.2).
// A longer one is not looked at more closely, so that the time for a name is bounded.
const maxDomain = 255

// AppendDomain appends the one spelling of a domain to dst: of a name, with or without a dot at its
// end, or of an address literal.
func AppendDomain(dst, name []byte) []byte {
	if n := len(name); n > 1 && name[n-1] == '.' { // the root (RFC 1034, section 3.1)
		name = name[:n-1]
	}
	if len(name) > 0 && len(name) <= maxDomain {
		if name[0] == '[' && name[len(name)-1] == ']' {
			if a, ok := literal(name); ok {
				return appendLiteral(dst, a)
			}
		}
		n := len(dst)
		if dst = append(dst, name...); lowerASCII(dst[n:]) {
			return dst
		}
		dst = dst[:n]
		if utf8.Valid(name) {
			if a, err := idna.Lookup.ToASCII(string(name)); err == nil {
				return append(dst, a...)
			}
		}
	}
	return appendLower(dst, name)
}

// AppendMailbox appends the one spelling of a mailbox to dst. domain is the length of its domain,
// which stands at the end behind the @; zero if it has none. Local parts are compared without their
// case: RFC 5321, section 2.4, leaves that to the receiver, and all of today's do so.
func AppendMailbox(dst, mailbox []byte, domain int) []byte {
	local := mailbox[:len(mailbox)-domain]
	if domain > 0 {
		local = local[:len(local)-1] // the @
	}
	if n := len(local); n >= 2 && local[0] == '"' && local[n-1] == '"' {
		for i := 1; i < n-1; i++ {
			if local[i] == '\\' && i+1 < n-1 {
				i++
			}
			dst = append(dst, lower(local[i]))
		}
	} else {
		dst = appendLower(dst, local)
	}
	if domain == 0 {
		return dst
	}
	return AppendDomain(append(dst, '@'), mailbox[len(mailbox)-domain:])
}

// Domain is the one spelling of a domain, as AppendDomain writes it.
func Domain(name string) string { return string(AppendDomain(nil, []byte(name))) }

// literal is the address in an address literal (RFC 5321, section 4.1.3). Many clients leave out
// the tag of an IPv6 address.
func literal(name []byte) (netip.Addr, bool) {
	const tag = "ipv6:"
	text := bytes.TrimSpace(name[1 : len(name)-1])
	if len(text) >= len(tag) && strings.EqualFold(string(text[:len(tag)]), tag) {
		text = text[len(tag):]
	}
	a, err := netip.ParseAddr(string(text))
	return a.Unmap(), err == nil && a.Zone() == ""
}

func appendLiteral(dst []byte, a netip.Addr) []byte {
	dst = append(dst, '[')
	if a.Is6() {
		dst = append(dst, "ipv6:"...)
	}
	return append(a.AppendTo(dst), ']')
}

func appendLower(dst, text []byte) []byte {
	for _, c := range text {
		dst = append(dst, lower(c))
	}
	return dst
}

// lower is the small letter of an ASCII letter; no other byte has one (RFC 4343, section 3).
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
