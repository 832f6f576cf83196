package engine

import (
	"bytes"
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
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
	mailbox := bytes.TrimSuffix(bytes.ToLower(mailserver.StripSourceRoute(path)), []byte{'.'})
	domain := string(smtpsniff.Domain(mailbox))
	to := mailserver.Recipient{Hash: s.e.table.Secret.HashBytes(mailbox),
		Domain: uint32(s.e.table.Secret.HashBytes([]byte(domain))), Name: domain,
		Where: s.e.locality(k, domain)}
	if literal := mailserver.AddressLiteral(domain); literal.IsValid() &&
		s.e.isElsewhere(k, literal) {
		if to.Where = mailserver.ForeignDomain; peer.NetIP(k.Server, k.Scope.V6()).IsPrivate() {
			// behind NAT the literal may be the server's own address
			to.Where, to.Onward, to.OnwardName = mailserver.LocalDomain, to.Hash, domain
		}
		return to
	}
	if to.Where == mailserver.ForeignDomain {
		return to
	}
	// The local part may name a further address to relay to.
	// The local part may name a further address to relay to.
	local := mailbox
	if domain != "" {
		local = mailbox[:len(mailbox)-len(domain)-1]
	}
	if next := mailserver.PercentHack(local); next != nil {
		if domain := string(smtpsniff.Domain(next)); s.e.locality(k,
			domain) != mailserver.LocalDomain {
			to.Onward, to.OnwardName = s.e.table.Secret.HashBytes(next), domain
		}
	}
	return to
}

// isElsewhere reports whether an address is neither the server's nor internal.
func (e *Engine) isElsewhere(k *flowtable.Key, a netip.Addr) bool {
	b := flowtable.Addr(a.As16())
	return b != k.Server && !e.peers.Home.Has(b, a.Is6() && !a.Is4In6()) &&
		e.watchedServer(b) == nil
}
