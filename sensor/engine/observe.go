package engine

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// observer returns the function that the tracker calls for each connection event, at once. The mail
// servers come first: their transactions do not depend on sources. What was said in a session is
// the most frequent event by far, and goes the shortest way.
func (s *shard) observer() func(*track.Event) {
	return func(ev *track.Event) {
		if ev.Kind != track.Said {
			s.servers.Observe(ev)
			s.sources.observe(ev)
		} else if s.believes(ev.Flow) {
			s.servers.ObserveDialogue(ev)
			s.sources.observeDialogue(ev)
		}
	}
}

// believes reports whether what is said in a flow counts. Without a session no server accepted it;
// a self-made connection is no evidence if the senders of other connections differ.
func (s *shard) believes(f *track.Flow) bool {
	return (f.Established() || f.Midstream()) &&
		!(f.Noted(peer.SelfMade) && s.e.pairs.sendersDiffer())
}

// observe turns a connection event into observations of its source. The cases are in the order of a
// connection's life; see package track for when each comes.
func (s *sourceObserver) observe(ev *track.Event) {
	var src *source
	var prof *profile
	if ev.Source != 0 {
		src = s.t.Sources.At(ev.Source)
		prof = s.profiles.At(src.profile)
	}
	switch ev.Kind {
	case track.NewSource:
		s.newSource(src, ev)
	case track.CachedSYN:
		s.e.noteHomeServer(ev.Key)
	case track.CachedOutcome:
		src.countOutcome(ev.Outcome)
	case track.FirstSYN:
		s.macChanged(src, ev.Packet)
	case track.Attempt:
		s.observeAttempt(ev.Time, ev.Source, src, ev.Key, ev.TTL)
	case track.SYNRetransmit:
		src.facts.Retransmits++
		src.flags |= changed
		s.confirm(ev.Source, src)
		s.observeRetransmit(src, ev.Packet, ev.After)
	case track.SYNACK:
		s.confirm(ev.Source, src)
		s.observeSYNACK(src, ev.Packet)
	case track.AttemptFailed:
		src.countOutcome(ev.Outcome)
		src.flags |= changed
		s.observeFailure(src, ev.Packet, ev.Outcome == flowtable.Unreachable)
	case track.ServerAnswered:
		s.noteSender(src, ev.Packet, ev.Flow)
	case track.Conflict:
		s.observeConflict(src, prof, ev.Packet, ev.Flow)
	case track.FlowReset:
		src.facts.Refused++
		s.observeFailure(src, ev.Packet, false)
	case track.Established:
		s.observeEstablished(src, prof, ev)
	case track.BothSides:
		if prof != nil && !ev.Flow.Noted(peer.SelfMade) {
			prof.Observe(&s.e.cfg.Detect, nil,
				s.e.observation(detect.KindBothSides, ev.Key, ev.Time))
		}
	case track.ConnectionOver:
		src.facts.Closed()
	case track.ConnectionRevived:
		src.facts.Opened()
	case track.SessionEnded:
		s.observeSessionEnd(src, prof, ev)
	}
}

// isServing reports whether the client of an event is a watched server, and notes it of its source:
// the server may be watched since then, and without a reply no flow of it began.
func (s *sourceObserver) isServing(ev *track.Event) bool {
	if ev.Source == 0 {
		return s.e.servers.Watches(ev.Key.Client)
	}
	src := s.t.Sources.At(ev.Source)
	if src.flags&serving == 0 && src.flags&home != 0 && s.e.servers.Watches(ev.Key.Client) {
		src.flags |= serving
	}
	return src.flags&serving != 0
}

// observeEstablished is a handshake that is complete and believed.
func (s *sourceObserver) observeEstablished(src *source, prof *profile, ev *track.Event) {
	p, f := ev.Packet, ev.Flow
	src.facts.Sessions++
	s.noteSessionAddress(src, p, f)
	if prof != nil {
		o := s.e.observation(detect.KindEstablished, &p.Key, p.Time)
		o.OneSided = !f.SeenBothSides() || f.Noted(peer.SelfMade)
		prof.Observe(&s.e.cfg.Detect, nil, o)
	}
	src.flags |= changed
}

// observeSessionEnd is the end of a dialogue: the last observations of it, and its record.
func (s *sourceObserver) observeSessionEnd(src *source, prof *profile, ev *track.Event) {
	k, f, session := ev.Key, ev.Flow, ev.Session
	if src != nil && (f.Counted() || f.Established()) {
		_, up := f.Conn.Counts(tcp.Client)
		_, down := f.Conn.Counts(tcp.Server)
		src.facts.ToServer += up
		src.facts.ToClient += down
		if session != nil && session.Auth >= smtpsniff.AuthTried {
			src.facts.AuthSessions++
		}
		src.flags |= changed
	}
	s.observeEnd(k, f, session, src, prof)
	s.noteBriefSender(k, f, session, src, prof)
	if f.Established() || f.Midstream() && session != nil && session.Commands+session.Replies > 0 {
		s.emitOrKeepSession(k, f, session, src, prof, ev.Reason)
	}
}
