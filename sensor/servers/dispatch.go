package servers

import (
	"net/netip"
	"slices"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// server is a watched server. The holder of tickMu owns its fields.
type server struct {
	mailserver.Server
	addr     netip.Addr // its address
	declared bool
	findings finding.Book // the open finding of each class
	resumed  bool         // restored, and not observed since the checkpoint
}

// maxBehind is how far the packets' time can be behind a server's own time without a clock that was
// put back.
const maxBehind = hour

// advance moves a server's time on. After a restart, or after a clock that was put back, the
// server's series resume at the new time.
func (s *server) advance(now int64) []verdict.Verdict {
	if s.resumed || now < s.Last-maxBehind {
		s.resumed = false
		s.Resume(now)
		s.findings.Rewind(now)
	}
	return s.Advance(max(now, s.Last))
}

// Dispatch gives an observation to the detectors of the servers that it concerns: the DNS answer
// to all, anything else to its server and its client. The caller holds tickMu.
func (all *Set) Dispatch(x *Observation, now int64) {
	// The answer concerns the queues of all servers.
	if x.dnsAnswer != nil {
		for _, s := range all.sorted() {
			for _, net := range x.dnsAnswer.nets {
				s.Observe(&mailserver.Observation{Kind: mailserver.Resolved, Net: net,
					Name: x.dnsAnswer.name})
			}
		}
		return
	}
	if !x.outside {
		s := all.get(x.server)
		// A host that replied to a recipient is a mail server.
		if s == nil && x.mail != nil && answered(x.mail) {
			s = all.watch(x.server, x.v6)
		}
		if s != nil {
			all.publish(s, s.advance(now))
			switch {
			case x.mail != nil:
				all.publish(s, s.Observe(&mailserver.Observation{Kind: mailserver.InboundMail,
					Mail: x.mail}))
			case x.session != nil:
				all.publish(s, s.Observe(&mailserver.Observation{Kind: mailserver.SessionEnd,
					Session: x.session}))
			}
		}
		all.hand(s, x)
	}
	s := all.get(x.client)
	if s == nil {
		return
	}
	all.publish(s, s.advance(now))
	o := mailserver.Observation{Time: now, Mail: x.mail, Outside: x.outside, Session: x.session,
		Net: x.net, Host: x.host}
	switch {
	case x.mail != nil:
		o.Kind = mailserver.OutboundMail
	case x.session != nil && x.outside:
		o.Kind = mailserver.SessionEnd
	case x.attempt == attemptBegan:
		o.Kind = mailserver.Connecting
	case x.attempt == attemptAnswered:
		o.Kind = mailserver.Answered
	case x.attempt == attemptRefused:
		o.Kind = mailserver.Refused
	default:
		return
	}
	all.publish(s, s.Observe(&o))
}

// answered reports whether the server replied to a recipient.
func answered(m *mailserver.Mail) bool {
	return slices.ContainsFunc(m.Rcpts, func(to mailserver.Recipient) bool { return to.Code != 0 })
}
