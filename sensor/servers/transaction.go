package servers

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/mailname"
	"spamsensor/smtpsniff/refusal"
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
	// Hash of the domain in the greeting of a server of ours, which is ours, too.
	ownDomain uint32
	reserved  int // bytes reserved from ObserverConfig.MailBytes, about
	// The server asked for the data: a MAIL command that comes before its reply to the end of the
	// data begins the next transaction (RFC 2920, section 3.1, lets a client send on).
	dataBegan    bool
	next         *mailserver.Mail // that transaction; nil if there is none
	nextReserved int              // of it, as reserved
}

// latest is the transaction that the client's commands belong to; replies belong to x.mail.
func (x *transaction) latest() *mailserver.Mail {
	if x.next != nil {
		return x.next
	}
	return &x.mail
}

// reserve reserves memory for a part of a transaction with a text of n bytes, and 128 bytes for its
// struct. It reports false at the limit, and counts that.
func (s *Observer) reserve(x *transaction, n int) bool {
	if n += 128; n > s.MailBytes {
		s.Servers.Full.Add(1)
		return false
	}
	if x.next != nil {
		x.nextReserved += n
	} else {
		x.reserved += n
	}
	s.MailBytes -= n
	return true
}

// release gives the reserved memory back.
func (s *Observer) release(x *transaction) {
	s.MailBytes += x.reserved
	x.reserved, x.nextReserved = x.nextReserved, 0
}

// dropTransaction drops the transaction of a session that is evicted.
func (s *Observer) dropTransaction(session uint32) {
	if int(session) < len(s.transactions) && s.transactions[session] != nil {
		s.release(s.transactions[session])
		s.release(s.transactions[session]) // of the next one
		s.transactions[session] = nil
	}
}

// ObserveDialogue follows the transactions of a session whose flow is Watched. It reads the same
// events of the listener as the observer of sources. The events' texts are borrowed from the
// listener until its next Feed, so texts are copied or hashed here.
func (s *Observer) ObserveDialogue(e *track.Event) {
	f, session, k := e.Flow, e.Session, e.Key
	x := s.transactionOf(f)
	for i := range e.SMTP {
		ev := &e.SMTP[i]
		switch ev.Kind {
		// A MAIL command while a transaction is open ends that one: the server lost it, or a RSET
		// is missing.
		case smtpsniff.MailCommand:
			if x.open && x.dataBegan && x.next == nil {
				x.next = &mailserver.Mail{}
			} else {
				s.completeMail(f, k, session, x)
				s.completeMail(f, k, session, x) // and the next one
				x.rcptReplies, x.dataBegan = 0, false
			}
			if x.rcptsFull = false; !s.reserve(x, len(ev.Text)) {
				x.next, x.rcptsFull = nil, true
				continue
			}
			x.open = true
			domain := smtpsniff.Domain(ev.Text)
			// Addresses are compared by hashes of one spelling.
			*x.latest() = mailserver.Mail{FromText: string(ev.Text),
				From: s.Servers.secret.HashBytes(mailname.AppendMailbox(nil, ev.Text, len(domain)))}
			if len(domain) > 0 {
				x.latest().FromDomain = uint32(s.Servers.peers.HashName(domain))
			}
		// Beyond maxRcpts or the memory limit recipients are ignored, and their replies find no
		// place.
		case smtpsniff.RcptCommand:
			m := x.latest()
			if x.open && len(m.Rcpts) < maxRcpts && !x.rcptsFull {
				if x.rcptsFull = !s.reserve(x, len(ev.Text)); x.rcptsFull {
					continue
				}
				m.Rcpts = append(m.Rcpts, s.recipient(k, ev.Text))
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

// observeReply observes the reply to a command of a transaction. For a session with an external
// server the reason of a refusal is kept; an internal server's refusals are its own decision.
func (s *Observer) observeReply(f *track.Flow, k *flowtable.Key, session *smtpsniff.Session,
	x *transaction,
	ev *smtpsniff.Event) {
	if x.next != nil && (ev.Phase == smtpsniff.Mail || ev.Phase == smtpsniff.Rcpt) {
		s.completeMail(f, k, session, x) // the reply to its data was lost
	}
	refused := ev.Code >= 400
	if refused {
		reason, c, _ := s.Refusals.Reason(session, ev)
		x.mail.Why = reason
		if !f.Noted(peer.Inside) {
			x.reason = reason
			if c.List != "" {
				x.mail.Listed, x.listed = true, true
			}
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
		if name := s.Servers.peers.DomainHash(peer.GreetingName(session.Banner())); f.Noted(
			peer.Inside) {
			x.ownDomain = name
		} else {
			x.serverDomain = name
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
			if refused {
				x.mail.Phase = mailserver.AtRcpt
				reason, _, _ := s.Refusals.Reason(session, ev)
				to.Relay, to.Absent = reason == refusal.NoRelaying, reason.Absent()
				to.Neutral = reason.Neutral()
			}
		}
		x.rcptReplies++
	case smtpsniff.Data, smtpsniff.EndOfData:
		x.dataBegan = x.dataBegan || ev.Code == 354
		over(mailserver.AtData)
	}
}

// completeMail adds the current transaction to the journal as an observation, and closes it. It
// also marks the flow if an external client without login had a message accepted for an external
// recipient: the session is evidence of an open relay.
func (s *Observer) completeMail(f *track.Flow, k *flowtable.Key, session *smtpsniff.Session,
	x *transaction) {
	if !x.open {
		return
	}
	x.open = false
	s.release(x)
	m := x.mail
	x.mail = mailserver.Mail{}
	if x.next != nil {
		x.mail, x.next, x.open, x.rcptReplies, x.dataBegan = *x.next, nil, true, 0, false
	}
	m.Time, m.Over = f.Last, !m.Accepted
	v6 := k.Scope.V6()
	other := k.Server
	if f.Noted(peer.Inside) {
		other = k.Client
		// A client without login may not relay, unless it is internal, a server of ours or an
		// allowed relay.
		m.Stranger = !s.Servers.peers.Home.Has(k.Client, v6) && !s.Servers.Watches(k.Client) &&
			!s.Servers.peers.Relays.Has(k.Client, v6) &&
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
	m.Client, m.Net, m.Host = peer.NetIP(other, v6), s.Servers.peers.Net(other, v6),
		s.Servers.peers.Destination(&other)
	s.report(f.Last, k, !f.Noted(peer.Inside), Observation{mail: &m,
		handed: s.handedMail(f, k, session, x, &m)})
}

// transactionOf returns the transaction of a flow's session.
func (s *Observer) transactionOf(f *track.Flow) *transaction {
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
func (s *Observer) closeTransaction(f *track.Flow, k *flowtable.Key,
	session *smtpsniff.Session) (x transaction) {
	if session == nil || int(f.Session) >= len(s.transactions) || s.transactions[f.Session] == nil {
		return x
	}
	s.completeMail(f, k, session, s.transactions[f.Session])
	s.completeMail(f, k, session, s.transactions[f.Session]) // and the next one
	x, *s.transactions[f.Session] = *s.transactions[f.Session], x
	return x
}
