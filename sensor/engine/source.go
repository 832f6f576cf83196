package engine

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
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

// source finds the source of a packet's client, or makes it.
func (s *shard) source(p *packet) (flowtable.Ref, *source) {
	k := p.Key.ClientKey()
	if r := s.t.Sources.Find(p.ClientHash, &k); r != 0 {
		return r, s.t.Sources.At(r)
	}
	r, src := s.addSource(p.ClientHash, &p.Key, p.Input)
	if p.ToServer {
		src.mac, src.tags, src.vlan = p.MAC, p.Tags, p.VLAN
		if detect.InitialTTL(p.TTL) {
			src.flags |= near
		}
		s.noteAddress(src, p)
	}
	return r, src
}

// addSource makes a source of the client of k.
func (s *shard) addSource(hash uint64, k *flowtable.Key, input uint16) (flowtable.Ref, *source) {
	h := k.ClientKey()
	r, src := s.makeSource(hash, &h)
	if src.flags&home == 0 {
		s.homeServer(k)
	}
	src.input = input
	src.facts.ErrorBound = s.forgotten()
	return r, src
}

// makeSource makes the entry of a source, with what its address says.
func (s *shard) makeSource(hash uint64, h *flowtable.HostKey) (flowtable.Ref, *source) {
	r := s.t.Sources.Add(hash, h)
	src := s.t.Sources.At(r)
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
	return r, src
}

// homeServer notes that the server of k is in one of our networks.
func (s *shard) homeServer(k *flowtable.Key) {
	if !s.e.homeSeen.Load() && s.e.home.has(k.Server, k.Scope.V6()) {
		s.e.homeSeen.Store(true)
	}
}

// sourceOf is the source that an attempt or a flow refers to, nil if it is gone.
func (s *shard) sourceOf(r flowtable.Ref, gen uint16) *source {
	if r == 0 || !s.t.Sources.Used(r, gen) {
		return nil
	}
	return s.t.Sources.At(r)
}

// sender is the source of a flow and its host; both may be nil.
func (s *shard) sender(f *flow) (*source, *host) {
	src := s.sourceOf(f.Source, f.SourceGen)
	if src == nil {
		return nil, nil
	}
	return src, s.hosts.at(src.host)
}

// judges reports whether a source can become a finding: it is ours and no mail server.
// A file that holds none of our addresses is judged as a whole at its end.
func (s *shard) judges(src *source) bool {
	return src.flags&declared == 0 && (src.flags&home != 0 || !s.e.cfg.Live)
}

// attempt counts a first SYN of a source and has the source judged.
func (s *shard) attempt(now int64, ref flowtable.Ref, src *source, k *flowtable.Key, ttl uint8) {
	src.flags |= changed
	s.observeServerAttempt(now, src, k, attemptBegan)
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
	hst := s.hosts.at(src.host)
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
func (s *shard) confirm(ref flowtable.Ref, src *source) {
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
func (s *shard) newHost(ref flowtable.Ref, src *source) *host {
	if s.hosts.len() >= s.maxHosts {
		s.dropHost(src)
	}
	hst := &host{}
	hst.Budget = &s.room
	s.applyRole(hst, s.t.Sources.KeyOf(ref))
	hst.Adopt(&s.e.cfg.Detect, &src.facts)
	s.applyInbound(hst, s.t.Sources.KeyOf(ref))
	src.host = s.hosts.add(hst, ref)
	return hst
}

// judge publishes a verdict that changed.
func (s *shard) judge(src *source, hst *host, now int64) {
	if hst.addressChanged || !s.judges(src) || !hst.SetOneSided(s.e.hearsay()) && !hst.Changed() {
		return
	}
	hst.condemned = false
	v := hst.Judge(&src.facts, now)
	if src.flags&home == 0 { // who is not ours waits for the end of the file
		return
	}
	s.publish(src, hst, *s.t.Sources.KeyOf(s.hosts.owner[src.host]), v, now)
}

// observeDialogue is what the listener heard: it becomes observations about the source.
//
// What was said in no session is nobody's word: no server took it.
func (s *shard) observeDialogue(port uint16, f *flow, session *smtpsniff.Session) {
	if !f.Has(established) && !f.Has(midstream) || f.Noted(selfMade) && s.e.pairs.differ() {
		return
	}
	s.observeTransaction(f, session)
	src := s.sourceOf(f.Source, f.SourceGen)
	if src == nil || f.Has(midstream) && !f.SeenBothSides() {
		return
	}
	cfg, now := &s.e.cfg.Detect, f.Last
	src.flags |= changed
	facts := &src.facts
	direct := f.Noted(external) && !f.Noted(relay) && port == 25
	s.confirm(f.Source, src)
	hst := s.hosts.at(src.host)
	for i := range s.sniff.Events {
		ev := &s.sniff.Events[i]
		switch ev.Kind {
		case smtpsniff.HeloCommand:
			hash := uint32(s.e.table.Secret.HashBytes(ev.Text))
			if facts.Helo(hash) && hst == nil {
				hst = s.newHost(f.Source, src)
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
				hst = s.newHost(f.Source, src)
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
			s.noteInbound(src)
			if f.Conn.Seen(tcp.Server) { // else that it was taken is a guess
				s.decide(f, hst, false, false, now)
			}
		case smtpsniff.TLSStarted:
			facts.TLSSessions++
			f.Notes |= encrypted | decided
			switch {
			case session.Commands > 0 && port == 25:
				s.noteInbound(src)
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
func (s *shard) attest(f *flow, hst *host, session *smtpsniff.Session) {
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
func (s *shard) conflicting(p *packet, f *flow) {
	if session := s.sessions.at(f.Session); session != nil {
		s.sniff.MarkAmbiguous(session)
	}
	src, hst := s.sender(f)
	if hst == nil || f.Noted(conflicted) || p.MAC != src.mac && !detect.InitialTTL(p.TTL) {
		return
	}
	f.Notes |= conflicted
	hst.Conflicting(p.Time)
}

// refusal is a reply that refused something.
func (s *shard) refusal(f *flow, src *source, hst *host, ev *smtpsniff.Event, now int64) {
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
		if why, _, _ := s.refusalReason(ev); why < refusal.UserUnknown || why == refusal.LoginFailed {
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
func (s *shard) decide(f *flow, hst *host, refused, listed bool, now int64) {
	if f.Noted(decided) {
		return
	}
	f.Notes |= decided
	if hst != nil && f.Noted(external) {
		hst.SessionDecided(&s.e.cfg.Detect, refused, listed, now)
	}
}

// opened is a handshake that was completed.
func (s *shard) establish(p *packet, f *flow) {
	f.flags |= established
	s.count.sessions++
	s.resolveFastOpen(p, f, flowtable.Answered)
	src := s.sourceOf(f.Source, f.SourceGen)
	if src == nil {
		var r flowtable.Ref
		r, src = s.source(p)
		f.Source, f.SourceGen = r, s.t.Sources.Gen(r)
	}
	if !f.Has(counted) {
		f.flags |= counted
		a := s.t.Attempts.Find(p.FlowHash, &p.Key, uint32(f.Conn.ISN(tcp.Client)))
		// A full log has forgotten attempts; this one was counted when it came.
		if a == nil && s.t.Attempts.Len() < s.t.Attempts.Cap() {
			s.count.attempts++
			s.attempt(f.Start, f.Source, src, &p.Key, 0)
		}
	}
	src.facts.Sessions++
	s.noteSessionAddress(src, p, f)
	s.observeServerAttempt(p.Time, src, &p.Key, attemptAnswered)
	if hst := s.hosts.at(src.host); hst != nil {
		hst.Opened(&s.e.cfg.Detect, s.e.destination(&p.Key.Server), s.e.net(p.Key.Server, p.Key.Scope.V6()), p.Key.ServerPort, !f.SeenBothSides() || f.Noted(selfMade), p.Time)
	}
	src.flags |= changed
	s.t.Flows.Schedule(s.current, p.Time, p.Time+idleOpen)
}

// whole is a session of which the other side is seen, too, later than it was believed.
func (s *shard) observeBothSides(p *packet, f *flow) {
	if _, hst := s.sender(f); hst != nil && !f.Noted(selfMade) {
		hst.TwoSided(s.e.net(p.Key.Server, p.Key.Scope.V6()))
	}
}

// finish is the end of a flow: what is still held is given, the session is told, the
// entry is free.
func (s *shard) drainAndClose(r flowtable.Ref, k *flowtable.Key, f *flow, reason string) {
	if !f.Has(sessionEmitted) {
		was := s.current
		s.current = r
		s.stream.Flush(&f.Conn)
		s.drain(k.ServerPort, f)
		s.closeSession(k, f, reason)
		s.current = was
	}
	if src := s.sourceOf(f.Source, f.SourceGen); src != nil && f.Has(counted) && !f.Has(lingering) && !f.Has(fastOpenPending) {
		src.facts.Closed() // an early one when its attempt is forgotten
	}
	s.removeFlow(r, k, f)
}

// forget removes a flow of which nothing is to be told.
func (s *shard) dropFlow(r flowtable.Ref, k *flowtable.Key, f *flow) {
	s.stream.Abandon(&f.Conn)
	if session := s.sessions.at(f.Session); session != nil {
		s.dropTransaction(f.Session)
		s.sessions.remove(f.Session)
		s.sniff.Free(session)
	}
	s.removeFlow(r, k, f)
}

// conclude tells the session of a flow and lets go of its dialogue.
func (s *shard) closeSession(k *flowtable.Key, f *flow, reason string) {
	f.flags |= sessionEmitted
	session := s.sessions.at(f.Session)
	if session != nil {
		s.sniff.Finish(session)
		if len(s.sniff.Events) > 0 {
			s.observeDialogue(k.ServerPort, f, session)
		}
	}
	s.observeServerSession(k, f, session)
	src, hst := s.sender(f)
	if src != nil && (f.Has(counted) || f.Has(established)) {
		_, up := f.Conn.Counts(tcp.Client)
		_, down := f.Conn.Counts(tcp.Server)
		src.facts.ToServer += up
		src.facts.ToClient += down
		if session != nil && session.Auth >= smtpsniff.AuthTried {
			src.facts.AuthSessions++
		}
		src.flags |= changed
	}
	s.observeEnd(k, f, session, src, hst)
	s.noteBriefSender(k, f, session, src, hst)
	if f.Has(established) || f.Has(midstream) && session != nil && session.Commands+session.Replies > 0 {
		s.emitOrKeepSession(k, f, session, src, hst, reason)
	}
	if session != nil {
		s.sessions.remove(f.Session)
		s.sniff.Free(session)
		f.Session = 0
	}
}

// sampled is how many are compared when one has to make room.
const sampled = 16

// makeRoom makes room for what a flow's next segment says. Each round lets go of what an earlier
// segment had stored, and there are only as many as bytes are too many.
func (s *shard) makeRoom(f *flow) {
	if f.Session == 0 && s.sessions.len() >= s.maxSessions {
		s.evictSession(f)
	}
	for s.sniff.Bytes() > s.maxSessionBytes && (s.sniff.DropOldest() || s.evictSession(f)) {
	}
}

// dropTalk ends the session that is worth least among a few. It reports false if there is no other.
func (s *shard) evictSession(except *flow) bool {
	var least flowtable.Ref
	for range min(sampled, s.sessions.len()) {
		r := s.sessions.sample()
		f := s.t.Flows.At(r)
		if f != except && (least == 0 || f.KeepPriority() < s.t.Flows.At(least).KeepPriority()) {
			least = r
		}
	}
	if least != 0 {
		s.count.sessionsEvicted++
		s.closeFlow(least, s.t.Flows.KeyOf(least), s.t.Flows.At(least), "evicted")
	}
	return least != 0
}

// dropHost stops judging the source that is worth least among a few. What was counted of
// it stays.
func (s *shard) dropHost(except *source) {
	if src := s.leastHost(except); src != nil {
		s.count.hostsEvicted++
		if s.hosts.at(src.host).anyOpen() {
			src.flags |= again
		}
		s.forgetHost(src, *s.t.Sources.KeyOf(s.hosts.owner[src.host]), src.facts.Last, "evicted")
	}
}

// leastHost is the source that is worth least among a few that are judged.
func (s *shard) leastHost(except *source) (least *source) {
	for range min(sampled, s.hosts.len()) {
		src := s.t.Sources.At(s.hosts.sample())
		if src != except && (least == nil || s.profilePriority(src) < s.profilePriority(least)) {
			least = src
		}
	}
	return least
}

func (s *shard) profilePriority(src *source) int64 {
	h := s.hosts.at(src.host)
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
func (s *shard) forgetHost(src *source, k flowtable.HostKey, now int64, reason string) {
	s.closeFindings(src, s.hosts.at(src.host), k, now, reason)
	s.hosts.at(src.host).Release()
	s.hosts.remove(src.host)
	src.host = 0
	src.flags |= former
}

// sourceGone is a source that had to make room.
func (s *shard) sourceEvicted(k *flowtable.HostKey, src *source) {
	s.count.sourcesEvicted++
	s.evictedAttempts = max(s.evictedAttempts, src.facts.Attempts)
	if src.host != 0 {
		s.forgetHost(src, *k, src.facts.Last, "evicted")
	}
}

// attemptGone is an attempt that is forgotten: if nobody answered, nobody will.
func (s *shard) attemptExpired(a *flowtable.Attempt) {
	if a.Outcome != flowtable.Waiting {
		return
	}
	if src := s.sourceOf(a.Source, a.Gen); src != nil {
		src.facts.Closed()
	}
}

func addr(a flowtable.Addr, v6 bool) netip.Addr {
	n := netip.AddrFrom16(a)
	if !v6 {
		n = n.Unmap()
	}
	return n
}
