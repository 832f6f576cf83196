package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/track"
)

// The outcomes of attempts become observations of sources with a profile. A source without a
// profile has sent one SYN, which its counters hold.

// afterAttempt updates a source with a profile after an attempt: it schedules the expiry of first
// contacts, and an attempt that follows a DNS lookup of its server confirms the server's network.
func (s *sourceObserver) afterAttempt(ref flowtable.Ref, prof *profile, k *flowtable.Key,
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
func (s *sourceObserver) observeRetransmit(src *source, p *track.Packet, after int64) {
	if prof := s.profiles.At(src.profile); prof != nil {
		o := s.e.observation(detect.KindRetransmit, &p.Key, p.Time)
		o.Hash, o.After = p.Seq, after
		prof.Observe(&s.e.cfg.Detect, nil, o)
		s.judge(src, prof, p.Time)
	}
}

// observeSYNACK observes a SYN-ACK.
func (s *sourceObserver) observeSYNACK(src *source, p *track.Packet) {
	if prof := s.profiles.At(src.profile); prof != nil {
		prof.Observe(&s.e.cfg.Detect, nil, s.e.observation(detect.KindSYNACK, &p.Key, p.Time))
		s.judge(src, prof, p.Time)
	}
}

// observeFailure observes a RST or an ICMP error that answers a SYN.
func (s *sourceObserver) observeFailure(src *source, p *track.Packet, icmp bool) {
	if prof := s.profiles.At(src.profile); prof != nil {
		kind := detect.KindRefused
		if icmp {
			kind = detect.KindUnreachable
		}
		prof.Observe(&s.e.cfg.Detect, nil, s.e.observation(kind, &p.Key, p.Time))
		s.judge(src, prof, p.Time)
	}
}

// expireContacts counts first contacts as failed that no server answered in time. It runs with each
// tick.
func (s *sourceObserver) expireContacts(now int64) {
	list := s.pendingContacts[:0]
	for _, r := range s.pendingContacts {
		src, prof := s.profileAt(r)
		if prof == nil {
			continue
		}
		prof.ExpireContacts(&s.e.cfg.Detect, now)
		if prof.HasPending() {
			list = append(list, r)
		} else {
			prof.contactsPending = false
		}
		s.judge(src, prof, now)
	}
	s.pendingContacts = list
}
