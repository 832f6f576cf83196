package engine

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/smtpsniff"
)

// host is a source that is judged, and what was published of it.
type host struct {
	detect.Host
	spambot, direct *finding
	recent          []*detect.Session // the latest sessions before a finding, as evidence
	evidence        []uint64          // numbers of session events
	given           int               // session events of the finding
	suppressed      uint64            // sessions that were not given out
	opaque          uint32            // sessions that were encrypted before anything was said
	oneWay          uint32
	readable        uint32
}

// source finds the source of a packet's client, or makes it.
func (s *shard) source(p *packet) (flowtable.Ref, *source) {
	k := p.key.Host()
	hash := s.e.table.Secret.Host(&k)
	r := s.t.Sources.Find(hash, &k)
	if r != 0 {
		return r, s.t.Sources.At(r)
	}
	r = s.t.Sources.Add(hash, &k)
	src := s.t.Sources.At(r)
	if s.e.home.has(k.Addr, k.Scope.V6()) {
		src.flags |= home
		if !s.e.homeSeen.Load() {
			s.e.homeSeen.Store(true)
		}
	} else if !s.e.homeSeen.Load() && s.e.home.has(p.key.Server, k.Scope.V6()) {
		s.e.homeSeen.Store(true)
	}
	if s.e.server[k.Addr] {
		src.flags |= declared
	}
	src.input = p.from
	if p.toServer {
		src.mac, src.tags, src.vlan = p.mac, p.tags, p.vlan
	}
	return r, src
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
	src := s.sourceOf(f.source, f.sourceGen)
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

// attempt counts a first SYN and has its source judged.
func (s *shard) attempt(now int64, ref flowtable.Ref, src *source, k *flowtable.Key) {
	s.count.attempts++
	src.flags |= changed
	s.serverAttempt(now, src, k, 1)
	v6 := k.Scope.V6()
	net := k.Server
	if v6 {
		clear(net[6:]) // /48
	} else {
		net[15] = 0 // /24
	}
	secret := &s.e.table.Secret
	a := detect.Attempt{Time: now, Addr: uint32(secret.Bytes(k.Server[:])), Net: uint32(secret.Bytes(net[:])), Port: k.ServerPort,
		External: !s.e.home.has(k.Server, v6), Relay: s.e.relays.has(k.Server, v6) || s.e.server[k.Server]}
	if a.Port == 25 && a.External && !a.Relay {
		src.flags |= outside
	}
	if src.facts.Attempts > 0 {
		s.insist(ref, src)
	}
	hst := s.hosts.at(src.host)
	if full := src.facts.Attempted(&a); full && hst == nil {
		hst = s.newHost(src)
	}
	if hst == nil {
		return
	}
	hst.Attempted(&s.e.cfg.Detect, &src.facts, &a)
	s.judge(src, hst, k, now)
}

// insist is called when a source does more than send one SYN, which anybody can send
// in anybody's name: it has an answer, or tries again. From then on it is judged.
func (s *shard) insist(ref flowtable.Ref, src *source) {
	if src.host != 0 || !s.judges(src) {
		return
	}
	s.newHost(src)
	if src.flags&(outside|home) == outside|home {
		s.direct = append(s.direct, ref)
	}
}

// newHost has a source judged. When too many are, the one that is worth least is not
// any more.
func (s *shard) newHost(src *source) *host {
	if s.hosts.len() >= s.maxHosts {
		s.dropHost(src)
	}
	hst := &host{}
	hst.Adopt(&s.e.cfg.Detect, &src.facts)
	src.host = s.hosts.add(hst)
	return hst
}

// judge publishes a verdict that is worse than the last.
func (s *shard) judge(src *source, hst *host, k *flowtable.Key, now int64) {
	if !hst.Changed() || !s.judges(src) {
		return
	}
	v, worse := hst.Judge(&src.facts, now)
	if !worse || src.flags&home == 0 { // who is not ours waits for the end of the file
		return
	}
	s.publish(src, hst, k.Host(), v, now)
}

// heard is what the listener heard: it becomes observations about the source.
func (s *shard) heard(port uint16, f *flow, talk *smtpsniff.Session) {
	s.overheard(f, talk)
	src := s.sourceOf(f.source, f.sourceGen)
	if src == nil {
		return
	}
	cfg, now := &s.e.cfg.Detect, f.last
	src.flags |= changed
	facts := &src.facts
	direct := f.has(external) && !f.has(relay) && port == 25
	s.insist(f.source, src)
	hst := s.hosts.at(src.host)
	for i := range s.sniff.Events {
		ev := &s.sniff.Events[i]
		switch ev.Kind {
		case smtpsniff.HeloSaid:
			hash := uint32(s.e.table.Secret.Bytes(ev.Text))
			if facts.Helo(hash) && hst == nil {
				hst = s.newHost(src)
			}
			if hst != nil {
				hst.readable++
				hst.Helo(cfg, ev.Text, hash, direct, now)
			}
		case smtpsniff.MailSaid:
			domain := smtpsniff.Domain(ev.Text)
			if len(domain) == 0 {
				continue
			}
			hash := uint32(s.e.table.Secret.Bytes(domain))
			if facts.Sender(hash) && hst == nil {
				hst = s.newHost(src)
			}
			if hst != nil {
				hst.Sender(hash)
			}
		case smtpsniff.RcptSaid:
			facts.Recipients++
		case smtpsniff.Accepted:
			facts.Messages++
			s.decide(f, hst, false, now)
		case smtpsniff.Encrypted:
			facts.TLSSessions++
			f.flags |= encrypted | decided
			if hst != nil && talk.Commands == 0 {
				hst.opaque++
			}
		case smtpsniff.Replied:
			if ev.Code >= 400 {
				s.refusal(f, src, hst, ev, now)
			}
		}
	}
	if k := s.t.Flows.KeyOf(s.current); hst != nil {
		s.judge(src, hst, k, now)
	}
}

// refusal is a reply that refused something.
func (s *shard) refusal(f *flow, src *source, hst *host, ev *smtpsniff.Event, now int64) {
	facts := &src.facts
	switch ev.Phase {
	case smtpsniff.Rcpt:
		facts.RecipientsRejected++
	case smtpsniff.Banner, smtpsniff.Mail, smtpsniff.Data, smtpsniff.EndOfData:
		if ev.Code >= 500 {
			facts.Rejected++
		} else {
			facts.Deferred++
		}
	case smtpsniff.Helo:
		if ev.Code >= 500 && ev.Code <= 504 {
			return // an old server that knows no EHLO
		}
	default:
		return // says nothing about the mail
	}
	s.decide(f, hst, true, now)
	if hst == nil || !f.has(external) {
		return
	}
	// Servers say the same again and again: a text that names no list need not be read
	// twice.
	hash := s.e.table.Secret.Bytes(ev.Text)
	seen := &s.plain[hash%uint64(len(s.plain))]
	if *seen == hash {
		return
	}
	text := string(ev.Text)
	if c := detect.ParseCitation(text); c.List != "" {
		hst.Cited(c.List, text, now)
		return
	}
	*seen = hash
}

// decide notes once per session whether it was refused or a message was taken.
func (s *shard) decide(f *flow, hst *host, refused bool, now int64) {
	if f.has(decided) {
		return
	}
	f.flags |= decided
	if hst != nil && f.has(external) {
		hst.SessionDecided(&s.e.cfg.Detect, refused, now)
	}
}

// opened is a handshake that was completed.
func (s *shard) opened(p *packet, f *flow) {
	f.flags |= opened
	s.count.sessions++
	src := s.sourceOf(f.source, f.sourceGen)
	if src == nil {
		var r flowtable.Ref
		r, src = s.source(p)
		f.source, f.sourceGen = r, s.t.Sources.Gen(r)
	}
	if !f.has(counted) {
		f.flags |= counted
		a := s.t.Attempts.Find(p.flow, &p.key, uint32(f.conn.ISN(tcp.Client)))
		// A full log has forgotten attempts; this one was counted when it came.
		if a == nil && s.t.Attempts.Len() < s.t.Attempts.Cap() {
			s.attempt(f.start, f.source, src, &p.key)
		}
	}
	src.facts.Sessions++
	src.flags |= changed
	s.t.Flows.Schedule(s.current, p.time, p.time+idleOpen)
}

// end is the end of a flow: what is still held is given, the session is told, the
// entry is free.
func (s *shard) end(r flowtable.Ref, k *flowtable.Key, f *flow, reason string) {
	if !f.has(told) {
		was := s.current
		s.current = r
		s.stream.Flush(&f.conn)
		s.drain(k.ServerPort, f)
		s.conclude(k, f, reason)
		s.current = was
	}
	if src := s.sourceOf(f.source, f.sourceGen); src != nil && f.has(counted) && !f.has(lingering) {
		src.facts.Closed()
	}
	s.t.Flows.Remove(r)
}

// conclude tells the session of a flow and lets go of its dialogue.
func (s *shard) conclude(k *flowtable.Key, f *flow, reason string) {
	f.flags |= told
	talk := s.sessions.at(f.session)
	if talk != nil {
		s.sniff.Finish(talk)
		if len(s.sniff.Events) > 0 {
			s.heard(k.ServerPort, f, talk)
		}
	}
	s.serverSession(k, f, talk)
	src, hst := s.sender(f)
	if src != nil && (f.has(counted) || f.has(opened)) {
		_, up := f.conn.Counts(tcp.Client)
		_, down := f.conn.Counts(tcp.Server)
		src.facts.ToServer += up
		src.facts.ToClient += down
		if talk != nil && talk.Auth >= smtpsniff.AuthTried {
			src.facts.AuthSessions++
		}
		src.flags |= changed
	}
	if f.has(opened) || f.has(midstream) && talk != nil && talk.Commands+talk.Replies > 0 {
		s.tellSession(k, f, talk, src, hst, reason)
	}
	if talk != nil {
		s.sessions.remove(f.session)
		s.sniff.Free(talk)
		f.session = 0
	}
}

// dropTalk ends the session that is worth least among a few.
func (s *shard) dropTalk(except *flow) {
	var least flowtable.Ref
	for found := 0; found < 8; {
		s.sample = s.t.Flows.Next(s.sample)
		f := s.t.Flows.At(s.sample)
		if f == except || f.session == 0 {
			if found++; found > 64 {
				return
			}
			continue
		}
		found++
		if least == 0 || f.worth() < s.t.Flows.At(least).worth() {
			least = s.sample
		}
	}
	if least != 0 {
		s.count.talksEvicted++
		s.end(least, s.t.Flows.KeyOf(least), s.t.Flows.At(least), "evicted")
	}
}

// dropHost stops judging the source that is worth least among a few. What was counted of
// it stays.
func (s *shard) dropHost(except *source) {
	var least flowtable.Ref
	for range 64 {
		s.sampleHost = s.t.Sources.Next(s.sampleHost)
		src := s.t.Sources.At(s.sampleHost)
		if src == except || src.host == 0 {
			continue
		}
		if least == 0 || s.hostWorth(src) < s.hostWorth(s.t.Sources.At(least)) {
			least = s.sampleHost
		}
	}
	if least != 0 {
		s.count.hostsEvicted++
		s.forgetHost(s.t.Sources.At(least), *s.t.Sources.KeyOf(least))
	}
}

func (s *shard) hostWorth(src *source) int64 {
	h := s.hosts.at(src.host)
	w := int64(h.Level())<<48 + int64(min(src.facts.Attempts, 1<<20))<<20
	if src.flags&home != 0 {
		w += 1 << 46
	}
	return w + src.facts.Last/minute&0xfffff
}

// forgetHost ends the findings of a source and forgets why there were any.
func (s *shard) forgetHost(src *source, k flowtable.Host) {
	s.closeFindings(src, s.hosts.at(src.host), k, src.facts.Last, "evicted")
	s.hosts.remove(src.host)
	src.host = 0
}

// sourceGone is a source that had to make room.
func (s *shard) sourceGone(k *flowtable.Host, src *source) {
	s.count.sourcesEvicted++
	if src.host != 0 {
		s.forgetHost(src, *k)
	}
}

// attemptGone is an attempt that is forgotten: if nobody answered, nobody will.
func (s *shard) attemptGone(a *flowtable.Attempt) {
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
