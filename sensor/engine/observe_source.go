package engine

import (
	"bytes"
	"net/netip"
	"strings"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// observeAttempt counts an attempt of a source and judges the source. ttl is the hop limit of the
// SYN, zero if the SYN was not captured.
func (s *sourceObserver) observeAttempt(now int64, ref flowtable.Ref, src *source, k *flowtable.Key,
	ttl uint8) {
	src.flags |= changed
	a := s.e.attemptOf(k, now, ttl)
	if a.Port == 25 && a.External && !a.Relay && src.flags&triedOutside == 0 {
		src.flags |= triedOutside
		// until now it contacted other servers alone
		if src.profile != 0 && src.flags&home != 0 && s.eligible(src) {
			s.pendingDirect = append(s.pendingDirect, ref)
		}
	}
	// A second attempt confirms the source: a single SYN may be spoofed.
	if src.facts.Attempts > 0 {
		s.confirm(ref, src)
	}
	prof := s.profiles.At(src.profile)
	// The counters have room for a few destinations. When they are full, the source gets a profile,
	// which has more.
	if full := src.facts.Observe(&a); full && prof == nil && !s.crowded(src) {
		prof = s.newProfile(ref, src)
	}
	if prof == nil {
		return
	}
	prof.Observe(&s.e.cfg.Detect, &src.facts, a)
	s.afterAttempt(ref, prof, k, a.Net, now)
	s.judge(src, prof, now)
}

// attemptOf returns the observation of an attempt.
func (e *Engine) attemptOf(k *flowtable.Key, now int64, ttl uint8) detect.Observation {
	v6 := k.Scope.V6()
	o := e.observation(detect.KindSYN, k, now)
	o.TTL = ttl
	o.External, o.Relay = !e.peers.Home.Has(k.Server, v6), e.peers.IsRelay(k.Server, v6)
	return o
}

// observeDialogue turns the events of the listener into observations of the source. A dialogue
// without an established flow counts for no source: no server accepted it. The texts of the events
// are borrowed until the call returns.
func (s *sourceObserver) observeDialogue(x *track.Event) {
	f, session, port := x.Flow, x.Session, x.Key.ServerPort
	if x.Source == 0 || f.Midstream() && !f.SeenBothSides() {
		return
	}
	src := s.t.Sources.At(x.Source)
	cfg, now := &s.e.cfg.Detect, f.Last
	src.flags |= changed
	facts := &src.facts
	// A dialogue cannot be spoofed, so the source is real.
	s.confirm(x.Source, src)
	prof := s.profiles.At(src.profile)
	for i := range x.SMTP {
		ev := &x.SMTP[i]
		switch ev.Kind {
		// HELO and EHLO names: a bot takes many, a mail server has one.
		case smtpsniff.HeloCommand:
			prof = s.observeHelo(x, src, prof, ev.Text)
		// The null sender (RFC 5321, section 4.5.5) has no domain.
		case smtpsniff.MailCommand:
			if domain := smtpsniff.Domain(ev.Text); len(domain) > 0 {
				prof = s.observeSender(x, src, prof, domain)
			}
		// Recipients are of no more use to a detector that has fired lately.
		case smtpsniff.RcptCommand:
			facts.Recipients++
			if prof != nil {
				prof.Observe(cfg, nil, detect.Observation{Kind: detect.KindRecipient, Time: now,
					Hash:     uint32(s.e.table.Secret.HashBytes(smtpsniff.Domain(ev.Text))),
					External: f.Noted(peer.External)})
			}
		// An accepted message shows that the server is a mail server, and that the client is
		// welcome.
		case smtpsniff.MessageAccepted:
			facts.Messages++
			s.notes.noteInbound(src, s.event.Key)
			if f.Conn.Seen(tcp.Server) { // else the acceptance is a guess
				s.noteDecision(f, prof, false, false, now)
			}
		// After STARTTLS the decision about the session is not visible. A session that is encrypted
		// from the first byte shows only that the client spoke.
		case smtpsniff.TLSStarted:
			facts.TLSSessions++
			f.Notes |= peer.Encrypted | peer.Decided
			switch {
			case session.Commands > 0 && port == 25:
				s.notes.noteInbound(src, s.event.Key)
			case prof != nil && session.Commands == 0:
				prof.opaque++
				prof.Observe(cfg, nil, detect.Observation{Kind: detect.KindClientSpoke, Time: now})
			}
		// Refusals are the strongest evidence; the reply to EHLO may quote our public address.
		case smtpsniff.Reply:
			if ev.Code >= 400 {
				s.observeRefusedReply(f, src, prof, ev, now)
			} else if ev.Phase == smtpsniff.Rcpt && prof != nil && f.Noted(peer.External) {
				prof.Observe(cfg, nil, detect.Observation{
					Kind: detect.KindRecipientReply, Time: now})
			} else if ev.Phase == smtpsniff.Helo {
				s.observeGreeting(f, prof, ev.Text, now)
			}
		case smtpsniff.NotSMTPFound:
			s.observeForeign(f, src, prof)
		}
	}
	if prof != nil {
		s.noteAttested(f, prof, session)
		s.judge(src, prof, now)
	}
}

// observeHelo observes a HELO or EHLO. It returns the source's profile, which a new name can make
// necessary.
func (s *sourceObserver) observeHelo(x *track.Event, src *source, prof *profile,
	name []byte) *profile {
	o := detect.Observation{Kind: detect.KindHelo, Time: x.Time, Text: name, Port: x.Key.ServerPort,
		Hash:     uint32(s.e.table.Secret.HashBytes(name)),
		External: x.Flow.Noted(peer.External), Relay: x.Flow.Noted(peer.Relay)}
	if src.facts.Observe(&o) && prof == nil {
		prof = s.newProfile(x.Source, src)
	}
	if prof != nil {
		prof.Observe(&s.e.cfg.Detect, nil, o)
	}
	return prof
}

// observeSender observes a sender's domain, and returns the source's profile like observeHelo. A
// session with a new domain is decided again: a bot can have one session for all its mails.
func (s *sourceObserver) observeSender(x *track.Event, src *source, prof *profile,
	domain []byte) *profile {
	o := detect.Observation{Kind: detect.KindSender, Time: x.Time,
		Hash: uint32(s.e.table.Secret.HashBytes(domain)), External: x.Flow.Noted(peer.External)}
	if src.facts.Observe(&o) && prof == nil {
		prof = s.newProfile(x.Source, src)
	}
	if prof != nil && prof.Observe(&s.e.cfg.Detect, nil, o) && !x.Flow.Noted(peer.Encrypted) {
		x.Flow.Notes &^= peer.Decided
	}
	return prof
}

// noteAttested records once for each session that the server answered the client's commands.
func (s *sourceObserver) noteAttested(f *track.Flow, prof *profile, session *smtpsniff.Session) {
	if f.Noted(peer.Attested|peer.SelfMade) || !f.SeenBothSides() || session.Commands == 0 &&
		session.Encryption == smtpsniff.Plain {
		return
	}
	if _, down := f.Conn.Counts(tcp.Server); down == 0 {
		return
	}
	f.Notes |= peer.Attested
	prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindAttested, Time: f.Last})
}

// observeConflict records once for each session that a client sent other bytes in the place of
// earlier ones. A change by a firewall on the way does not count, where the mirror port shows
// frames before and behind the firewall.
func (s *sourceObserver) observeConflict(src *source, prof *profile, p *track.Packet,
	f *track.Flow) {
	if prof == nil || f.Noted(peer.Conflicted) || p.MAC != src.mac && !detect.InitialTTL(p.TTL) {
		return
	}
	f.Notes |= peer.Conflicted
	prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindConflict, Time: p.Time})
}

// observeRefusedReply observes a reply that refused something, counts it by phase, and leaves out
// replies that say nothing about the client or its mail.
func (s *sourceObserver) observeRefusedReply(f *track.Flow, src *source, prof *profile,
	ev *smtpsniff.Event,
	now int64) {
	facts := &src.facts
	switch ev.Phase {
	case smtpsniff.Rcpt:
		facts.RecipientsRejected++
	case smtpsniff.AuthPhase, smtpsniff.TLSPhase:
	case smtpsniff.Banner, smtpsniff.Helo, smtpsniff.Mail, smtpsniff.Data, smtpsniff.EndOfData:
		if ev.Phase == smtpsniff.Helo && (ev.Code == 500 || ev.Code == 502 || ev.Code == 503) {
			return // an old server without EHLO; 501 and 504 complain about the name
		}
		if ev.Code >= 500 {
			facts.Rejected++
		} else {
			facts.Deferred++
		}
	case smtpsniff.NoPhase: // the command was not captured, but the text may show its subject
		if reason, _, _ := s.refusals.Reason(s.event.Session,
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
func (s *sourceObserver) noteDecision(f *track.Flow, prof *profile, refused, listed bool,
	now int64) {
	if f.Noted(peer.Decided) {
		return
	}
	f.Notes |= peer.Decided
	if prof != nil && f.Noted(peer.External) {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindDecided, Time: now,
			Refused: refused, Listed: listed})
	}
}

// observeRefusal observes a refusal: its reason, and what it says about the client. Refusals of
// AUTH and STARTTLS say nothing about the mail.
func (s *sourceObserver) observeRefusal(f *track.Flow, src *source, prof *profile,
	ev *smtpsniff.Event,
	now int64) {
	reason, cited, text := s.refusals.Reason(s.event.Session, ev)
	if !reason.Neutral() && ev.Phase != smtpsniff.AuthPhase && ev.Phase != smtpsniff.TLSPhase {
		s.noteDecision(f, prof, true, reason == refusal.Blocklisted || cited.List != "", now)
	}
	// The rest concerns servers outside: what they say about our address and our clients.
	if !f.Noted(peer.External) {
		return
	}
	k := s.event.Key
	// A declared server is not judged as a bot, but its administrator wants to hear of a listing.
	if src.flags&declared != 0 && cited.List != "" {
		s.observeListing(f, src, k, &cited, text, now)
		return
	}
	if prof == nil {
		return
	}
	// Each RCPT reply also counts for the test of unknown users, whatever its reason.
	if ev.Phase == smtpsniff.Rcpt {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{
			Kind: detect.KindRecipientReply, Time: now,
			Unknown: reason == refusal.UserUnknown})
	}
	switch {
	case ev.Code < 500:
		prof.Observe(&s.e.cfg.Detect, nil, s.e.observation(detect.KindDeferred, k, now))
	case reason == refusal.NoRelaying, reason == refusal.WantsLogin, reason == refusal.LoginFailed:
		prof.Observe(&s.e.cfg.Detect, nil, s.e.observation(detect.KindRelayDenied, k, now))
	}
	s.observeCitation(prof, k, &cited, text, now)
	if cited.List != "" {
		known := len(prof.Blocklists())
		// A list that is named for the first time is news, unless a verdict about the source says
		// more.
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindListed, Time: now,
			Listing: &detect.Listing{List: cited.List, Text: text, Why: reason}})
		if len(prof.Blocklists()) > known && !prof.findings.Superseded() && src.flags&home != 0 &&
			s.eligible(src) {
			s.report(src, prof, k.ClientKey(), verdict.OnBlocklist, true, now)
		}
	}
}

// observeCitation observes what a server's text cites: our address, a blocklist.
func (s *sourceObserver) observeCitation(prof *profile, k *flowtable.Key, c *refusal.Citation,
	text string,
	now int64) {
	var quoted []netip.Addr
	// A server that quotes its own address says nothing about ours.
	for _, a := range c.Addrs {
		if a != peer.NetIP(k.Server, k.Scope.V6()) &&
			prof.AddressQuoted(a, s.e.peers.Destination(&k.Server),
				now) {
			quoted = append(quoted, a)
		}
	}
	if c.List != "" || len(quoted) > 0 {
		c.Addrs = quoted
		s.journal.addEntry(entry{citation: &citation{*c, k.Server, text}, time: now})
	}
}

// observeGreeting observes the reply to EHLO. It may quote the address under which the server sees
// us.
func (s *sourceObserver) observeGreeting(f *track.Flow, prof *profile, text []byte, now int64) {
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

// observeListing observes a refusal of a declared mail server that names a blocklist. It makes a
// profile, because a declared server has none otherwise.
func (s *sourceObserver) observeListing(f *track.Flow, src *source, k *flowtable.Key,
	c *refusal.Citation,
	text string, now int64) {
	prof := s.profiles.At(src.profile)
	if prof == nil {
		prof = s.newProfile(s.event.Source, src)
	}
	known := len(prof.Blocklists())
	s.observeCitation(prof, k, c, text, now)
	prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindListed, Time: now,
		Listing: &detect.Listing{List: c.List, Text: text, Why: refusal.Blocklisted}})
	s.report(src, prof, k.ClientKey(), verdict.OnBlocklist, len(prof.Blocklists()) > known, now)
}

// observeForeign observes a session that is neither SMTP nor TLS: another program uses a mail port.
func (s *sourceObserver) observeForeign(f *track.Flow, src *source, prof *profile) {
	if prof == nil || !f.Established() || !f.Noted(peer.External) || src.flags&home == 0 ||
		!s.eligible(src) {
		return
	}
	prof.foreign++
	s.report(src, prof, s.event.Key.ClientKey(), verdict.NotSMTP, false, f.Last)
}

// observeEnd observes the end of a flow: whether the client had anything to deliver, how it spoke,
// and the name of the TLS server.
func (s *sourceObserver) observeEnd(k *flowtable.Key, f *track.Flow, session *smtpsniff.Session,
	src *source,
	prof *profile) {
	if prof == nil || f.Midstream() {
		return
	}
	if !f.Established() {
		// without the client's side its silence is not known
		if f.Answered() && f.SYNs > 0 {
			prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindHalfOpen})
		}
		return
	}
	if session == nil {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
			Silent: f.Conn.Seen(tcp.Client)})
		return
	}
	// From here on the session has a dialogue.
	plain := session.Encryption == smtpsniff.Plain
	refused := session.Rejected+session.Deferred > 0 // then there was nothing to say, or no more
	// welcomed says that the server accepted a recipient, and that no part of its side is missing.
	// A client that then leaves without DATA verifies addresses.
	welcomed := f.Conn.Seen(tcp.Server) && session.Flags&smtpsniff.GapServer == 0 &&
		session.Rcpts > session.RcptsRejected
	prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
		Silent: f.Conn.Seen(tcp.Client) && f.Conn.Ended() && nothingToDeliver(session) &&
			!refused,
		Mail: session.Mails > 0, Accepted: welcomed, Callout: welcomed && !dataBegan(session)})
	// The dialect is judged on port 25 alone, where mail servers talk to one another.
	if f.Noted(peer.External) && k.ServerPort == 25 && plain && session.Proto == smtpsniff.SMTP {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindDialect,
			Time:     f.Last,
			Oddities: oddities(f, session)})
	}
	// The name in the TLS handshake shows which provider the client wants, even if the rest is
	// encrypted.
	if name := session.SNI(); len(name) > 0 && f.Noted(peer.External) {
		domain := dns.Registered(strings.ToLower(string(name)))
		hash := uint32(s.e.table.Secret.HashBytes([]byte(domain)))
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindTLSName,
			Time: f.Last,
			Hash: hash})
	}
	if src != nil {
		s.judge(src, prof, f.Last)
	}
}

// nothingToDeliver reports whether a client had nothing to deliver: it sent nothing, or nothing but
// hello and goodbye although the server replied. After a gap in its data or with TLS that is
// unknown.
func nothingToDeliver(session *smtpsniff.Session) bool {
	if session.Encryption != smtpsniff.Plain || session.Auth >= smtpsniff.AuthTried ||
		session.Mails+session.Rcpts+session.Messages > 0 || session.Flags&smtpsniff.GapClient != 0 {
		return false
	}
	return session.Commands == 0 || session.Proto == smtpsniff.SMTP && session.Replies > 1
}

// dataBegan reports whether the client went on to a message, even if the server refused it.
func dataBegan(session *smtpsniff.Session) (began bool) {
	session.Codes(func(c smtpsniff.CodeCount) { began = began || c.Code == 354 })
	return began || session.Messages > 0 || session.Flags&smtpsniff.DataRefused != 0
}

// oddities returns the deviations from a correct client (RFC 5321) in a session.
func oddities(f *track.Flow, session *smtpsniff.Session) (o detect.Oddity) {
	for _, x := range []struct {
		flag smtpsniff.Flags
		odd  detect.Oddity
	}{{smtpsniff.EarlyTalker, detect.Early}, {smtpsniff.BareLF, detect.BareLineFeed},
		{smtpsniff.UnknownCommand, detect.NoSuchCommand}, {smtpsniff.NoHelo, detect.NoHello},
		{smtpsniff.Impatient, detect.Impatient}} {
		if session.Flags&x.flag != 0 {
			o |= x.odd
		}
	}
	// A client uses EHLO, above all with a server whose greeting says ESMTP (RFC 5321, section
	// 3.2).
	if session.HeloVerb == smtpsniff.HELO && bytes.Contains(session.Banner(), []byte("ESMTP")) {
		o |= detect.OldHello
	}
	if session.LenientPath {
		o |= detect.LooseSyntax
	}
	// DATA after all recipients were refused, although the client had read the replies.
	if session.Flags&smtpsniff.DataRefused != 0 && session.Flags&smtpsniff.Pipelined == 0 &&
		session.Rcpts > 0 && session.Rcpts == session.RcptsRejected {
		o |= detect.WentOn
	}
	// Most mail servers use STARTTLS if it is offered.
	if session.Offers&smtpsniff.OffersSTARTTLS != 0 && session.Mails > 0 &&
		session.Flags&smtpsniff.STARTTLSRefused == 0 {
		o |= detect.Unencrypted
	}
	// The codes of the replies show whether the greeting and the goodbye were seen.
	bye, greetingSeen := false, false
	session.Codes(func(c smtpsniff.CodeCount) {
		bye = bye || c.Code == 221 || c.Code == 421
		greetingSeen = greetingSeen || c.Code == 220
	})
	if !greetingSeen { // then the greeting was not seen, and which side sent first is not known
		o &^= detect.Early
	}
	// A client that drops the connection after its mail saves the QUIT (RFC 5321, section
	// 4.1.1.10).
	if !bye && f.Conn.Ended() && session.Mails > 0 &&
		session.Flags&(smtpsniff.GapServer|smtpsniff.GapClient) == 0 {
		o |= detect.NoGoodbye
	}
	return o
}

// observation returns an observation about the server of k.
func (e *Engine) observation(kind detect.Kind, k *flowtable.Key, now int64) detect.Observation {
	return detect.Observation{Kind: kind, Time: now, Port: k.ServerPort,
		Addr: e.peers.Destination(&k.Server), Net: e.peers.Net(k.Server, k.Scope.V6())}
}
