package sources

import (
	"bytes"

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
		!s.undeclared(src) {
		return
	}
	prof.foreign++
	s.report(src, prof, s.event.Key.ClientKey(), verdict.NotSMTP, false, f.Last)
}

// observeEnd observes the end of a flow: whether the client had anything to deliver, how it spoke,
// and the name of the TLS server.
func (s *Observer) observeEnd(ev *track.Event, src *Source, prof *profile) {
	k, f, session := ev.Key, ev.Flow, ev.Session
	if prof == nil || f.Midstream() {
		return
	}
	if !f.Established() {
		if f.SYNs > 0 && f.Answered() && gaveUp(f, ev.Reason) {
			prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindHalfOpen})
		}
		return
	}
	if session == nil {
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindSessionEnd,
			Silent: leftAtOnce(f)})
		return
	}
	// From here on the session has a dialogue.
	prof.destinations.named(k, session)
	plain := session.Encryption == smtpsniff.Plain
	refused := session.Rejected+session.Deferred > 0 // then there was nothing to say, or no more
	// welcomed says that the server accepted a recipient, and that no part of its side is missing.
	// A client that then leaves without DATA verifies addresses.
	welcomed := f.Conn.Seen(tcp.Server) && session.Flags&smtpsniff.GapServer == 0 &&
		session.Rcpts > session.RcptsRejected
	prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindSessionEnd,
		Silent: nothingToDeliver(f, session) && !refused,
		Mail:   session.Mails > 0, Accepted: welcomed, Callout: welcomed && !dataBegan(session)})
	if plain && !f.Conn.Seen(tcp.Server) && session.Flags&smtpsniff.GapClient == 0 {
		for n := session.Messages; n < min(session.Mails, session.Messages+maxHalf); n++ {
			s.noteHalf(f, prof, true, f.Last)
		}
	}
	// The dialect is judged on port 25 alone, where mail servers talk to one another.
	if f.Noted(peer.External) && k.ServerPort == 25 && plain && session.Proto == smtpsniff.SMTP {
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindDialect,
			Time:     f.Last,
			Oddities: oddities(f, session)})
	}
	// The name in the TLS handshake shows which provider the client wants, even if the rest is
	// encrypted.
	if name := session.SNI(); len(name) > 0 && f.Noted(peer.External) {
		hash := uint32(s.all.cfg.Peers.HashRegistered(name))
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindTLSName,
			Time: f.Last,
			Hash: hash})
	}
	if src != nil {
		s.judge(src, prof, f.Last)
	}
}

// maxHalf bounds the transactions of a session that went away without a message.
const maxHalf = 16

// leftAfter is how long a client that wants to deliver waits for the greeting at least. RFC 5321,
// section 4.5.3.2.1, wants five minutes; the shortest timeouts in use are some seconds.
const leftAfter = second

// leftAtOnce reports whether a client ended a session without a word before a greeting can be
// expected, as a scan by complete handshakes does. One that waits in vain has shown nothing: a
// firewall that completes handshakes itself (SYN proxy), or a tarpit, keeps bots waiting, too.
func leftAtOnce(f *track.Flow) bool { return leftFirst(f) && f.Last-f.Start < leftAfter }

// leftFirst reports whether the client was the one that ended the connection. A connection that the
// server or a firewall cut, or that the capture cuts, shows nothing of what the client wanted.
func leftFirst(f *track.Flow) bool {
	return f.Conn.Seen(tcp.Client) && f.Conn.Ended() && f.Conn.Closer() == tcp.Client
}

// gaveUp reports whether a client did not complete a handshake that the server answered: it reset
// the connection, or was silent until the time was over, and the reason of the end says so.
func gaveUp(f *track.Flow, reason string) bool {
	return leftFirst(f) || !f.Conn.Ended() && reason == "timeout"
}

// nothingToDeliver reports whether a client had nothing to deliver: it was greeted and left without
// a word, or with nothing but hello and goodbye although the server replied. After a gap in its
// data or with TLS that is unknown.
func nothingToDeliver(f *track.Flow, session *smtpsniff.Session) bool {
	if session.Encryption != smtpsniff.Plain || session.Auth >= smtpsniff.AuthTried ||
		session.Mails+session.Rcpts+session.Messages > 0 || session.Flags&smtpsniff.GapClient != 0 {
		return false
	}
	if session.Commands == 0 {
		return leftFirst(f) && (session.Replies > 0 || leftAtOnce(f))
	}
	return session.Proto == smtpsniff.SMTP && session.Replies > 1 &&
		(leftFirst(f) || f.Conn.Ended() && session.LastCode == 221)
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
