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

// cachedReason is what the text of a refusal says. Servers repeat their texts, so each is parsed
// once.
type cachedReason struct {
	hash uint64 // hash of code and text
	why  refusal.Reason
	// cites says that the text names a blocklist or an address: then it is parsed each time.
	cites bool
}

// refusalCache remembers what the texts of refusals say, by their hash. 256 of them are enough: a
// provider has a few dozen.
type refusalCache struct {
	secret  *flowtable.Secret
	entries [256]cachedReason
}

// refusalReason parses a refusal. The citation and the text may be shown to the administrator; the
// text is empty if it names no blocklist and no address. The cache has 256 slots for each shard,
// and a text replaces another one in its slot.
func (s *refusalCache) refusalReason(session *smtpsniff.Session, ev *smtpsniff.Event) (why refusal.Reason, cited refusal.Citation,
	text string) {
	hash := s.secret.HashBytes(ev.Text) ^ uint64(ev.Code)<<32 ^
		uint64(ev.Enhanced.Subject)<<16 ^ uint64(ev.Enhanced.Detail)
	// The code is part of the hash: the same text can come with 450 and 550.
	c := &s.entries[hash%uint64(len(s.entries))]
	if c.hash != hash || c.cites {
		said := string(ev.Text)
		cited = refusal.ParseCitation(said)
		text = said
		// The shown text has no addresses of users. A blocklist that only the full text names is
		// reported as hidden.
		if shown := string(ev.Redacted); shown != said {
			if text = shown; cited.List != "" && refusal.ParseCitation(shown).List != cited.List {
				cited.List = refusal.HiddenList
			}
		}
		*c = cachedReason{hash, refusal.Classify(ev.Code, enhanced(ev.Enhanced), said),
			cited.List != "" || len(cited.Addrs) > 0}
		if session != nil {
			cited = dropHelpLink(cited, session.Banner())
		}
	}
	return c.why, cited, text
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
func (s *sourceObserver) observeRefusal(f *track.Flow, src *source, hst *host, ev *smtpsniff.Event, now int64) {
	why, cited, text := s.refusals.refusalReason(s.event.Session, ev)
	if !why.Neutral() && ev.Phase != smtpsniff.AuthPhase && ev.Phase != smtpsniff.TLSPhase {
		s.decide(f, hst, true, why == refusal.Blocklisted || cited.List != "", now)
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
	server := s.e.destination(&k.Server)
	// Each RCPT reply also counts for the test of unknown users, whatever its reason.
	if ev.Phase == smtpsniff.Rcpt {
		hst.RecipientAnswered(&s.e.cfg.Detect, why == refusal.UserUnknown, now)
	}
	switch {
	case ev.Code < 500:
		hst.Deferred(server, now)
	case why == refusal.NoRelaying, why == refusal.WantsLogin, why == refusal.LoginFailed:
		hst.RelayDenied(server, now)
	}
	s.observeCitation(hst, k, &cited, text, now)
	if cited.List != "" {
		known := len(hst.Blocklists())
		// A list that is named for the first time is news, unless a verdict about the source says
		// more.
		hst.BlocklistNamed(cited.List, text, why, now)
		if len(hst.Blocklists()) > known && !hst.superseded() && src.flags&home != 0 &&
			s.judges(src) {
			s.report(src, hst, k.ClientKey(), verdict.OnBlocklist, true, now)
		}
	}
}

// observeCitation observes what a server's text cites: our address, a blocklist.
func (s *sourceObserver) observeCitation(hst *host, k *flowtable.Key, c *refusal.Citation, text string,
	now int64) {
	var news []netip.Addr
	// A server that quotes its own address says nothing about ours.
	for _, a := range c.Addrs {
		if a != addr(k.Server, k.Scope.V6()) && hst.AddressQuoted(a, s.e.destination(&k.Server),
			now) {
			news = append(news, a)
		}
	}
	if c.List != "" || len(news) > 0 {
		c.Addrs = news
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
func (s *sourceObserver) observeListing(f *track.Flow, src *source, k *flowtable.Key, c *refusal.Citation,
	text string, now int64) {
	hst := s.hosts.At(src.host)
	if hst == nil {
		hst = s.newHost(s.event.Source, src)
	}
	known := len(hst.Blocklists())
	s.observeCitation(hst, k, c, text, now)
	hst.BlocklistNamed(c.List, text, refusal.Blocklisted, now)
	s.report(src, hst, k.ClientKey(), verdict.OnBlocklist, len(hst.Blocklists()) > known, now)
}

// observeForeign observes a session that is neither SMTP nor TLS: another program uses a mail port.
func (s *sourceObserver) observeForeign(f *track.Flow, src *source, hst *host) {
	if hst == nil || !f.Established() || !f.Noted(external) || src.flags&home == 0 || !s.judges(src) {
		return
	}
	hst.foreign++
	s.report(src, hst, s.event.Key.ClientKey(), verdict.NotSMTP, false, f.Last)
}

// observeEnd observes the end of a flow: whether the client had anything to deliver, how it spoke,
// and the name of the TLS server.
func (s *sourceObserver) observeEnd(k *flowtable.Key, f *track.Flow, session *smtpsniff.Session, src *source,
	hst *host) {
	if hst == nil || f.Midstream() {
		return
	}
	if !f.Established() {
		// without the client's side its silence is not known
		if f.Answered() && f.SYNs > 0 {
			hst.HalfOpen()
		}
		return
	}
	if session == nil {
		hst.SessionOver(f.Conn.Seen(tcp.Client), false, false, false)
		return
	}
	// From here on the session has a dialogue.
	plain := session.Encryption == smtpsniff.Plain
	refused := session.Rejected+session.Deferred > 0 // then there was nothing to say, or no more
	// welcomed says that the server accepted a recipient, and that no part of its side is missing.
	// A client that then leaves without DATA verifies addresses.
	welcomed := f.Conn.Seen(tcp.Server) && session.Flags&smtpsniff.GapServer == 0 &&
		session.Rcpts > session.RcptsRejected
	hst.SessionOver(f.Conn.Seen(tcp.Client) && f.Conn.Ended() && nothingToDeliver(session) &&
		!refused, session.Mails > 0, welcomed, welcomed && !dataBegan(session))
	// The dialect is judged on port 25 alone, where mail servers talk to one another.
	if f.Noted(external) && k.ServerPort == 25 && plain && session.Proto == smtpsniff.SMTP {
		hst.Dialect(oddities(f, session), f.Last)
	}
	// The name in the TLS handshake shows which provider the client wants, even if the rest is
	// encrypted.
	if name := session.SNI(); len(name) > 0 && f.Noted(external) {
		domain := dns.Registered(strings.ToLower(string(name)))
		hash := uint32(s.e.table.Secret.HashBytes([]byte(domain)))
		hst.TLSServerNamed(&s.e.cfg.Detect, hash, f.Last)
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
	bye, greeted := false, false
	session.Codes(func(c smtpsniff.CodeCount) {
		bye = bye || c.Code == 221 || c.Code == 421
		greeted = greeted || c.Code == 220
	})
	if !greeted { // then the greeting was not seen, and which side sent first is not known
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
