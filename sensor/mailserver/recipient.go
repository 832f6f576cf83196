package mailserver

import (
	"bytes"
	"net/netip"
	"strings"
)

// StripSourceRoute returns a path without its source route.
func StripSourceRoute(path []byte) []byte {
	if len(path) > 0 && path[0] == '@' {
		if colon := bytes.IndexByte(path, ':'); colon > 0 {
			return path[colon+1:]
		}
	}
	return path
}

// PercentHack returns the address to which a local part asks the server to relay, nil if there is
// none: user%host, host!user, and "user@host" in quotes. Many open relays refuse foreign domains
// and accept these. The result is a copy.
func PercentHack(local []byte) []byte {
	local = bytes.Trim(local, `"`)
	user, host := local, []byte(nil)
	if i := bytes.LastIndexAny(local, "@%"); i > 0 {
		user, host = local[:i], local[i+1:]
	} else if i := bytes.IndexByte(local, '!'); i > 0 {
		user, host = local[i+1:], local[:i]
	}
	// A host without a dot is a department or a folder, as in sales!anna or anna%home.
	if len(user) == 0 || bytes.IndexByte(host, '.') < 1 {
		return nil
	}
	return append(append(bytes.Clone(user), '@'), host...)
}

// AddressLiteral returns the address in a domain such as [192.0.2.1] or [ipv6:2001:db8::1]. It is
// invalid if there is none.
func AddressLiteral(domain string) netip.Addr {
	if len(domain) < 2 || domain[0] != '[' || domain[len(domain)-1] != ']' {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(strings.TrimPrefix(domain[1:len(domain)-1], "ipv6:"))
	return a
}
