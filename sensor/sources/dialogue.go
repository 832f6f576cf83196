package sources

import (
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/providers"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// ObserveDialogue turns the events of the listener into observations of the source. A dialogue
// without an established flow counts for no source: no server accepted it. The texts of the events
// are borrowed until the call returns.
func (s *Observer) ObserveDialogue(x *track.Event) {
	f, session, port := x.Flow, x.Session, x.Key.ServerPort
	if x.Source == 0 || f.Midstream() && !f.SeenBothSides() {
		return
	}
	src := s.Table.Sources.At(x.Source)
	cfg, now := &s.all.cfg.Detect, f.Last
	src.flags |= changed
	if src.profile == 0 { // a dialogue cannot be spoofed, so the source is real
		s.confirm(x.Source, src)
	}
	prof := s.profiles.At(src.profile)
	for i := range x.SMTP {
		ev := &x.SMTP[i]
		switch ev.Kind {
		// HELO and EHLO names: a bot takes many, a mail server has one.
		case smtpsniff.HeloCommand:
			prof = s.observeHelo(x, src, prof, ev.Text)
		// The null sender (RFC 5321, section 4.5.5) has no domain.
		case smtpsniff.MailCommand:
			beginTransaction(f, len(ev.Text) == 0)
			if domain := smtpsniff.Domain(ev.Text); len(domain) > 0 {
				prof = s.observeSender(x, src, prof, domain)
			}
		// Recipients are of no more use to a detector that has fired lately.
		case smtpsniff.RcptCommand:
			src.Counters.Recipients++
			s.observeRecipient(x, prof, smtpsniff.Domain(ev.Text))
		// An accepted message shows that the server is a mail server, and that the client is
		// welcome.
		case smtpsniff.MessageAccepted:
			src.Counters.Messages++
			s.notes.noteInbound(src, s.event.Key)
			switch {
			case f.Conn.Seen(tcp.Server):
				s.noteAccepted(f, prof, now)
			case !session.SentAhead(): // it sent the message when it was asked to
				s.noteHalf(f, prof, false, now)
			}
		// After STARTTLS the decision about the session is not visible. A session that is encrypted
		// from the first byte shows only that the client spoke.
		case smtpsniff.TLSStarted:
			src.Counters.TLSSessions++
			f.Notes |= peer.Encrypted | peer.Decided
			s.observeServerName(x, prof, session.SNI(), providers.Asked)
			s.observeAccount(x, prof)
			switch {
			case session.Commands > 0 && port == 25:
				s.notes.noteInbound(src, s.event.Key)
			case prof != nil && session.Commands == 0:
				prof.opaque++
				prof.Observe(cfg, nil, &detect.Observation{Kind: detect.KindClientSpoke, Time: now})
			}
		// Refusals are the strongest evidence; the reply to EHLO may quote our public address.
		case smtpsniff.Reply:
			if prof != nil && !f.Noted(peer.Greeted) {
				s.noteGreeting(f, prof)
			}
			noteRecipient(f, ev)
			if ev.Code >= 400 {
				s.observeRefusedReply(f, src, prof, ev, now)
			} else if ev.Phase == smtpsniff.Rcpt && prof != nil && f.Noted(peer.External) {
				prof.Observe(cfg, nil, &detect.Observation{Kind: detect.KindRecipientReply,
					Time: now, Returned: f.Noted(peer.Returned)})
			} else if ev.Phase == smtpsniff.Banner {
				s.observeServerName(x, prof, ev.Text, providers.Greeted)
			} else if ev.Phase == smtpsniff.AuthPhase && session.Auth == smtpsniff.AuthOK {
				s.observeAccount(x, prof)
			} else if ev.Phase == smtpsniff.Helo {
				s.observeGreeting(f, prof, ev.Text, now)
			}
		case smtpsniff.NotSMTPFound:
			s.observeForeign(f, src, prof)
		}
	}
	if prof != nil {
		if !f.Noted(peer.Attested | peer.SelfMade) {
			s.noteAttested(f, prof, session)
		}
		s.judge(src, prof, now)
	}
}

// observeHelo observes a HELO or EHLO. It returns the source's profile, which a new name can make
// necessary.
func (s *Observer) observeHelo(x *track.Event, src *Source, prof *profile,
	name []byte) *profile {
	o := detect.Observation{Kind: detect.KindHelo, Time: x.Time, Text: name, Port: x.Key.ServerPort,
		Hash:     uint32(s.all.cfg.Peers.HashName(name)),
		External: x.Flow.Noted(peer.External), Relay: x.Flow.Noted(peer.Relay)}
	if src.Counters.Observe(&o) && prof == nil {
		prof = s.newProfile(x.Source, src)
	}
	if prof != nil {
		prof.Observe(&s.all.cfg.Detect, nil, &o)
	}
	return prof
}

// observeRecipient observes the domain of a recipient.
func (s *Observer) observeRecipient(x *track.Event, prof *profile, domain []byte) {
	if prof == nil {
		return
	}
	prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindRecipient,
		Time: x.Flow.Last, Hash: uint32(s.all.cfg.Peers.HashName(domain)),
		External: x.Flow.Noted(peer.External) && !s.isOwnAccount(x, prof),
		Returned: x.Flow.Noted(peer.Returned)})
}

// observeSender observes a sender's domain, and returns the source's profile like observeHelo.
func (s *Observer) observeSender(x *track.Event, src *Source, prof *profile,
	domain []byte) *profile {
	o := detect.Observation{Kind: detect.KindSender, Time: x.Time,
		Hash:     uint32(s.all.cfg.Peers.HashName(domain)),
		External: x.Flow.Noted(peer.External) && !s.isOwnAccount(x, prof)}
	if src.Counters.Observe(&o) && prof == nil {
		prof = s.newProfile(x.Source, src)
	}
	if prof != nil && prof.Observe(&s.all.cfg.Detect, nil, &o) {
		x.Flow.Notes |= peer.NewSender
	}
	return prof
}

// noteGreeting records that the server of a session said something.
func (s *Observer) noteGreeting(f *track.Flow, prof *profile) {
	f.Notes |= peer.Greeted
	prof.Observe(&s.all.cfg.Detect, nil,
		&detect.Observation{Kind: detect.KindGreeted, Time: f.Last})
}

// noteAttested records that the server of a session answers the client's commands.
func (s *Observer) noteAttested(f *track.Flow, prof *profile, session *smtpsniff.Session) {
	if !f.SeenBothSides() || session.Commands == 0 && session.Encryption == smtpsniff.Plain {
		return
	}
	if _, down := f.Conn.Counts(tcp.Server); down == 0 {
		return
	}
	f.Notes |= peer.Attested
	prof.Observe(&s.all.cfg.Detect, nil,
		&detect.Observation{Kind: detect.KindAttested, Time: f.Last})
}

// observeConflict records once for each session that a client sent other bytes in the place of
// earlier ones. A change by a firewall on the way does not count, where the mirror port shows
// frames before and behind the firewall.
func (s *Observer) observeConflict(src *Source, prof *profile, p *track.Packet,
	f *track.Flow) {
	if prof == nil || f.Noted(peer.Conflicted) || p.MAC != src.mac && !detect.InitialTTL(p.TTL) {
		return
	}
	f.Notes |= peer.Conflicted
	prof.Observe(&s.all.cfg.Detect, nil,
		&detect.Observation{Kind: detect.KindConflict, Time: p.Time})
}
