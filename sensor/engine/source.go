package engine

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// host is a source that is judged, and what was published of it.
type host struct {
	detect.Profile
	findings        [verdict.Classes]*finding
	recent          []*detect.Session // a few sessions before a finding, as evidence
	evidence        []uint64          // numbers of session events
	sessionsEmitted int               // session events of the finding
	suppressed      uint64            // sessions that were not given out
	opaque          uint32            // sessions that were encrypted before anything was said
	oneWay          uint32
	doubtful        uint32           // sessions whose bytes a server may have read in another way
	foreign         uint32           // sessions that were neither SMTP nor TLS
	judged          int64            // when time alone was last asked to change the verdict
	since           int64            // when another machine took the address, zero if none did
	before          *detect.Counters // of the source at that time
	otherAddresses  *detect.Counters // of its machine under other addresses
	candidate       candidateMAC
	former          *formerAccount // the account of the link-layer address before, nil if there is none
	alternatesMACs  bool           // its link-layer addresses take turns
	contactsPending bool           // it is in shard.waiting
	withheld        bool           // a finding of it waits; see budget
	addressChanged  bool           // its machine has another address now: it is to be forgotten
	// condemned says that there was a verdict when the sensor stopped: what it does next publishes
	// that again, and until then nothing is said of its first contact.
	condemned bool
}

// describeSource notes what the address of a new source says.
func (s *sourceObserver) describeSource(src *source, h *flowtable.HostKey) {
	if s.e.home.has(h.Addr, h.Scope.V6()) {
		src.flags |= home
		if !s.e.homeSeen.Load() {
			s.e.homeSeen.Store(true)
		}
	}
	if s.e.isDeclared(h.Addr) {
		src.flags |= declared
	}
	if s.e.watchedServer(h.Addr) != nil {
		src.flags |= serving
	}
}

// homeServer notes that the server of k is in one of our networks.
func (s *sourceObserver) homeServer(k *flowtable.Key) {
	if !s.e.homeSeen.Load() && s.e.home.has(k.Server, k.Scope.V6()) {
		s.e.homeSeen.Store(true)
	}
}

// sourceOf is the source that an attempt or a flow refers to, nil if it is gone.
func (s *sourceObserver) sourceOf(r flowtable.Ref, gen uint16) *source {
	if r == 0 || !s.t.Sources.Used(r, gen) {
		return nil
	}
	return s.t.Sources.At(r)
}

// judges reports whether a source can become a finding: it is ours and no mail server.
// A file that holds none of our addresses is judged as a whole at its end.
func (s *sourceObserver) judges(src *source) bool {
	return src.flags&declared == 0 && (src.flags&home != 0 || !s.e.cfg.Live)
}

// attempt counts a first SYN of a source and has the source judged.
func (s *sourceObserver) attempt(now int64, ref flowtable.Ref, src *source, k *flowtable.Key, ttl uint8) {
	src.flags |= changed
	s.servers.observeServerAttempt(now, src, k, attemptBegan)
	a := s.e.attempted(k, now, ttl)
	if a.Port == 25 && a.External && !a.Relay && src.flags&outside == 0 {
		src.flags |= outside
		if src.host != 0 && src.flags&home != 0 && s.judges(src) { // until now it did something else
			s.pendingDirect = append(s.pendingDirect, ref)
		}
	}
	if src.facts.Attempts > 0 {
		s.confirm(ref, src)
	}
	hst := s.hosts.At(src.host)
	if full := src.facts.Attempted(&a); full && hst == nil && !s.crowded(src) {
		hst = s.newHost(ref, src)
	}
	if hst == nil {
		return
	}
	hst.Attempted(&s.e.cfg.Detect, &src.facts, &a)
	s.afterAttempt(ref, hst, k, a.Net, now)
	s.judge(src, hst, now)
}

// attempted is the observation of a first SYN.
func (e *Engine) attempted(k *flowtable.Key, now int64, ttl uint8) detect.Attempt {
	v6 := k.Scope.V6()
	return detect.Attempt{Time: now, Addr: e.destination(&k.Server), Net: e.net(k.Server, v6), Port: k.ServerPort, TTL: ttl,
		External: !e.home.has(k.Server, v6), Relay: e.isRelay(k.Server, v6)}
}

// insist is called when a source does more than send one SYN, which anybody can send
// in anybody's name: it has an answer, or tries again. From then on it is judged.
func (s *sourceObserver) confirm(ref flowtable.Ref, src *source) {
	if src.host != 0 || !s.judges(src) || s.crowded(src) {
		return
	}
	s.newHost(ref, src)
	if src.flags&(outside|home) == outside|home {
		s.pendingDirect = append(s.pendingDirect, ref)
	}
}

// newHost has a source judged. When too many are, the one that is worth least is not
// any more.
func (s *sourceObserver) newHost(ref flowtable.Ref, src *source) *host {
	if s.hosts.Len() >= s.maxHosts {
		s.dropHost(src)
	}
	hst := &host{}
	hst.Budget = &s.room
	s.applyRole(hst, s.t.Sources.KeyOf(ref))
	hst.Adopt(&s.e.cfg.Detect, &src.facts)
	s.notes.applyInbound(hst, s.t.Sources.KeyOf(ref))
	src.host = s.hosts.Add(hst, ref)
	return hst
}

// judge publishes a verdict that changed.
func (s *sourceObserver) judge(src *source, hst *host, now int64) {
	if hst.addressChanged || !s.judges(src) || !hst.SetOneSided(s.e.hearsay()) && !hst.Changed() {
		return
	}
	hst.condemned = false
	v := hst.Judge(&src.facts, now)
	if src.flags&home == 0 { // who is not ours waits for the end of the file
		return
	}
	s.publish(src, hst, *s.t.Sources.KeyOf(s.hosts.Owner(src.host)), v, now)
}

// observeDialogue is what the listener heard: it becomes observations about the source.
//
// What was said in no session is nobody's word: no server took it.
func (s *sourceObserver) observeDialogue(x *track.Event) {
	f, session, port := x.Flow, x.Session, x.Key.ServerPort
	if !f.Established() && !f.Midstream() || f.Noted(selfMade) && s.e.pairs.differ() {
		return
	}
	s.servers.observeTransaction(x)
	if x.Source == 0 || f.Midstream() && !f.SeenBothSides() {
		return
	}
	src := s.t.Sources.At(x.Source)
	cfg, now := &s.e.cfg.Detect, f.Last
	src.flags |= changed
	facts := &src.facts
	direct := f.Noted(external) && !f.Noted(relay) && port == 25
	s.confirm(x.Source, src)
	hst := s.hosts.At(src.host)
	for i := range x.SMTP {
		ev := &x.SMTP[i]
		switch ev.Kind {
		case smtpsniff.HeloCommand:
			hash := uint32(s.e.table.Secret.HashBytes(ev.Text))
			if facts.Helo(hash) && hst == nil {
				hst = s.newHost(x.Source, src)
			}
			if hst != nil {
				hst.ClientSpoke()
				hst.Helo(cfg, ev.Text, hash, direct, f.Noted(external) && !f.Noted(relay), now)
			}
		case smtpsniff.MailCommand:
			domain := smtpsniff.Domain(ev.Text)
			if len(domain) == 0 {
				continue
			}
			hash := uint32(s.e.table.Secret.HashBytes(domain))
			if facts.Sender(hash) && hst == nil {
				hst = s.newHost(x.Source, src)
			}
			if hst != nil {
				if hst.Sender(cfg, hash, f.Noted(external), now) && !f.Noted(encrypted) {
					f.Notes &^= decided // in another name it is another decision: a bot can have one session for all
				}
			}
		case smtpsniff.RcptCommand:
			facts.Recipients++
			if hst != nil && !hst.FoundLately(detect.RecipientDomains, now) {
				hst.Recipient(cfg, uint32(s.e.table.Secret.HashBytes(smtpsniff.Domain(ev.Text))), f.Noted(external), now)
			}
		case smtpsniff.MessageAccepted:
			facts.Messages++
			s.notes.noteInbound(src, s.event.Key)
			if f.Conn.Seen(tcp.Server) { // else that it was taken is a guess
				s.decide(f, hst, false, false, now)
			}
		case smtpsniff.TLSStarted:
			facts.TLSSessions++
			f.Notes |= encrypted | decided
			switch {
			case session.Commands > 0 && port == 25:
				s.notes.noteInbound(src, s.event.Key)
			case hst != nil && session.Commands == 0:
				hst.opaque++
				hst.ClientSpoke()
			}
		case smtpsniff.Reply:
			if ev.Code >= 400 {
				s.refusal(f, src, hst, ev, now)
			} else if ev.Phase == smtpsniff.Rcpt && hst != nil && f.Noted(external) {
				hst.RecipientAnswered(cfg, false, now)
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

// attest notes once per session that the server answered what the client said.
func (s *sourceObserver) attest(f *track.Flow, hst *host, session *smtpsniff.Session) {
	if f.Noted(attested|selfMade) || !f.SeenBothSides() || session.Commands == 0 && session.Encryption == smtpsniff.Plain {
		return
	}
	if _, down := f.Conn.Counts(tcp.Server); down == 0 {
		return
	}
	f.Notes |= attested
	hst.Attested()
}

// conflicting notes once per session that a client sent other bytes in the place of earlier ones.
// What a firewall on the way has changed does not count, where the mirror port shows frames before
// and behind it.
func (s *sourceObserver) conflicting(src *source, hst *host, p *track.Packet, f *track.Flow) {
	if hst == nil || f.Noted(conflicted) || p.MAC != src.mac && !detect.InitialTTL(p.TTL) {
		return
	}
	f.Notes |= conflicted
	hst.Conflicting(p.Time)
}

// refusal is a reply that refused something.
func (s *sourceObserver) refusal(f *track.Flow, src *source, hst *host, ev *smtpsniff.Event, now int64) {
	facts := &src.facts
	switch ev.Phase {
	case smtpsniff.Rcpt:
		facts.RecipientsRejected++
	case smtpsniff.AuthPhase, smtpsniff.TLSPhase:
	case smtpsniff.Banner, smtpsniff.Helo, smtpsniff.Mail, smtpsniff.Data, smtpsniff.EndOfData:
		if ev.Phase == smtpsniff.Helo && (ev.Code == 500 || ev.Code == 502 || ev.Code == 503) {
			return // an old server that knows no EHLO; 501 and 504 are about the name
		}
		if ev.Code >= 500 {
			facts.Rejected++
		} else {
			facts.Deferred++
		}
	case smtpsniff.NoPhase: // the command was not heard, but the text may say what it was about
		if why, _, _ := s.refusals.refusalReason(s.event.Session, ev); why < refusal.UserUnknown || why == refusal.LoginFailed {
			return
		}
	default:
		return // says nothing about the mail
	}
	s.observeRefusal(f, src, hst, ev, now)
}

// decide notes once per session, or per domain that it had not sent from before, whether it was
// refused or a message was taken. Where one of the two is not heard that is what the other's going
// on shows: without it more servers would be taken for bots (bench campaigns, variants outbound and
// inbound).
func (s *sourceObserver) decide(f *track.Flow, hst *host, refused, listed bool, now int64) {
	if f.Noted(decided) {
		return
	}
	f.Notes |= decided
	if hst != nil && f.Noted(external) {
		hst.SessionDecided(&s.e.cfg.Detect, refused, listed, now)
	}
}

// sampled is how many are compared when one has to make room.
const sampled = 16

// dropHost stops judging the source that is worth least among a few. What was counted of
// it stays.
func (s *sourceObserver) dropHost(except *source) {
	if src := s.leastHost(except); src != nil {
		s.count.hostsEvicted++
		if s.hosts.At(src.host).anyOpen() {
			src.flags |= again
		}
		s.forgetHost(src, *s.t.Sources.KeyOf(s.hosts.Owner(src.host)), src.facts.Last, "evicted")
	}
}

// leastHost is the source that is worth least among a few that are judged.
func (s *sourceObserver) leastHost(except *source) (least *source) {
	for range min(sampled, s.hosts.Len()) {
		src := s.t.Sources.At(s.hosts.Sample())
		if src != except && (least == nil || s.profilePriority(src) < s.profilePriority(least)) {
			least = src
		}
	}
	return least
}

func (s *sourceObserver) profilePriority(src *source) int64 {
	h := s.hosts.At(src.host)
	w := int64(h.Level())<<48 + int64(min(src.facts.Attempts, 1<<20))<<20
	if h.SeenTwoSided() { // that cannot be forged as SYNs can
		w += 1 << 51
	}
	if src.flags&home != 0 {
		w += 1 << 46
	}
	return w + src.facts.Last/minute&0xfffff
}

// forgetHost ends the findings of a source and forgets why there were any.
func (s *sourceObserver) forgetHost(src *source, k flowtable.HostKey, now int64, reason string) {
	s.closeFindings(src, s.hosts.At(src.host), k, now, reason)
	s.hosts.At(src.host).Release()
	s.hosts.Remove(src.host)
	src.host = 0
	src.flags |= former
}

// sourceGone is a source that had to make room.
func (s *sourceObserver) sourceEvicted(k *flowtable.HostKey, src *source) {
	s.count.sourcesEvicted++
	s.evictedAttempts = max(s.evictedAttempts, src.facts.Attempts)
	if src.host != 0 {
		s.forgetHost(src, *k, src.facts.Last, "evicted")
	}
}

func addr(a flowtable.Addr, v6 bool) netip.Addr {
	n := netip.AddrFrom16(a)
	if !v6 {
		n = n.Unmap()
	}
	return n
}

// stranger reports whether a packet's client is neither ours nor declared. Anybody can
// send a SYN in the name of strangers, and there are four thousand million of them.
func (s *sourceObserver) isExternal(k *flowtable.Key) bool {
	return !s.e.home.has(k.Client, k.Scope.V6()) && !s.e.isDeclared(k.Client) && s.e.watchedServer(k.Client) == nil
}

// describe copies what was kept.
func (s *source) describe(n *track.SYNDetails) { s.mac, s.tags, s.vlan = n.MAC, n.Tags, n.VLAN }

// settled counts the outcome of an attempt that did not come to a connection.
func (s *source) countOutcome(o flowtable.Outcome) {
	switch o {
	case flowtable.Refused:
		s.facts.Refused++
	case flowtable.Unreachable:
		s.facts.Unreachable++
	default:
		return
	}
	s.facts.Closed()
}

// newcomerRecord is what is known of a newcomer.
func (s *sourceObserver) synRecord(n *track.SYNEntry, now int64) detect.SourceRecord {
	src := source{input: n.Value.Input}
	src.describe(&n.Value)
	a := s.e.attempted(&n.Key, n.Time, n.Value.TTL)
	src.facts.Attempted(&a)
	src.countOutcome(n.Outcome)
	if n.Outcome == flowtable.Waiting && now-n.Time >= track.AttemptTime {
		src.facts.Closed()
	}
	return s.sourceRecord(&src, nil, n.Key.ClientKey(), now)
}

// forgotten is how many attempts of a source may have been counted and forgotten before it
// was made: one for each time that the newcomers were all replaced, and as many as
// any source had that had to make room.
func (s *sourceObserver) forgotten() uint32 {
	laps := uint64(0)
	if n := s.t.SYNs.Evicted; n > 0 && s.t.Sources.Len() >= s.t.Sources.Cap()/2 {
		laps = n/uint64(s.t.SYNs.Cap()) + 1
	}
	return uint32(laps) + s.evictedAttempts
}
