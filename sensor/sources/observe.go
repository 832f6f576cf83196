package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/timeline"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// Observe turns a connection event into observations of its source. The cases are in the order of a
// connection's life; see package track for when each comes.
func (s *Observer) Observe(ev *track.Event) {
	var src *Source
	var prof *profile
	if ev.Source != 0 {
		src = s.Table.Sources.At(ev.Source)
		prof = s.profiles.At(src.profile)
	}
	switch ev.Kind {
	case track.NewSource:
		s.newSource(src, ev)
	case track.CachedSYN:
		s.all.noteHomeServer(ev.Key)
	case track.CachedOutcome:
		src.countOutcome(ev.Outcome)
	case track.FirstSYN:
		if src.nextHop == 0 { // the SYN cache does not keep it
			src.nextHop = ev.Packet.PeerLink
		}
		s.macChanged(src, ev.Packet)
	case track.Attempt:
		s.observeAttempt(ev.Time, ev.Source, src, ev.Key, ev.TTL)
	case track.SYNRetransmit:
		src.Counters.Retransmits++
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
		src.Counters.Refused++
		s.observeFailure(src, ev.Packet, false)
	case track.Established:
		s.observeEstablished(src, prof, ev)
	case track.BothSides:
		if prof != nil && !ev.Flow.Noted(peer.SelfMade) {
			s.observeServer(prof, detect.KindBothSides, ev.Key, ev.Time)
		}
	case track.ConnectionOver:
		src.Counters.Closed()
	case track.ConnectionRevived:
		src.Counters.Opened()
	case track.SessionEnded:
		s.observeSessionEnd(src, prof, ev)
	}
}

// IsServing reports whether the client of an event is a watched server, and notes it of its source.
// A host can become a watched server after its source was made, before a flow of it began.
func (s *Observer) IsServing(ev *track.Event) bool {
	if ev.Source == 0 {
		return s.all.cfg.Watches(ev.Key.Client)
	}
	src := s.Table.Sources.At(ev.Source)
	if src.flags&serving == 0 && src.flags&home != 0 && s.all.cfg.Watches(ev.Key.Client) {
		src.flags |= serving
	}
	return src.flags&serving != 0
}

// observeEstablished is a handshake that is complete and believed.
func (s *Observer) observeEstablished(src *Source, prof *profile, ev *track.Event) {
	p, f := ev.Packet, ev.Flow
	src.Counters.Sessions++
	s.noteSessionAddress(src, p, f)
	if prof != nil {
		o := detect.Observation{Kind: detect.KindEstablished, Time: p.Time}
		s.setServer(&o, &p.Key)
		o.OneSided = !f.SeenBothSides() || f.Noted(peer.SelfMade)
		prof.Observe(&s.all.cfg.Detect, nil, &o)
	}
	src.flags |= changed
}

// observeSessionEnd is the end of a dialogue: the last observations of it, and its record.
func (s *Observer) observeSessionEnd(src *Source, prof *profile, ev *track.Event) {
	k, f, session := ev.Key, ev.Flow, ev.Session
	if src != nil && (f.Counted() || f.Established()) {
		_, up := f.Conn.Counts(tcp.Client)
		_, down := f.Conn.Counts(tcp.Server)
		src.Counters.ToServer += up
		src.Counters.ToClient += down
		if session != nil && session.Auth >= smtpsniff.AuthTried {
			src.Counters.AuthSessions++
		}
		src.flags |= changed
	}
	s.observeEnd(ev, src, prof)
	s.noteBriefSender(k, f, session, src, prof)
	if f.Established() || f.Midstream() && session != nil && session.Commands+session.Replies > 0 {
		s.emitOrKeepSession(k, f, session, src, prof, ev.Reason)
	}
}

// Observer follows what the clients of a shard do: their counters in the table, the profiles
// of those that are judged, and their findings.
type Observer struct {
	ObserverConfig
	all         *Set
	event       *track.Event   // the tracker's: in hand while it is observed
	dnsLookups  dnsLookups     // what hosts asked the DNS
	prefixes    []netip.Prefix // of NAT64, that answers of this round showed
	serverNames serverNames
	text        []byte              // scratch of describeDialogue
	codes       []finding.CodeCount // the same
	notes       shardNotes          // for other shards

	profiles flowtable.Objects[profile] // sources that are judged
	// what sets share that have outgrown their own kilobyte
	setBudget       sketch.Budget
	evictedAttempts uint32 // the most attempts that an evicted source had
	// sources whose first direct connection was not emitted yet
	pendingDirect   []flowtable.Ref
	openFindings    []flowtable.Ref // sources with an open finding
	pendingContacts []flowtable.Ref // sources whose first contacts wait for an answer
	findingBudget   budget          // of findings whose level is suspect
	pairs           [2]uint64       // connections of this round: see linkSenders
	count           Counters
	times           timeline.Hosts[flowtable.HostKey] // attempts of the hosts that are judged
}

// ObserverConfig is what the observer of a shard needs. It is set once.
type ObserverConfig struct {
	// Table is the shard of the table, Tracker follows its connections, Peers has what is known of
	// its servers, and Refusals has the reasons of its refusals.
	Table    *track.Shard[Source]
	Tracker  *track.Tracker[Source]
	Peers    *peer.ServerCache
	Refusals *peer.RefusalCache
	// MaxProfiles bounds the sources that are judged, SetWords the memory of sets that have
	// outgrown their own kilobyte, in words of 4 bytes.
	MaxProfiles, SetWords int
	// AddSession, AddFinding and AddCitation add to the shard's journal. now is the time of the
	// packet, in ns.
	AddSession  func(x *SessionEvent, now int64)
	AddFinding  func(x *FindingEvent)
	AddCitation func(c *refusal.Citation, server flowtable.Addr, text string, now int64)
}
