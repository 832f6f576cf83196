package sources

import (
	"bytes"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/providers"
	"spamsensor/sensor/track"
)

// observeServerName observes the name of a server: the one with which it greets, or the one that
// the client asks for in TLS. Only sessions of which both sides were seen count, because anybody
// can send one side.
func (s *Observer) observeServerName(x *track.Event, prof *profile, text []byte,
	by providers.Origin) {
	if prof == nil || len(text) == 0 || !x.Flow.Noted(peer.External) ||
		x.Flow.Noted(peer.SelfMade) || !x.Flow.SeenBothSides() {
		return
	}
	o := detect.Observation{Kind: detect.KindNamed, Time: x.Flow.Last}
	s.setServer(&o, x.Key)
	if prof.KnowsServer(o.Net, by) {
		return
	}
	if o.Hash = s.serverDomain(text); o.Hash != 0 {
		o.Origin = by
		prof.Observe(&s.all.cfg.Detect, nil, &o)
	}
}

// serverNames holds the domains of names of servers, by the hash of the name. Servers repeat their
// greetings, so each is read once.
type serverNames [128]serverName

type serverName struct {
	name   uint64 // hash
	domain uint32 // hash of its registered domain, zero if it is no full name
	// reserved is for default names of programs and names that are examples: these identify nobody.
	reserved bool
}

// nameOf returns what is known of the name that a text begins with.
func (s *Observer) nameOf(text []byte) *serverName {
	word, _, _ := bytes.Cut(text, []byte{' '})
	hash := s.all.cfg.Table.Secret.HashBytes(word)
	known := &s.serverNames[hash%uint64(len(s.serverNames))]
	if known.name != hash {
		*known = serverName{name: hash}
		if name := peer.GreetingName(word); name != "" {
			known.domain = s.all.cfg.Peers.DomainHash(name)
			known.reserved = dns.IsReserved(name)
		}
	}
	return known
}

// serverDomain returns the hash of the registered domain of the name that a text begins with, zero
// if the name identifies nobody.
func (s *Observer) serverDomain(text []byte) uint32 {
	if known := s.nameOf(text); !known.reserved {
		return known.domain
	}
	return 0
}

// observeAccount observes that a server for submission lets the client in: TLS begins, or a login
// works.
func (s *Observer) observeAccount(x *track.Event, prof *profile) {
	if prof == nil || x.Key.ServerPort == 25 || !x.Flow.Noted(peer.External) ||
		x.Flow.Noted(peer.SelfMade) || !x.Flow.SeenBothSides() {
		return
	}
	s.observeServer(prof, detect.KindAccount, x.Key, x.Flow.Last)
}
