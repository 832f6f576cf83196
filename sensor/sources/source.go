package sources

import (
	"math"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
)

// Source is a host as the client of flows: an entry of the table, without pointers. Its size, 256
// bytes, decides how many sources the memory limit allows.
type Source struct {
	Counters detect.Counters
	mac      [6]byte // its link-layer address; a router's, if a router passed its frames on
	vlan     [2]uint16
	tags     uint8  // how many of vlan are set
	nextHop  uint16 // hash of the link-layer address to which its frames go
	flags    sourceFlags
	input    uint16 // number of the capture's interface
	profile  uint32 // number of its profile, zero if it has none
}

// sourceFlags are the state of a source.
type sourceFlags uint16

const (
	home         sourceFlags = 1 << iota // in one of our networks
	declared                             // its role allows it to contact mail servers
	changed                              // since its record was emitted
	triedOutside                         // tried port 25 past our servers and relays
	macSuspect                           // the latest attempt came from another link-layer address
	serving                              // it is a mail server that is watched
	onLink                               // no router has passed on its first packet
	evictedOpen                          // its profile was evicted while it had an open finding
	former                               // its findings were dropped once: the next ones are new
	within                               // at most maxInside routers passed on its first packet
	nearer                               // a server that answered it was farther away
	farther                              // a server that answered it was nearer
	outbound                             // it contacted a server outside the home networks
	joined                               // it is an address of a machine with several; see joint
	configured                           // in one of the configured networks
)

// KeepPriority ranks sources when one is evicted, the lowest first. A flood of spoofed addresses
// has one attempt each, and must not evict a source with many attempts, with a session, or of ours.
func (s *Source) KeepPriority() int64 {
	w := int64(min(s.Counters.Attempts, math.MaxInt32))
	if s.Counters.Sessions > 0 {
		w += 1 << 40
	}
	if s.profile != 0 {
		w += 1 << 41
	}
	if s.flags&(home|declared) != 0 {
		w += 1 << 42
	}
	return w<<16 | (s.Counters.Last/second)&0xffff
}

// newSource sets up the entry that the tracker made for a source.
func (s *Observer) newSource(src *Source, ev *track.Event) {
	h := ev.Key.ClientKey()
	s.all.describeSource(src, &h)
	if src.flags&home == 0 {
		s.all.noteHomeServer(ev.Key)
	}
	src.Counters.ErrorBound = s.forgottenAttempts()
	if ev.SYN != nil {
		src.input = ev.SYN.Value.Input
		src.describe(&ev.SYN.Value)
		src.noteHops(ev.SYN.Value.TTL)
	} else {
		p := ev.Packet
		src.input = p.Input
		if p.ToServer {
			src.mac, src.tags, src.vlan, src.nextHop = p.MAC, p.Tags, p.VLAN, p.PeerLink
			src.noteHops(p.TTL)
		}
	}
	if s.all.isLearned(src, &h) {
		src.flags |= home
	}
	if p := ev.Packet; ev.SYN == nil && p.ToServer {
		s.noteFirst(src, p)
		s.noteAddress(src, p)
	}
}

// describeSource notes what the address of a new source says.
func (all *Set) describeSource(src *Source, h *flowtable.HostKey) {
	if all.cfg.Peers.Home.Configured(h.Addr, h.Scope.V6()) {
		src.flags |= home | configured
		if !all.homeSeen.Load() {
			all.homeSeen.Store(true)
		}
	}
	if all.cfg.Peers.IsDeclared(h.Addr) {
		src.flags |= declared
	}
	if all.cfg.Watches(h.Addr) {
		src.flags |= serving
	}
}

// noteHomeServer notes that the server of k is in one of the configured networks.
func (all *Set) noteHomeServer(k *flowtable.Key) {
	if !all.homeSeen.Load() && all.cfg.Peers.Home.Configured(k.Server, k.Scope.V6()) {
		all.homeSeen.Store(true)
	}
}

// sourceOf is the source at r, nil if its entry was used for another one since gen.
func (s *Observer) sourceOf(r flowtable.Ref, gen uint16) *Source {
	if r == 0 || !s.Table.Sources.Used(r, gen) {
		return nil
	}
	return s.Table.Sources.At(r)
}

// describe copies what the SYN cache kept of a source.
func (s *Source) describe(n *track.SYNDetails) { s.mac, s.tags, s.vlan = n.MAC, n.Tags, n.VLAN }

// countOutcome counts the outcome of an attempt that did not become a connection.
func (s *Source) countOutcome(o flowtable.Outcome) {
	switch o {
	case flowtable.Refused:
		s.Counters.Refused++
	case flowtable.Unreachable:
		s.Counters.Unreachable++
	default:
		return
	}
	s.Counters.Closed()
}

// SourceEvicted is called by the table for a source that is evicted.
func (s *Observer) SourceEvicted(k *flowtable.HostKey, src *Source) {
	s.count.SourcesEvicted++
	s.evictedAttempts = max(s.evictedAttempts, src.Counters.Attempts)
	if src.profile != 0 {
		s.dropProfile(src, *k, src.Counters.Last, finding.Evicted)
	}
}

// forgotten bounds the attempts of a new source that may have been counted and forgotten before:
// one for each time that the whole SYN cache was replaced, and as many as any evicted source had.
func (s *Observer) forgottenAttempts() uint32 {
	laps := uint64(0)
	if n := s.Table.SYNs.Evicted; n > 0 && s.Table.Sources.Len() >= s.Table.Sources.Cap()/2 {
		laps = n/uint64(s.Table.SYNs.Cap()) + 1
	}
	return uint32(laps) + s.evictedAttempts
}

// synRecord is the record of a host in the SYN cache.
func (s *Observer) synRecord(n *track.SYNEntry, now int64) finding.SourceRecord {
	src := Source{input: n.Value.Input}
	src.describe(&n.Value)
	var a detect.Observation
	s.attemptOf(&a, &n.Key, n.Time, n.Value.TTL)
	src.Counters.Observe(&a)
	src.countOutcome(n.Outcome)
	if n.Outcome == flowtable.Waiting && now-n.Time >= track.AttemptTime {
		src.Counters.Closed()
	}
	return s.sourceRecord(&src, nil, n.Key.ClientKey(), now)
}
