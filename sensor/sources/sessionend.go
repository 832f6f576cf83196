package sources

import (
	"bytes"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// observeForeign observes a session that is neither SMTP nor TLS: another program uses a mail port.
func (s *Observer) observeForeign(f *track.Flow, src *Source, prof *profile) {
	if prof == nil || !f.Established() || !f.Noted(peer.External) || src.flags&home == 0 ||
		!s.eligible(src) {
		return
	}
	prof.foreign++
	s.report(src, prof, s.event.Key.ClientKey(), verdict.NotSMTP, false, f.Last)
}

// observeEnd observes the end of a flow: whether the client had anything to deliver, how it spoke,
// and the name of the TLS server.
func (s *Observer) observeEnd(k *flowtable.Key, f *track.Flow, session *smtpsniff.Session,
	src *Source,
	prof *profile) {
	if prof == nil || f.Midstream() {
		return
	}
	if !f.Established() {
		// without the client's side its silence is not known
		if f.Answered() && f.SYNs > 0 {
			prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindHalfOpen})
		}
		return
	}
	if session == nil {
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
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
	prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindSessionEnd,
		Silent: f.Conn.Seen(tcp.Client) && f.Conn.Ended() && nothingToDeliver(session) &&
			!refused,
		Mail: session.Mails > 0, Accepted: welcomed, Callout: welcomed && !dataBegan(session)})
	// The dialect is judged on port 25 alone, where mail servers talk to one another.
	if f.Noted(peer.External) && k.ServerPort == 25 && plain && session.Proto == smtpsniff.SMTP {
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindDialect,
			Time:     f.Last,
			Oddities: oddities(f, session)})
	}
	// The name in the TLS handshake shows which provider the client wants, even if the rest is
	// encrypted.
	if name := session.SNI(); len(name) > 0 && f.Noted(peer.External) {
		hash := uint32(s.all.cfg.Peers.HashRegistered(name))
		prof.Observe(&s.all.cfg.Detect, nil, detect.Observation{Kind: detect.KindTLSName,
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
