package engine

import (
	"bytes"
	"net/netip"
	"strings"

	"spamsensor/flowtable"
	"spamsensor/sensor/mailserver"
	"spamsensor/smtpsniff"
)

// recipient returns the mailbox of a RCPT path in lower case, without its source route (RFC 5321,
// appendix C: "@a,@b:user@c") and without a dot after the domain. So a recipient is the same when
// the message leaves as when it came.
//
// A relay test often hides the foreign recipient in one that looks local. The kinds that are
// recognized:
//
//	user@[192.0.2.1]        address literal of another host
//	user%foreign@local      percent hack
//	foreign!user@local      bang path
//	"user@foreign"@local    quoted
func (s *serverObserver) recipient(k *flowtable.Key, path []byte) mailserver.Recipient {
	mailbox := bytes.TrimSuffix(bytes.ToLower(stripSourceRoute(path)), []byte{'.'})
	domain := string(smtpsniff.Domain(mailbox))
	to := mailserver.Recipient{Hash: s.e.table.Secret.HashBytes(mailbox),
		Domain: uint32(s.e.table.Secret.HashBytes([]byte(domain))), Name: domain,
		Where: s.e.locality(k, domain)}
	if literal := addressLiteral(domain); literal.IsValid() && s.e.isElsewhere(k, literal) {
		if to.Where = mailserver.ForeignDomain; addr(k.Server, k.Scope.V6()).IsPrivate() {
			// behind NAT the literal may be the server's own address
			to.Where, to.Onward, to.OnwardName = mailserver.LocalDomain, to.Hash, domain
		}
		return to
	}
	if to.Where == mailserver.ForeignDomain {
		return to
	}
	// The local part may name a further address to relay to.
	local := mailbox
	if domain != "" {
		local = mailbox[:len(mailbox)-len(domain)-1]
	}
	if next := percentHack(local); next != nil {
		if domain := string(smtpsniff.Domain(next)); s.e.locality(k,
			domain) != mailserver.LocalDomain {
			to.Onward, to.OnwardName = s.e.table.Secret.HashBytes(next), domain
		}
	}
	return to
}

// stripSourceRoute returns a path without its source route.
func stripSourceRoute(path []byte) []byte {
	if len(path) > 0 && path[0] == '@' {
		if colon := bytes.IndexByte(path, ':'); colon > 0 {
			return path[colon+1:]
		}
	}
	return path
}

// percentHack returns the address to which a local part asks the server to relay, nil if there is
// none: user%host, host!user, and "user@host" in quotes. Many open relays refuse foreign domains
// and accept these. The result is a copy.
func percentHack(local []byte) []byte {
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

// addressLiteral returns the address in a domain such as [192.0.2.1] or [ipv6:2001:db8::1]. It is
// invalid if there is none.
func addressLiteral(domain string) netip.Addr {
	if len(domain) < 2 || domain[0] != '[' || domain[len(domain)-1] != ']' {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(strings.TrimPrefix(domain[1:len(domain)-1], "ipv6:"))
	return a
}

// isElsewhere reports whether an address is neither the server's nor internal.
func (e *Engine) isElsewhere(k *flowtable.Key, a netip.Addr) bool {
	b := flowtable.Addr(a.As16())
	return b != k.Server && !e.home.has(b, a.Is6() && !a.Is4In6()) && e.watchedServer(b) == nil
}
