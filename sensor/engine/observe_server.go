package engine

import (
	"bytes"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// serverObservation is an observation of a mail server: one of mail, session, attempt and dnsAnswer
// is set.
type serverObservation struct {
	client, server flowtable.Addr
	v6             bool
	outside        bool // the server is external: the observation is about the client
	mail           *mailserver.Mail
	session        *mailserver.Session
	attempt        attemptState
	// Hashes of the server's network and address, for an attempt.
	net, host uint32
	dnsAnswer *dnsAnswer
}

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

// maxRcpts bounds the recipients of a transaction that are examined. RFC 5321, section 4.5.3.1.8,
// requires servers to accept 100.
const maxRcpts = 100

// transaction is the current transaction of a session: MAIL, its recipients, and the replies to
// them. After its end the struct serves the next transaction of the session.
type transaction struct {
	mail mailserver.Mail
	// MAIL was sent, and no end was seen
	open        bool
	rcptReplies int            // replies to RCPT so far
	refused     bool           // the greeting or EHLO was refused
	listed      bool           // a refusal named a blocklist
	reason      refusal.Reason // reason of the latest refusal
	// Hash of the domain in the server's greeting; zero if there is none.
	serverDomain uint32
	// A recipient was dropped at the memory limit: the later ones are dropped, too, because replies
	// are counted.
	rcptsFull bool
	reserved  int // bytes reserved from shard.mailBytes, about
}

// serverObserver follows the transactions of sessions with watched servers. Its observations go to
// the journal, and on to the servers in packet order.
type serverObserver struct {
	e            *Engine
	journal      *journal
	refusals     *peer.RefusalCache
	transactions []*transaction // of sessions, by their number
	mailBytes    int            // bytes that can still be reserved
}

// reserve reserves memory for a part of a transaction with a text of n bytes, and 128 bytes for its
// struct. It reports false at the limit, and counts that.
func (s *serverObserver) reserve(x *transaction, n int) bool {
	if n += 128; n > s.mailBytes {
		s.e.servers.full.Add(1)
		return false
	}
	x.reserved += n
	s.mailBytes -= n
	return true
}

// release gives the reserved memory back.
func (s *serverObserver) release(x *transaction) {
	s.mailBytes += x.reserved
	x.reserved = 0
}

// dropTransaction drops the transaction of a session that is evicted.
func (s *serverObserver) dropTransaction(session uint32) {
	if int(session) < len(s.transactions) && s.transactions[session] != nil {
		s.release(s.transactions[session])
		s.transactions[session] = nil
	}
}

// markWatched marks a new flow if one end can be a watched server: any internal host can be one,
// and a declared server may have an address outside home_net.
func (s *serverObserver) markWatched(src *source, f *track.Flow, k *flowtable.Key) {
	if !f.Noted(peer.External) || s.e.watchedServer(k.Server) != nil {
		f.Notes |= peer.Inside | peer.Watched
	}
	if s.e.watchedServer(k.Client) != nil {
		f.Notes |= peer.Watched
		if src != nil {
			src.flags |= serving
		}
	}
}

// observeTransaction follows the transactions of a session with a watched server. It reads the same
// events of the listener as observeDialogue. The events' texts are borrowed from the listener until
// its next Feed, so texts are copied or hashed here.
func (s *serverObserver) observeTransaction(e *track.Event) {
	f, session, k := e.Flow, e.Session, e.Key
	if !f.Noted(peer.Watched) {
		return
	}
	x := s.transactionOf(f)
	for i := range e.SMTP {
		ev := &e.SMTP[i]
		switch ev.Kind {
		// A MAIL command while a transaction is open ends that one: the server lost it, or a RSET
		// is missing.
		case smtpsniff.MailCommand:
			s.completeMail(f, k, session, x)
			if x.rcptReplies, x.rcptsFull = 0, false; !s.reserve(x, len(ev.Text)) {
				continue
			}
			x.open = true
			// Addresses are compared by hashes of their lower case.
			x.mail = mailserver.Mail{From: s.e.table.Secret.HashBytes(bytes.ToLower(ev.Text)),
				FromText: string(ev.Text)}
			if domain := smtpsniff.Domain(ev.Text); len(domain) > 0 {
				x.mail.FromDomain = uint32(s.e.table.Secret.HashBytes(bytes.ToLower(domain)))
			}
		// Beyond maxRcpts or the memory limit recipients are ignored, and their replies find no
		// place.
		case smtpsniff.RcptCommand:
			if x.open && len(x.mail.Rcpts) < maxRcpts && !x.rcptsFull {
				if x.rcptsFull = !s.reserve(x, len(ev.Text)); x.rcptsFull {
					continue
				}
				x.mail.Rcpts = append(x.mail.Rcpts, s.recipient(k, ev.Text))
			}
		// The reply to the end of the data was 250, or a later command shows that.
		case smtpsniff.MessageAccepted:
			x.mail.Accepted = true
			s.completeMail(f, k, session, x)
		case smtpsniff.Reply:
			s.observeReply(f, k, session, x, ev)
		}
	}
}

// locality returns whose domain a recipient of a session has. Configured domains belong to the
// declared servers, if there are any: an undeclared internal server has domains that are learned.
func (e *Engine) locality(k *flowtable.Key, domain string) mailserver.Locality {
	where := e.servers.localDomains.Locality(domain)
	// Neither end is declared: its domains are unknown until they are learned.
	known := e.peers.Role(k.Server) != "" || e.peers.Role(k.Client) != ""
	if where == mailserver.ForeignDomain && !known && len(e.cfg.MailServers) > 0 &&
		e.peers.Home.Has(k.Server, k.Scope.V6()) {
		return mailserver.UnknownDomain
	}
	return where
}

// observeReply observes the reply to a command of a transaction. For a session with an external
// server the reason of a refusal is kept; an internal server's refusals are its own decision.
func (s *serverObserver) observeReply(f *track.Flow, k *flowtable.Key, session *smtpsniff.Session,
	x *transaction,
	ev *smtpsniff.Event) {
	refused := ev.Code >= 400
	if refused && !f.Noted(peer.Inside) {
		reason, c, _ := s.refusals.Reason(session, ev)
		x.mail.Why, x.reason = reason, reason
		if c.List != "" {
			x.mail.Listed, x.listed = true, true
		}
	}
	// over ends the transaction if this phase was refused.
	over := func(phase mailserver.PhaseClass) {
		if x.open && refused {
			x.mail.Code, x.mail.Phase = ev.Code, phase
			s.completeMail(f, k, session, x)
		}
	}
	switch ev.Phase {
	// A greeting of 4xx or 5xx refuses the whole session (RFC 5321, section 3.1).
	case smtpsniff.Banner:
		x.refused = x.refused || refused
		if !f.Noted(peer.Inside) {
			x.serverDomain = s.e.peers.DomainHash(peer.GreetingName(session.Banner()))
		}
	// 500 to 504 complain about the command or the name (RFC 5321, section 4.2.2), and not about
	// the client.
	case smtpsniff.Helo:
		x.refused = x.refused || refused && (ev.Code < 500 || ev.Code > 504)
	case smtpsniff.Mail:
		over(mailserver.AtMail)
	case smtpsniff.Rcpt:
		// Replies come in the order of the RCPT commands, pipelined or not.
		if x.open && x.rcptReplies < len(x.mail.Rcpts) {
			to := &x.mail.Rcpts[x.rcptReplies]
			to.Code = ev.Code
			// The word "relay" in the text distinguishes a relay refusal from an unknown user.
			to.Relay = refused && bytes.Contains(bytes.ToLower(ev.Text), []byte("relay"))
			if refused {
				x.mail.Phase = mailserver.AtRcpt
				reason, _, _ := s.refusals.Reason(session, ev)
				to.Absent = reason == refusal.UserUnknown
			}
		}
		x.rcptReplies++
	case smtpsniff.Data, smtpsniff.EndOfData:
		over(mailserver.AtData)
	}
}

// observeDNSAnswer records the networks of a domain's mail servers, if there are watched servers.
func (s *serverObserver) observeDNSAnswer(m *dns.Message, now int64) {
	if len(*s.e.servers.known.Load()) == 0 {
		return
	}
	a := &dnsAnswer{name: s.e.peers.DomainHash(m.Name)}
	for _, ip := range m.Addrs[:m.NAddrs] {
		a.nets = append(a.nets, s.e.peers.Net(ip, !netip.AddrFrom16(ip).Is4In6()))
	}
	s.journal.addEntry(entry{server: &serverObservation{dnsAnswer: a}, time: now})
}

// completeMail adds the current transaction to the journal as an observation, and closes it. It
// also marks the flow if an external client without login had a message accepted for an external
// recipient: the session is evidence of an open relay.
func (s *serverObserver) completeMail(f *track.Flow, k *flowtable.Key, session *smtpsniff.Session,
	x *transaction) {
	if !x.open {
		return
	}
	x.open = false
	s.release(x)
	m := x.mail
	x.mail = mailserver.Mail{}
	m.Time, m.Over = f.Last, !m.Accepted
	v6 := k.Scope.V6()
	other := k.Server
	if f.Noted(peer.Inside) {
		other = k.Client
		// A client without login may not relay, unless it is internal, a server of ours or an
		// allowed relay.
		m.Stranger = !s.e.peers.Home.Has(k.Client, v6) && s.e.watchedServer(k.Client) == nil &&
			!s.e.peers.Relays.Has(k.Client, v6) &&
			(session.Auth < smtpsniff.AuthTried || session.Auth == smtpsniff.AuthFailed)
		if session.Auth == smtpsniff.AuthOK {
			m.Account = session.Account
		}
	}
	m.Name = x.serverDomain
	if m.Stranger && m.Accepted && slices.ContainsFunc(m.Rcpts, func(to mailserver.Recipient) bool {
		return to.Code/100 == 2 && (to.Where != mailserver.LocalDomain || to.Onward != 0)
	}) {
		f.Notes |= peer.Relayed
	}
	m.Client, m.Net, m.Host = peer.NetIP(other, v6), s.e.peers.Net(other, v6),
		s.e.peers.Destination(&other)
	s.observeServer(f.Last, k, !f.Noted(peer.Inside), serverObservation{mail: &m})
}

// observeServer adds an observation of a server to the journal. Servers are judged in packet order
// at the end of the round; see Engine.judgeServer.
func (s *serverObserver) observeServer(now int64, k *flowtable.Key, outside bool,
	x serverObservation) {
	x.client, x.server, x.v6, x.outside = k.Client, k.Server, k.Scope.V6(), outside
	s.journal.addEntry(entry{server: &x, time: now})
}

// transactionOf returns the transaction of a flow's session.
func (s *serverObserver) transactionOf(f *track.Flow) *transaction {
	for int(f.Session) >= len(s.transactions) { // at most as many as sessions
		s.transactions = append(s.transactions, nil)
	}
	if s.transactions[f.Session] == nil {
		s.transactions[f.Session] = &transaction{}
	}
	return s.transactions[f.Session]
}

// closeTransaction completes the current transaction of a session, frees its slot, and returns its
// last state.
func (s *serverObserver) closeTransaction(f *track.Flow, k *flowtable.Key,
	session *smtpsniff.Session) (x transaction) {
	if session == nil || int(f.Session) >= len(s.transactions) || s.transactions[f.Session] == nil {
		return x
	}
	s.completeMail(f, k, session, s.transactions[f.Session])
	x, *s.transactions[f.Session] = *s.transactions[f.Session], x
	return x
}

// observeServerSession observes the end of a session with a watched server. session may be nil: the
// flow had no dialogue.
func (s *serverObserver) observeServerSession(k *flowtable.Key, f *track.Flow,
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
		d.External = !s.e.peers.Home.Has(k.Client, v6) && s.e.watchedServer(k.Client) == nil &&
			!s.e.peers.Relays.Has(k.Client, v6)
		d.Client = peer.NetIP(k.Client, v6)
		d.Own = s.e.peers.Home.Has(k.Client, v6) && s.e.watchedServer(k.Client) == nil
	}
	d.Net, d.Host = s.e.peers.Net(other, v6), s.e.peers.Destination(&other)
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
	s.observeServer(f.Last, k, !d.Inbound, serverObservation{session: d})
}

// observeServerAttempt observes an attempt of a watched server to connect to an external one.
func (s *serverObserver) observeServerAttempt(now int64, src *source, k *flowtable.Key,
	what attemptState) {
	// the server may be watched since then, and without a reply no flow of it began
	if src.flags&serving == 0 {
		if src.flags&home == 0 || s.e.watchedServer(k.Client) == nil {
			return
		}
		src.flags |= serving
	}
	if v6 := k.Scope.V6(); s.e.watchedServer(k.Server) == nil && !s.e.peers.Home.Has(k.Server, v6) {
		s.observeServer(now, k, true, serverObservation{attempt: what, net: s.e.peers.Net(k.Server,
			v6),
			host: s.e.peers.Destination(&k.Server)})
	}
}
