package engine

import (
	"bytes"
	"net/netip"
	"strings"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// attempt counts an attempt of a source and judges the source. ttl is the hop limit of the SYN,
// zero if the SYN was not captured.
func (s *sourceObserver) attempt(now int64, ref flowtable.Ref, src *source, k *flowtable.Key,
	ttl uint8) {
	src.flags |= changed
	s.servers.observeServerAttempt(now, src, k, attemptBegan)
	a := s.e.attempted(k, now, ttl)
	if a.Port == 25 && a.External && !a.Relay && src.flags&outside == 0 {
		src.flags |= outside
		// until now it contacted other servers alone
		if src.host != 0 && src.flags&home != 0 && s.judges(src) {
			s.pendingDirect = append(s.pendingDirect, ref)
		}
	}
	// A second attempt confirms the source: a single SYN may be spoofed.
	if src.facts.Attempts > 0 {
		s.confirm(ref, src)
	}
	hst := s.hosts.At(src.host)
	// The counters have room for a few destinations. When they are full, the source gets a profile,
	// which has more.
	if full := src.facts.Observe(&a); full && hst == nil && !s.crowded(src) {
		hst = s.newHost(ref, src)
	}
	if hst == nil {
		return
	}
	hst.Observe(&s.e.cfg.Detect, &src.facts, a)
	s.afterAttempt(ref, hst, k, a.Net, now)
	s.judge(src, hst, now)
}

// attempted returns the observation of an attempt.
func (e *Engine) attempted(k *flowtable.Key, now int64, ttl uint8) detect.Observation {
	v6 := k.Scope.V6()
	o := e.observation(detect.KindSYN, k, now)
	o.TTL = ttl
	o.External, o.Relay = !e.home.has(k.Server, v6), e.isRelay(k.Server, v6)
	return o
}

// observeDialogue turns the events of the listener into observations of the source. A dialogue
// without an established flow counts for no source: no server accepted it. The texts of the events
// are borrowed until the call returns.
func (s *sourceObserver) observeDialogue(x *track.Event) {
	f, session, port := x.Flow, x.Session, x.Key.ServerPort
	if !f.Established() && !f.Midstream() || f.Noted(selfMade) && s.e.pairs.differ() {
		return
	}
	// Mail servers first: their transactions do not depend on the source.
	s.servers.observeTransaction(x)
	if x.Source == 0 || f.Midstream() && !f.SeenBothSides() {
		return
	}
	src := s.t.Sources.At(x.Source)
	cfg, now := &s.e.cfg.Detect, f.Last
	src.flags |= changed
	facts := &src.facts
	// A dialogue cannot be spoofed, so the source is real.
	s.confirm(x.Source, src)
	hst := s.hosts.At(src.host)
	for i := range x.SMTP {
		ev := &x.SMTP[i]
		switch ev.Kind {
		// HELO and EHLO names: a bot takes many, a mail server has one.
		case smtpsniff.HeloCommand:
			o := detect.Observation{Kind: detect.KindHelo, Time: now, Text: ev.Text, Port: port,
				Hash:     uint32(s.e.table.Secret.HashBytes(ev.Text)),
				External: f.Noted(external), Relay: f.Noted(relay)}
			if facts.Observe(&o) && hst == nil {
				hst = s.newHost(x.Source, src)
			}
			if hst != nil {
				hst.Observe(cfg, nil, o)
			}
		// The null sender (RFC 5321, section 4.5.5) has no domain.
		case smtpsniff.MailCommand:
			domain := smtpsniff.Domain(ev.Text)
			if len(domain) == 0 {
				continue
			}
			o := detect.Observation{Kind: detect.KindSender, Time: now,
				Hash: uint32(s.e.table.Secret.HashBytes(domain)), External: f.Noted(external)}
			if facts.Observe(&o) && hst == nil {
				hst = s.newHost(x.Source, src)
			}
			if hst != nil && hst.Observe(cfg, nil, o) && !f.Noted(encrypted) {
				// A sender of another domain is decided again: a bot can have one session for all.
				f.Notes &^= decided
			}
		// Recipients are of no more use to a detector that has fired lately.
		case smtpsniff.RcptCommand:
			facts.Recipients++
			if hst != nil {
				hst.Observe(cfg, nil, detect.Observation{Kind: detect.KindRecipient, Time: now,
					Hash:     uint32(s.e.table.Secret.HashBytes(smtpsniff.Domain(ev.Text))),
					External: f.Noted(external)})
			}
		// An accepted message shows that the server is a mail server, and that the client is
		// welcome.
		case smtpsniff.MessageAccepted:
			facts.Messages++
			s.notes.noteInbound(src, s.event.Key)
			if f.Conn.Seen(tcp.Server) { // else the acceptance is a guess
				s.decide(f, hst, false, false, now)
			}
		// After STARTTLS the decision about the session is not visible. A session that is encrypted
		// from the first byte shows only that the client spoke.
		case smtpsniff.TLSStarted:
			facts.TLSSessions++
			f.Notes |= encrypted | decided
			switch {
			case session.Commands > 0 && port == 25:
				s.notes.noteInbound(src, s.event.Key)
			case hst != nil && session.Commands == 0:
				hst.opaque++
				hst.Observe(cfg, nil, detect.Observation{Kind: detect.KindClientSpoke, Time: now})
			}
		// Refusals are the strongest evidence; the reply to EHLO may quote our public address.
		case smtpsniff.Reply:
			if ev.Code >= 400 {
				s.refusal(f, src, hst, ev, now)
			} else if ev.Phase == smtpsniff.Rcpt && hst != nil && f.Noted(external) {
				hst.Observe(cfg, nil, detect.Observation{
					Kind: detect.KindRecipientReply, Time: now})
			} else if ev.Phase == smtpsniff.Helo {
				s.observeGreeting(f, hst, ev.Text, now)
			}
		case smtpsniff.NotSMTPFound:
			s.observeForeign(f, src, hst)
		}
	}
	if hst != nil {
		s.attest(f, hst, session)
		s.judge(src, hst, now)
	}
}

// attest observes once for each session that the server answered the client's commands.
func (s *sourceObserver) attest(f *track.Flow, hst *host, session *smtpsniff.Session) {
	if f.Noted(attested|selfMade) || !f.SeenBothSides() || session.Commands == 0 &&
		session.Encryption == smtpsniff.Plain {
		return
	}
	if _, down := f.Conn.Counts(tcp.Server); down == 0 {
		return
	}
	f.Notes |= attested
	hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindAttested, Time: f.Last})
}

// conflicting observes once for each session that a client sent other bytes in the place of earlier
// ones. A change by a firewall on the way does not count, where the mirror port shows frames before
// and behind the firewall.
func (s *sourceObserver) conflicting(src *source, hst *host, p *track.Packet, f *track.Flow) {
	if hst == nil || f.Noted(conflicted) || p.MAC != src.mac && !detect.InitialTTL(p.TTL) {
		return
	}
	f.Notes |= conflicted
	hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindConflict, Time: p.Time})
}

// refusal observes a reply that refused something, counts it by phase, and leaves out replies that
// say nothing about the client or its mail.
func (s *sourceObserver) refusal(f *track.Flow, src *source, hst *host, ev *smtpsniff.Event,
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
		if reason, _, _ := s.refusals.refusalReason(s.event.Session,
			ev); reason < refusal.UserUnknown || reason == refusal.LoginFailed {
			return
		}
	default:
		return // says nothing about the mail
	}
	s.observeRefusal(f, src, hst, ev, now)
}

// decide observes once for each session, or for each new sender domain, whether it was refused or a
// message was accepted. If one of the two was not captured, the client's next command shows it:
// without that more servers would be taken for bots (bench campaigns, variants outbound and
// inbound).
func (s *sourceObserver) decide(f *track.Flow, hst *host, refused, listed bool, now int64) {
	if f.Noted(decided) {
		return
	}
	f.Notes |= decided
	if hst != nil && f.Noted(external) {
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindDecided, Time: now,
			Refused: refused, Listed: listed})
	}
}

// cachedReason is what the text of a refusal says. Servers repeat their texts, so each is parsed
// once.
type cachedReason struct {
	hash   uint64 // hash of code and text
	reason refusal.Reason
	// cites says that the text names a blocklist or an address: then it is parsed each time.
	cites bool
}

// refusalCache holds the parsed texts of refusals, by their hash. 256 of them are enough: a
// provider has a few dozen.
type refusalCache struct {
	secret  *flowtable.Secret
	entries [256]cachedReason
}

// refusalReason parses a refusal. The citation and the text may be shown to the administrator; the
// text is empty if it names no blocklist and no address. The cache has 256 slots for each shard,
// and a text replaces another one in its slot.
func (s *refusalCache) refusalReason(session *smtpsniff.Session,
	ev *smtpsniff.Event) (reason refusal.Reason, cited refusal.Citation,
	text string) {
	hash := s.secret.HashBytes(ev.Text) ^ uint64(ev.Code)<<32 ^
		uint64(ev.Enhanced.Subject)<<16 ^ uint64(ev.Enhanced.Detail)
	// The code is part of the hash: the same text can come with 450 and 550.
	c := &s.entries[hash%uint64(len(s.entries))]
	if c.hash != hash || c.cites {
		full := string(ev.Text)
		cited = refusal.ParseCitation(full)
		text = full
		// The shown text has no addresses of users. A blocklist that only the full text names is
		// reported as hidden.
		if shown := string(ev.Redacted); shown != full {
			if text = shown; cited.List != "" && refusal.ParseCitation(shown).List != cited.List {
				cited.List = refusal.HiddenList
			}
		}
		*c = cachedReason{hash, refusal.Classify(ev.Code, enhanced(ev.Enhanced), full),
			cited.List != "" || len(cited.Addrs) > 0}
		if session != nil {
			cited = dropHelpLink(cited, session.Banner())
		}
	}
	return c.reason, cited, text
}

// dropHelpLink drops a list that is only the host of a link to the server's own help, by the name
// in its greeting: Gmail's support.google.com is no blocklist.
func dropHelpLink(c refusal.Citation, banner []byte) refusal.Citation {
	if name := greetingName(banner); c.Link && name != "" &&
		dns.Registered(name) == dns.Registered(c.List) {
		c.List, c.Link = "", false
	}
	return c
}

// observeRefusal observes a refusal: its reason, and what it says about the client. Refusals of
// AUTH and STARTTLS say nothing about the mail.
func (s *sourceObserver) observeRefusal(f *track.Flow, src *source, hst *host, ev *smtpsniff.Event,
	now int64) {
	reason, cited, text := s.refusals.refusalReason(s.event.Session, ev)
	if !reason.Neutral() && ev.Phase != smtpsniff.AuthPhase && ev.Phase != smtpsniff.TLSPhase {
		s.decide(f, hst, true, reason == refusal.Blocklisted || cited.List != "", now)
	}
	// The rest concerns servers outside: what they say about our address and our clients.
	if !f.Noted(external) {
		return
	}
	k := s.event.Key
	// A declared server is not judged as a bot, but its administrator wants to hear of a listing.
	if src.flags&declared != 0 && cited.List != "" {
		s.observeListing(f, src, k, &cited, text, now)
		return
	}
	if hst == nil {
		return
	}
	// Each RCPT reply also counts for the test of unknown users, whatever its reason.
	if ev.Phase == smtpsniff.Rcpt {
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{
			Kind: detect.KindRecipientReply, Time: now,
			Unknown: reason == refusal.UserUnknown})
	}
	switch {
	case ev.Code < 500:
		hst.Observe(&s.e.cfg.Detect, nil, s.e.observation(detect.KindDeferred, k, now))
	case reason == refusal.NoRelaying, reason == refusal.WantsLogin, reason == refusal.LoginFailed:
		hst.Observe(&s.e.cfg.Detect, nil, s.e.observation(detect.KindRelayDenied, k, now))
	}
	s.observeCitation(hst, k, &cited, text, now)
	if cited.List != "" {
		known := len(hst.Blocklists())
		// A list that is named for the first time is news, unless a verdict about the source says
		// more.
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindListed, Time: now,
			Listing: &detect.Listing{List: cited.List, Text: text, Why: reason}})
		if len(hst.Blocklists()) > known && !hst.findings.Superseded() && src.flags&home != 0 &&
			s.judges(src) {
			s.report(src, hst, k.ClientKey(), verdict.OnBlocklist, true, now)
		}
	}
}

// observeCitation observes what a server's text cites: our address, a blocklist.
func (s *sourceObserver) observeCitation(hst *host, k *flowtable.Key, c *refusal.Citation,
	text string,
	now int64) {
	var quoted []netip.Addr
	// A server that quotes its own address says nothing about ours.
	for _, a := range c.Addrs {
		if a != addr(k.Server, k.Scope.V6()) && hst.AddressQuoted(a, s.e.destination(&k.Server),
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
func (s *sourceObserver) observeGreeting(f *track.Flow, hst *host, text []byte, now int64) {
	if hst == nil || !f.Noted(external) {
		return
	}
	// The address differs from the client's if a NAT gateway is between them: it is our public
	// address.
	a, ok := refusal.GreetedAddress(text)
	if k := s.event.Key; ok && a != addr(k.Client, k.Scope.V6()) {
		s.observeCitation(hst, k, &refusal.Citation{Addrs: []netip.Addr{a}}, "", now)
	}
}

// observeListing observes a refusal of a declared mail server that names a blocklist. It makes a
// profile, because a declared server has none otherwise.
func (s *sourceObserver) observeListing(f *track.Flow, src *source, k *flowtable.Key,
	c *refusal.Citation,
	text string, now int64) {
	hst := s.hosts.At(src.host)
	if hst == nil {
		hst = s.newHost(s.event.Source, src)
	}
	known := len(hst.Blocklists())
	s.observeCitation(hst, k, c, text, now)
	hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindListed, Time: now,
		Listing: &detect.Listing{List: c.List, Text: text, Why: refusal.Blocklisted}})
	s.report(src, hst, k.ClientKey(), verdict.OnBlocklist, len(hst.Blocklists()) > known, now)
}

// observeForeign observes a session that is neither SMTP nor TLS: another program uses a mail port.
func (s *sourceObserver) observeForeign(f *track.Flow, src *source, hst *host) {
	if hst == nil || !f.Established() || !f.Noted(external) || src.flags&home == 0 ||
		!s.judges(src) {
		return
	}
	hst.foreign++
	s.report(src, hst, s.event.Key.ClientKey(), verdict.NotSMTP, false, f.Last)
}

// observeEnd observes the end of a flow: whether the client had anything to deliver, how it spoke,
// and the name of the TLS server.
func (s *sourceObserver) observeEnd(k *flowtable.Key, f *track.Flow, session *smtpsniff.Session,
	src *source,
	hst *host) {
	if hst == nil || f.Midstream() {
		return
	}
	if !f.Established() {
		// without the client's side its silence is not known
		if f.Answered() && f.SYNs > 0 {
			hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindHalfOpen})
		}
		return
	}
	if session == nil {
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
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
	hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
		Silent: f.Conn.Seen(tcp.Client) && f.Conn.Ended() && nothingToDeliver(session) &&
			!refused,
		Mail: session.Mails > 0, Accepted: welcomed, Callout: welcomed && !dataBegan(session)})
	// The dialect is judged on port 25 alone, where mail servers talk to one another.
	if f.Noted(external) && k.ServerPort == 25 && plain && session.Proto == smtpsniff.SMTP {
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindDialect, Time: f.Last,
			Oddities: oddities(f, session)})
	}
	// The name in the TLS handshake shows which provider the client wants, even if the rest is
	// encrypted.
	if name := session.SNI(); len(name) > 0 && f.Noted(external) {
		domain := dns.Registered(strings.ToLower(string(name)))
		hash := uint32(s.e.table.Secret.HashBytes([]byte(domain)))
		hst.Observe(&s.e.cfg.Detect, nil, detect.Observation{Kind: detect.KindTLSName, Time: f.Last,
			Hash: hash})
	}
	if src != nil {
		s.judge(src, hst, f.Last)
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
