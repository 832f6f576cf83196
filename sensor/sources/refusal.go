package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// observeRefusedReply observes a reply that refused something, counts it by phase, and leaves out
// replies that say nothing about the client or its mail.
func (s *Observer) observeRefusedReply(f *track.Flow, src *Source, prof *profile,
	ev *smtpsniff.Event,
	now int64) {
	counters := &src.Counters
	switch ev.Phase {
	case smtpsniff.Rcpt:
		counters.RecipientsRejected++
	case smtpsniff.AuthPhase, smtpsniff.TLSPhase:
	case smtpsniff.Banner, smtpsniff.Helo, smtpsniff.Mail, smtpsniff.Data, smtpsniff.EndOfData:
		if ev.Phase == smtpsniff.Helo && (ev.Code == 500 || ev.Code == 502 || ev.Code == 503) {
			return // an old server without EHLO; 501 and 504 complain about the name
		}
		if ev.Code >= 500 {
			counters.Rejected++
		} else {
			counters.Deferred++
		}
	case smtpsniff.NoPhase: // the command was not captured, but the text may show its subject
		if reason, _, _ := s.Refusals.Reason(s.event.Session, ev); !reason.AboutMail() {
			return
		}
	default:
		return // says nothing about the mail
	}
	s.observeRefusal(f, src, prof, ev, now)
}

// The unit of decisions is the mail transaction (RFC 5321, section 3.3), and not the session: a
// client can send all its mails on one connection. A refusal before the first MAIL is one, too.
// What repeats an earlier refusal is no further decision: a second recipient of the same
// transaction, or DATA after no recipient was accepted. Refusals of one server that repeat each
// other in several transactions count less and less, see package detect.

// beginTransaction begins a transaction with MAIL; null says that it has the null sender. Nothing
// is decided in it yet, unless TLS hides the decision.
func beginTransaction(f *track.Flow, null bool) {
	if f.Noted(peer.Encrypted) {
		return
	}
	f.Notes &^= peer.Transaction
	if null {
		f.Notes |= peer.Returned
	}
}

// noteRecipient notes whether the transaction has recipients that were accepted or refused.
func noteRecipient(f *track.Flow, ev *smtpsniff.Event) {
	switch {
	case ev.Phase != smtpsniff.Rcpt:
	case ev.Code >= 400:
		f.Notes |= peer.RcptRefused
	default:
		f.Notes |= peer.RcptAccepted
	}
}

// repeatsRecipients reports whether a refusal of DATA, or of the message, says no more than that no
// recipient was accepted: a client that sends its commands together (RFC 2920) gets one.
func repeatsRecipients(f *track.Flow, ev *smtpsniff.Event) bool {
	return (ev.Phase == smtpsniff.Data || ev.Phase == smtpsniff.EndOfData) &&
		f.Noted(peer.RcptRefused) && !f.Noted(peer.RcptAccepted)
}

// noteAccepted records that the message of a transaction was accepted. If recipients were refused
// before, the transaction counts as accepted all the same: a mailing list has addresses that are
// gone. If MAIL or its reply was not captured, the client's next command shows the end of the
// transaction: without that more servers would be taken for bots (bench campaigns, variants
// outbound and inbound).
func (s *Observer) noteAccepted(f *track.Flow, prof *profile, now int64) {
	decided := f.Noted(peer.Decided)
	revoked := f.Noted(peer.Refused) && f.Noted(peer.RcptAccepted)
	f.Notes = f.Notes&^peer.Refused | peer.Decided
	if decided && !revoked || prof == nil || !f.Noted(peer.External) {
		return
	}
	prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindDecided, Time: now,
		Revoked: revoked, Returned: f.Noted(peer.Returned)})
}

// noteRefused records once for each transaction that it was refused; list is the blocklist that the
// refusal names, if any.
func (s *Observer) noteRefused(f *track.Flow, prof *profile, ev *smtpsniff.Event,
	reason refusal.Reason, list string, now int64) {
	// A request to come back later without a reason is greylisting, or trouble of the server's.
	if f.Noted(peer.Decided) || repeatsRecipients(f, ev) ||
		ev.Code < 500 && reason == refusal.Other {
		return
	}
	f.Notes |= peer.Decided | peer.Refused
	if prof == nil || !f.Noted(peer.External) {
		return
	}
	o := detect.Observation{Kind: detect.KindDecided, Time: now}
	s.setServer(&o, s.event.Key)
	o.Net, o.Hash = s.providerOf(s.event), s.all.cfg.Peers.DomainHash(list)
	o.Refused, o.Later = true, ev.Code < 500
	o.Listed = reason == refusal.Blocklisted || list != ""
	o.NewFrom, o.Returned = f.Noted(peer.NewSender), f.Noted(peer.Returned)
	switch {
	case reason == refusal.SpamSeen && ev.Phase == smtpsniff.EndOfData: // it has seen the message
		o.About = detect.AboutContent
	case reason.Absent():
		o.About = detect.AboutRecipient
	}
	prof.Observe(&s.all.cfg.Detect, nil, &o)
}

// noteHalf records a message, or a transaction without one, of a session of which the capture shows
// the client alone; see detect.KindDecided.
func (s *Observer) noteHalf(f *track.Flow, prof *profile, refused bool, now int64) {
	if prof != nil && f.Noted(peer.External) {
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindDecided,
			Time: now, Refused: refused, OneSided: true})
	}
}

// observeRefusal observes a refusal: its reason, and what it says about the client. Refusals of
// AUTH and STARTTLS say nothing about the mail.
func (s *Observer) observeRefusal(f *track.Flow, src *Source, prof *profile,
	ev *smtpsniff.Event,
	now int64) {
	reason, cited, text := s.Refusals.Reason(s.event.Session, ev)
	if !reason.Neutral() && ev.Phase != smtpsniff.AuthPhase && ev.Phase != smtpsniff.TLSPhase {
		s.noteRefused(f, prof, ev, reason, cited.List, now)
	}
	// The rest concerns servers outside: what they say about our address and our clients.
	if !f.Noted(peer.External) {
		return
	}
	k := s.event.Key
	// The administrator of a declared server wants to hear of a listing in any case.
	if prof == nil && src.flags&declared != 0 && cited.List != "" {
		prof = s.newProfile(s.event.Source, src)
	}
	if prof == nil {
		return
	}
	// Each RCPT reply also counts for the test of unknown users, whatever its reason.
	if ev.Phase == smtpsniff.Rcpt {
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{
			Kind: detect.KindRecipientReply, Time: now,
			Unknown: reason.Absent(), Returned: f.Noted(peer.Returned)})
	}
	switch {
	case ev.Code < 500:
		s.observeServer(prof, detect.KindDeferred, k, now)
	case reason.Stranger():
		s.observeServer(prof, detect.KindRelayDenied, k, now)
	}
	s.observeCitation(prof, k, &cited, text, now)
	if cited.List != "" {
		known := len(prof.Blocklists())
		// A list that is named for the first time is news, unless a verdict about the source says
		// more.
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindListed, Time: now,
			Addr:    s.Peers.Of(k).Addr,
			Listing: &detect.Listing{List: cited.List, Text: text, Why: reason}})
		news := len(prof.Blocklists()) > known
		server := src.flags&declared != 0
		if (news && src.flags&home != 0 || server) && !prof.findings.Superseded() {
			s.report(src, prof, k.ClientKey(), verdict.OnBlocklist, news, now)
		}
	}
}

// observeCitation observes what a server's text cites: our address, a blocklist.
func (s *Observer) observeCitation(prof *profile, k *flowtable.Key, c *refusal.Citation,
	text string,
	now int64) {
	var quoted []netip.Addr
	// A server that quotes its own address says nothing about ours.
	for _, a := range c.Addrs {
		if a != peer.NetIP(k.Server, k.Scope.V6()) &&
			prof.AddressQuoted(a, s.Peers.Of(k).Addr,
				now) {
			quoted = append(quoted, a)
		}
	}
	if c.List != "" || len(quoted) > 0 {
		c.Addrs = quoted
		s.AddCitation(c, k.Server, text, now)
	}
}

// observeGreeting observes the reply to EHLO. It may quote the address under which the server sees
// us.
func (s *Observer) observeGreeting(f *track.Flow, prof *profile, text []byte, now int64) {
	if prof == nil || !f.Noted(peer.External) {
		return
	}
	// The address differs from the client's if a NAT gateway is between them: it is our public
	// address.
	a, ok := refusal.GreetedAddress(text)
	if k := s.event.Key; ok && a != peer.NetIP(k.Client, k.Scope.V6()) {
		s.observeCitation(prof, k, &refusal.Citation{Addrs: []netip.Addr{a}}, "", now)
	}
}
