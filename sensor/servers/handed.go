package servers

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/heloname"
)

// What our own hosts hand to our servers is judged, too: package handover says when it is not the
// mail of such a host. A client with a login is left out: its account is watched; see package
// mailserver.

// handedMail is the transaction m as package handover needs it, nil if the client is none of ours,
// or has a login.
func (s *Observer) handedMail(f *track.Flow, k *flowtable.Key, session *smtpsniff.Session,
	x *transaction, m *mailserver.Mail) *handover.Mail {
	if !f.Noted(peer.Inside) || !s.Servers.peers.Home.Has(k.Client, k.Scope.V6()) ||
		session.Auth >= smtpsniff.AuthTried && session.Auth != smtpsniff.AuthFailed {
		return nil
	}
	from := string(smtpsniff.Domain([]byte(m.FromText)))
	name := string(session.Helo())
	h := &handover.Mail{Time: m.Time, Sender: m.FromDomain, Helo: name,
		Local:    s.isLocal(k, x, from),
		Hash:     uint32(s.Servers.peers.HashName(session.Helo())),
		Full:     heloname.Classify(name) == heloname.Full,
		Accepted: m.Accepted, Refused: m.Code != 0 && !m.Why.Neutral(),
		Content: m.Phase == mailserver.AtData}
	for i := range m.Rcpts {
		to := &m.Rcpts[i]
		h.Rcpts = append(h.Rcpts, handover.Recipient{Domain: to.Domain,
			Local:    s.isLocal(k, x, to.Name),
			Foreign:  to.Where == mailserver.ForeignDomain,
			Accepted: to.Code/100 == 2, Unknown: to.Absent,
			Refused: to.Code >= 400 && !to.Neutral})
	}
	return h
}

// isLocal reports whether a domain is ours: it is configured, or the one of the server itself.
func (s *Observer) isLocal(k *flowtable.Key, x *transaction, domain string) bool {
	return s.Servers.locality(k, domain) == mailserver.LocalDomain ||
		x.ownDomain != 0 && s.Servers.peers.DomainHash(domain) == x.ownDomain
}

// hand passes on a mail that a host of ours handed to a server of ours, and how much the server
// took. to is the server's state, nil if it is not watched. The caller holds tickMu.
func (all *Set) hand(to *server, x *Observation) {
	client := flowtable.HostKey{Addr: x.client, Scope: x.scope}
	server := flowtable.HostKey{Addr: x.server, Scope: x.scope}
	if n := x.taken(); n > 0 {
		own := all.peers.Home.Has(x.client, x.v6) || all.Watches(x.client)
		all.cfg.Taken(server, client, n, own)
	}
	m := x.handed
	if m == nil || all.peers.DetectRole(x.client).Server() { // it passes on what others bring
		return
	}
	if to != nil {
		m.Local = m.Local || to.Relay.IsLearned(m.Sender)
		for i := range m.Rcpts {
			r := &m.Rcpts[i]
			r.Local = r.Local || !r.Foreign && to.Relay.IsLearned(r.Domain)
		}
	}
	all.cfg.Handed(client, m, server)
}

// taken is how many messages for others the server took: one for each recipient, or one for an
// encrypted session that carries a message.
func (x *Observation) taken() (n uint32) {
	switch {
	case x.mail != nil && x.mail.Accepted:
		for i := range x.mail.Rcpts {
			if x.mail.Rcpts[i].Code/100 == 2 {
				n++
			}
		}
		return max(1, n)
	case x.session == nil || !x.session.Inbound || !x.session.Hidden:
		return 0
	case x.session.Bytes >= carriesMail:
		return 1
	}
	return 0
}

// carriesMail is the number of client bytes from which on an encrypted session carries a message.
const carriesMail = 1500
