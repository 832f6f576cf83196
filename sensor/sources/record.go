package sources

import (
	"math/bits"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// sessionRecord returns the event of one session. session is the dialogue, nil if the flow had
// none; src may be nil if the source was evicted. Texts are copied: the listener owns them. Texts
// of clients are redacted already; see smtpsniff.
func (s *Observer) sessionRecord(k *flowtable.Key, f *track.Flow, session *smtpsniff.Session,
	src *Source,
	reason string) *finding.Session {
	v6 := k.Scope.V6()
	d := &finding.Session{
		Client:    netip.AddrPortFrom(peer.NetIP(k.Client, v6), k.ClientPort),
		Server:    netip.AddrPortFrom(peer.NetIP(k.Server, v6), k.ServerPort),
		V6:        v6,
		Input:     f.Input,
		FlowID:    flowID(k, f),
		Start:     f.Start,
		End:       max(f.Start, f.Last),
		State:     f.Conn.State().String(),
		Reason:    endReason(f, reason),
		SYNs:      f.SYNs,
		App:       smtpsniff.Unknown.String(),
		TLS:       smtpsniff.Plain.String(),
		Auth:      smtpsniff.NoAuth.String(),
		Direction: s.all.cfg.Peers.Direction(k),
	}
	d.VLAN = slices.Clone(f.VLAN[:f.Tags])
	if src != nil {
		d.MAC = src.mac
	}
	switch {
	// A capture with one direction alone shows one side.
	case !f.Conn.Seen(tcp.Server):
		d.Seen = "client"
	case !f.Conn.Seen(tcp.Client):
		d.Seen = "server"
	default:
		d.Seen = "both"
	}
	d.PktsToServer, d.ToServer = f.Conn.Counts(tcp.Client)
	d.PktsToClient, d.ToClient = f.Conn.Counts(tcp.Server)
	d.Conflicts = f.Conn.Conflicts()
	// The flags of the TCP layer come first, the ones of the dialogue follow.
	if f.Conn.Anomalies()&tcp.Conflict != 0 {
		d.Flags = append(d.Flags, "conflict")
	}
	if f.Conn.Anomalies()&tcp.Urgent != 0 {
		d.Flags = append(d.Flags, "urgent")
	}
	// The dialogue: what the client and the server said of themselves.
	if session == nil {
		if f.Midstream() {
			d.Flags = append(d.Flags, "midstream")
		}
		return d
	}
	s.describeDialogue(d, session)
	return d
}

// describeDialogue adds the dialogue to the event of a session. Its texts are cut from one string,
// and its lists have the length that they need: sessions are much of what is allocated.
func (s *Observer) describeDialogue(d *finding.Session, session *smtpsniff.Session) {
	d.App, d.TLS, d.Auth, d.HeloCmd = session.Proto.String(), session.Encryption.String(),
		session.Auth.String(), session.HeloVerb.String()
	d.Mails, d.Rcpts, d.RcptsRejected, d.Messages = session.Mails, session.Rcpts,
		session.RcptsRejected, session.Messages
	d.Rejected, d.Deferred = session.Rejected, session.Deferred
	d.LastCode, d.LastEnhanced = session.LastCode, peer.Enhanced(session.LastEnhanced)
	banner, helo, sni := session.Banner(), session.Helo(), session.SNI()
	last := s.Tracker.Listener.LastReply(session)
	senders, refusals := 0, 0
	all := append(append(append(append(s.text[:0], banner...), helo...), sni...), last...)
	session.Senders(func(a []byte) { all, senders = append(all, a...), senders+1 })
	session.Refusals(func(_ smtpsniff.Refusal, text []byte) {
		all, refusals = append(all, text...), refusals+1
	})
	s.text = all
	rest := cutter(all)
	d.Banner, d.Helo = rest.cut(len(banner)), rest.cut(len(helo))
	d.SNI, d.LastReply = rest.cut(len(sni)), rest.cut(len(last))
	if senders > 0 {
		d.MailFrom = make([]string, 0, senders)
		session.Senders(func(a []byte) { d.MailFrom = append(d.MailFrom, rest.cut(len(a))) })
	}
	// Reply codes, and the texts of refusals as evidence. The first blocklist that one names is the
	// session's.
	s.codes = s.codes[:0]
	session.Codes(func(c smtpsniff.CodeCount) { s.codes = append(s.codes, finding.CodeCount(c)) })
	d.Codes = slices.Clip(append(d.Codes, s.codes...))
	if refusals > 0 {
		d.Refusals = make([]finding.RefusalText, 0, refusals)
		session.Refusals(func(r smtpsniff.Refusal, text []byte) {
			why, list := s.Refusals.Shown(r, text, banner)
			d.Refusals = append(d.Refusals, finding.RefusalText{Phase: r.Phase.String(),
				Code: r.Code, Enhanced: peer.Enhanced(r.Enhanced), Text: rest.cut(len(text)),
				Why: why})
			if d.Blocklist == "" {
				d.Blocklist = list
			}
		})
	}
	named := session.Flags & (1<<len(smtpsniff.FlagNames) - 1)
	d.Flags = slices.Grow(d.Flags, bits.OnesCount32(uint32(named)))
	for f := named; f != 0; f &= f - 1 {
		d.Flags = append(d.Flags, smtpsniff.FlagNames[bits.TrailingZeros32(uint32(f))])
	}
}

// cutter is a string from which the texts of a session are cut.
type cutter string

func (c *cutter) cut(n int) string {
	text := string((*c)[:n])
	*c = (*c)[n:]
	return text
}

// flowID returns a number for the flow that is the same each time the file is read. It uses a fixed
// secret, because the table's own is random by default.
func flowID(k *flowtable.Key, f *track.Flow) uint64 {
	fixed := flowtable.Secret{1, 2}
	h := k.ClientKey()
	// 53 bits: JavaScript can hold it
	return fixed.SumFlow(fixed.HashHost(&h)^uint64(f.Start), k) >> 11
}

// endReason returns the reason why the flow ended: fin or rst if the connection ended, and else
// reason.
func endReason(f *track.Flow, reason string) string {
	switch f.Conn.State() {
	case tcp.Closed:
		return "fin"
	case tcp.Reset:
		return "rst"
	}
	return reason
}

// sourceRecord returns the event of a source. prof is its profile, nil if it has none. The caller
// holds the shard's lock.
func (s *Observer) sourceRecord(src *Source, prof *profile, k flowtable.HostKey,
	now int64) finding.SourceRecord {
	var known *detect.Profile
	until := now
	// At the end all attempts without an answer count as silent, also the latest ones.
	if s.all.ended {
		until += hour
	}
	d := finding.SourceRecord{Addr: peer.NetIP(k.Addr, k.Scope.V6()), MAC: src.mac,
		VLAN: slices.Clone(src.vlan[:src.tags]), Input: src.input,
		Role: s.role(src, prof, &k), Counters: src.Counters, Time: now,
		Silent: src.Counters.Silent(until), Outside: src.flags&triedOutside != 0,
		Score: detect.Prior}
	if prof != nil {
		known = &prof.Profile
		d.Level, d.Score = prof.Level(), prof.Verdict().Score
		d.GivenUp = min(d.Silent, prof.HalfOpenCount())
		d.Destinations = prof.destinations.top(k.Scope.V6())
		if l := prof.Lookups(); l != nil {
			d.MXLookups = l.MX
		}
	}
	// Without a profile the table entry gives the numbers.
	d.DestIPs, d.DestNets = src.Counters.DestIPs(known), src.Counters.DestNets(known)
	d.HeloNames, d.SenderDomains = src.Counters.HeloNames(known), src.Counters.SenderDomains(known)
	return d
}
