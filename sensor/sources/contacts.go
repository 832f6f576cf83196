package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/track"
)

// The outcomes of attempts become observations of sources with a profile. A source without a
// profile has sent one SYN, which its counters hold.

// afterAttempt updates a source with a profile after an attempt: it schedules the expiry of first
// contacts, and an attempt that follows a DNS lookup of its server confirms the server's network.
func (s *Observer) afterAttempt(ref flowtable.Ref, prof *profile, k *flowtable.Key,
	net uint32,
	now int64) {
	if prof.HasPending() && !prof.contactsPending {
		// The source is listed once, however many contacts are pending.
		prof.contactsPending = true
		s.pendingContacts = append(s.pendingContacts, ref)
	}
	// A host that resolves a server's name before it connects gets the reply: it receives packets
	// from outside, so its address is not spoofed.
	if l := prof.Lookups(); l != nil && l.Connected(&k.Server, now) {
		prof.ConfirmNetwork(net)
	}
}

// observeRetransmit observes a retransmitted SYN. after is the time since the SYN before it, in ns.
func (s *Observer) observeRetransmit(src *Source, p *track.Packet, after int64) {
	if prof := s.profiles.At(src.profile); prof != nil {
		o := detect.Observation{Kind: detect.KindRetransmit, Time: p.Time}
		s.setServer(&o, &p.Key)
		o.Hash, o.After = p.Seq, after
		prof.Observe(&s.all.cfg.Detect, nil, &o)
		s.judge(src, prof, p.Time)
	}
}

// observeSYNACK observes a SYN-ACK.
func (s *Observer) observeSYNACK(src *Source, p *track.Packet) {
	if prof := s.profiles.At(src.profile); prof != nil {
		if prof.destinations.all == 0 { // the attempt that gave it its profile
			prof.destinations.tried(&p.Key)
		}
		s.observeServer(prof, detect.KindSYNACK, &p.Key, p.Time)
		s.judge(src, prof, p.Time)
	}
}

// observeFailure observes a RST or an ICMP error that answers a SYN.
func (s *Observer) observeFailure(src *Source, p *track.Packet, icmp bool) {
	if prof := s.profiles.At(src.profile); prof != nil {
		kind := detect.KindRefused
		if icmp {
			kind = detect.KindUnreachable
		}
		s.observeServer(prof, kind, &p.Key, p.Time)
		s.judge(src, prof, p.Time)
	}
}

// ExpireContacts counts first contacts as failed that no server answered in time. It runs with each
// tick.
func (s *Observer) ExpireContacts(now int64) {
	list := s.pendingContacts[:0]
	for _, r := range s.pendingContacts {
		src, prof := s.profileAt(r)
		if prof == nil {
			continue
		}
		prof.ExpireContacts(&s.all.cfg.Detect, now)
		if prof.HasPending() {
			list = append(list, r)
		} else {
			prof.contactsPending = false
		}
		s.judge(src, prof, now)
	}
	s.pendingContacts = list
}

// observeAttempt counts an attempt of a source and judges the source. ttl is the hop limit of the
// SYN, zero if the SYN was not captured.
func (s *Observer) observeAttempt(now int64, ref flowtable.Ref, src *Source, k *flowtable.Key,
	ttl uint8) {
	src.flags |= changed
	var a detect.Observation
	s.attemptOf(&a, k, now, ttl)
	if a.External {
		src.flags |= outbound
	}
	if a.Port == 25 && a.External && !a.Relay && src.flags&triedOutside == 0 {
		src.flags |= triedOutside
		// until now it contacted other servers alone
		if src.profile != 0 && src.flags&home != 0 && s.undeclared(src) {
			s.pendingDirect = append(s.pendingDirect, ref)
		}
	}
	// A second attempt confirms the source: a single SYN may be spoofed.
	if src.Counters.Attempts > 0 {
		s.confirm(ref, src)
	}
	s.countTime(ref, src, now)
	prof := s.profiles.At(src.profile)
	// The counters have room for a few destinations. When they are full, the source gets a profile,
	// which has more.
	if full := src.Counters.Observe(&a); full && prof == nil && !s.crowded(src) {
		prof = s.newProfile(ref, src)
	}
	if prof == nil {
		return
	}
	prof.destinations.tried(k)
	prof.Observe(&s.all.cfg.Detect, &src.Counters, &a)
	s.afterAttempt(ref, prof, k, a.Net, now)
	s.judge(src, prof, now)
}

// attemptOf fills in the observation of an attempt.
func (s *Observer) attemptOf(o *detect.Observation, k *flowtable.Key, now int64, ttl uint8) {
	x := s.Peers.Of(k)
	o.Kind, o.Time, o.TTL = detect.KindSYN, now, ttl
	o.Port, o.Addr, o.Net = k.ServerPort, x.Addr, x.Net
	o.External, o.Relay = x.External, s.Peers.IsRelay(x)
}

// setServer fills in the server of an observation.
func (s *Observer) setServer(o *detect.Observation, k *flowtable.Key) {
	x := s.Peers.Of(k)
	o.Port, o.Addr, o.Net = k.ServerPort, x.Addr, x.Net
}

// observeServer observes something of which the server and the time are all there is to say.
func (s *Observer) observeServer(prof *profile, kind detect.Kind, k *flowtable.Key, now int64) {
	o := detect.Observation{Kind: kind, Time: now}
	s.setServer(&o, k)
	prof.Observe(&s.all.cfg.Detect, nil, &o)
}
