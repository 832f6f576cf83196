package servers

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// Observation is an observation of a mail server: one of mail, session, attempt and dnsAnswer
// is set.
type Observation struct {
	client, server flowtable.Addr
	v6             bool
	outside        bool // the server is external: the observation is about the client
	mail           *mailserver.Mail
	// handed is mail again, if a host of ours handed it to a server of ours without login.
	handed  *handover.Mail
	scope   flowtable.Scope
	session *mailserver.Session
	attempt attemptState
	// Hashes of the server's network and address, for an attempt.
	net, host uint32
	dnsAnswer *dnsAnswer
}

// Addr returns the client's address. It orders observations of one time.
func (x *Observation) Addr() netip.Addr { return peer.NetIP(x.client, x.v6) }

// dnsAnswer is a DNS answer: the networks of a domain's mail servers.
type dnsAnswer struct {
	name uint32   // hash of the registered domain
	nets []uint32 // hashes of the addresses' networks
}

// attemptState is the outcome of a server's attempt to connect to another server: it shows how a
// queue drains.
type attemptState int8

const (
	attemptBegan attemptState = 1 + iota
	attemptAnswered
	attemptRefused
)

// Observer follows the transactions of sessions with watched servers. Its observations go to
// the journal, and on to the servers in packet order.
type Observer struct {
	ObserverConfig
	transactions []*transaction // of sessions, by their number
}

// ObserverConfig is what the observer of a shard needs. It is set once.
type ObserverConfig struct {
	// Servers are the watched servers, Peers what is known of the shard's servers, Refusals the
	// reasons of its refusals.
	Servers  *Set
	Peers    *peer.ServerCache
	Refusals *peer.RefusalCache
	// MailBytes are the bytes that open transactions can still reserve.
	MailBytes int
	// IsServing reports whether the client of an event is a watched server. Its source keeps the
	// answer.
	IsServing func(*track.Event) bool
	// Add adds an observation to the journal. now is the time of its packet, in ns.
	Add func(x *Observation, now int64)
}

// The kinds of events that concern mail servers: all of them, and those that only a watched server
// gives a meaning.
const (
	concerning = 1<<track.FlowBegan | 1<<track.SessionEnded | 1<<track.SessionDropped
	ofWatched  = 1<<track.Attempt | 1<<track.AttemptFailed | 1<<track.Established
)

// Concerns reports whether Observe has to see an event of a kind.
func (s *Observer) Concerns(k track.Kind) bool {
	return concerning>>k&1 != 0 || ofWatched>>k&1 != 0 && s.Servers.any()
}

// Observe turns a connection event, at once, into observations of the mail servers that are
// watched. It comes before the observer of sources, which reads the notes of a new flow.
func (s *Observer) Observe(ev *track.Event) {
	switch ev.Kind {
	case track.Attempt:
		s.observeAttempt(ev, attemptBegan)
	case track.AttemptFailed:
		s.observeAttempt(ev, attemptRefused)
	case track.FlowBegan:
		s.noteEnds(ev)
	case track.Established:
		s.observeAttempt(ev, attemptAnswered)
	case track.SessionEnded:
		s.observeSession(ev.Key, ev.Flow, ev.Session)
	case track.SessionDropped:
		s.dropTransaction(ev.Flow.Session)
	}
}

// noteEnds notes of a new flow whether its server is ours or a relay, and whether one end can be a
// watched server: any internal host can be one, and a declared server may have an address outside
// home_net.
func (s *Observer) noteEnds(ev *track.Event) {
	f, k := ev.Flow, ev.Key
	x := s.Peers.Of(k)
	if x.External {
		f.Notes |= peer.External
	}
	if x.Allowed {
		f.Notes |= peer.Relay
	}
	if !f.Noted(peer.External) || s.Servers.Watches(k.Server) {
		f.Notes |= peer.Inside | peer.Watched
	}
	if s.IsServing(ev) {
		f.Notes |= peer.Watched
	}
}

// ObserveDNSAnswer records the networks of a domain's mail servers, if there are watched servers.
func (s *Observer) ObserveDNSAnswer(m *dns.Message, now int64) {
	if len(*s.Servers.known.Load()) == 0 {
		return
	}
	a := &dnsAnswer{name: s.Servers.peers.DomainHash(m.Name)}
	for _, ip := range m.Addrs[:m.NAddrs] {
		a.nets = append(a.nets, s.Servers.peers.Net(ip, !netip.AddrFrom16(ip).Is4In6()))
	}
	s.Add(&Observation{dnsAnswer: a}, now)
}

// report adds an observation of a server to the journal. Servers are judged in packet order
// at the end of the round; see Set.Dispatch.
func (s *Observer) report(now int64, k *flowtable.Key, outside bool,
	x Observation) {
	x.client, x.server, x.v6, x.outside = k.Client, k.Server, k.Scope.V6(), outside
	x.scope = k.Scope
	s.Add(&x, now)
}

// observeSession observes the end of a session with a watched server. session may be nil: the
// flow had no dialogue.
func (s *Observer) observeSession(k *flowtable.Key, f *track.Flow,
	session *smtpsniff.Session) {
	if !f.Noted(peer.Watched) {
		return
	}
	x := s.closeTransaction(f, k, session)
	if !f.Established() {
		return
	}
	v6 := k.Scope.V6()
	_, up := f.Conn.Counts(tcp.Client)
	// The client's bytes hold the messages.
	d := &mailserver.Session{Time: f.Last, Inbound: f.Noted(peer.Inside), External: true,
		Submit: k.ServerPort != 25, Bytes: up}
	other := k.Server
	if d.Inbound {
		other = k.Client
		d.External = !s.Servers.peers.Home.Has(k.Client, v6) && !s.Servers.Watches(k.Client) &&
			!s.Servers.peers.Relays.Has(k.Client, v6)
		d.Client = peer.NetIP(k.Client, v6)
		d.Own = s.Servers.peers.Home.Has(k.Client, v6) && !s.Servers.Watches(k.Client)
	}
	d.Net, d.Host = s.Servers.peers.Net(other, v6), s.Servers.peers.Destination(&other)
	if session != nil {
		// Logins, and what the dialogue shows of a refused session.
		d.Auth, d.AuthFail = session.Auth == smtpsniff.AuthOK, session.Auth == smtpsniff.AuthFailed
		if d.Auth && d.Inbound {
			d.Account = session.Account
		}
		d.Hidden, d.Messages = session.Encryption != smtpsniff.Plain, session.Messages
		d.Name = x.serverDomain
		d.Refused, d.Listed, d.Why = x.refused && session.Mails == 0, x.listed, x.reason
	}
	s.report(f.Last, k, !d.Inbound, Observation{session: d})
}

// observeAttempt observes an attempt of a watched server to connect to an external one.
func (s *Observer) observeAttempt(ev *track.Event, what attemptState) {
	k := ev.Key
	if !s.IsServing(ev) || s.Servers.Watches(k.Server) {
		return
	}
	if v6 := k.Scope.V6(); !s.Servers.peers.Home.Has(k.Server, v6) {
		s.report(ev.Time, k, true, Observation{attempt: what,
			net: s.Servers.peers.Net(k.Server, v6), host: s.Servers.peers.Destination(&k.Server)})
	}
}
