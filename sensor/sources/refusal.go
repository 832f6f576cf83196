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
		if reason, _, _ := s.Refusals.Reason(s.event.Session,
			ev); reason < refusal.UserUnknown || reason == refusal.LoginFailed {
			return
		}
	default:
		return // says nothing about the mail
	}
	s.observeRefusal(f, src, prof, ev, now)
}

// noteDecision records once for each session, or for each new sender domain, whether it was refused
// or a message was accepted. If one of the two was not captured, the client's next command shows
// it: without that more servers would be taken for bots (bench campaigns, variants outbound and
// inbound).
func (s *Observer) noteDecision(f *track.Flow, prof *profile, refused, listed bool,
	now int64) {
	if f.Noted(peer.Decided) {
		return
	}
	f.Notes |= peer.Decided
	if prof != nil && f.Noted(peer.External) {
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindDecided, Time: now,
			Refused: refused, Listed: listed})
	}
}

// observeRefusal observes a refusal: its reason, and what it says about the client. Refusals of
// AUTH and STARTTLS say nothing about the mail.
func (s *Observer) observeRefusal(f *track.Flow, src *Source, prof *profile,
	ev *smtpsniff.Event,
	now int64) {
	reason, cited, text := s.Refusals.Reason(s.event.Session, ev)
	if !reason.Neutral() && ev.Phase != smtpsniff.AuthPhase && ev.Phase != smtpsniff.TLSPhase {
		s.noteDecision(f, prof, true, reason == refusal.Blocklisted || cited.List != "", now)
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
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{
			Kind: detect.KindRecipientReply, Time: now,
			Unknown: reason == refusal.UserUnknown})
	}
	switch {
	case ev.Code < 500:
		prof.Observe(&s.all.cfg.Detect, nil, s.all.observation(detect.KindDeferred, k, now))
	case reason == refusal.NoRelaying, reason == refusal.WantsLogin, reason == refusal.LoginFailed:
		prof.Observe(&s.all.cfg.Detect, nil, s.all.observation(detect.KindRelayDenied, k, now))
	}
	s.observeCitation(prof, k, &cited, text, now)
	if cited.List != "" {
		known := len(prof.Blocklists())
		// A list that is named for the first time is news, unless a verdict about the source says
		// more.
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindListed, Time: now,
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
			prof.AddressQuoted(a, s.all.cfg.Peers.Destination(&k.Server),
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
