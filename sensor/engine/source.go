package engine

import (
	"math"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/track"
)

// source is a host as the client of flows: an entry of the table, without pointers. Its size, 256
// bytes, decides how many sources the memory limit allows.
type source struct {
	facts   detect.Counters
	mac     [6]byte // its link-layer address; a router's, if a router passed its frames on
	vlan    [2]uint16
	tags    uint8 // how many of vlan are set
	flags   sourceFlags
	input   uint16 // number of the capture's interface
	profile uint32 // number of its profile, zero if it has none
}

// sourceFlags are the state of a source.
type sourceFlags uint16

const (
	home sourceFlags = 1 << iota // in one of our networks
	// a declared mail server, or another host that is not judged
	declared
	changed      // since its record was emitted
	triedOutside // tried port 25 past our servers and relays
	macSuspect   // the latest attempt came from another link-layer address
	serving      // it is a mail server that is watched
	onLink       // no router has passed on its first packet
	evictedOpen  // its profile was evicted while it had an open finding
	former       // its findings were dropped once: the next ones are new
)

// keepPriority ranks sources when one is evicted, the lowest first. A flood of spoofed addresses
// has one attempt each, and must not evict a source with many attempts, with a session, or of ours.
func (s *source) keepPriority() int64 {
	w := int64(min(s.facts.Attempts, math.MaxInt32))
	if s.facts.Sessions > 0 {
		w += 1 << 40
	}
	if s.profile != 0 {
		w += 1 << 41
	}
	if s.flags&(home|declared) != 0 {
		w += 1 << 42
	}
	return w<<16 | (s.facts.Last/second)&0xffff
}

// sourceObserver follows what the clients of a shard do: their counters in the table, the profiles
// of those that are judged, and their findings.
type sourceObserver struct {
	e          *Engine
	t          *track.Shard[source]
	tracker    *track.Tracker[source]
	dnsLookups *dnsLookups
	refusals   *peer.RefusalCache
	notes      *shardNotes
	journal    *journal
	event      *track.Event // the tracker's: in hand while it is observed

	profiles        flowtable.Objects[profile] // sources that are judged
	maxProfiles     int
	setBudget       sketch.Budget   // what sets share that have outgrown their own kilobyte
	evictedAttempts uint32          // the most attempts that an evicted source had
	pendingDirect   []flowtable.Ref // sources whose first direct connection was not emitted yet
	openFindings    []flowtable.Ref // sources with an open finding
	pendingContacts []flowtable.Ref // sources whose first contacts wait for an answer
	findingBudget   budget          // of findings whose level is suspect
	pairs           [2]uint64       // connections of this round: see pairs
	count           counters
}

// newSource sets up the entry that the tracker made for a source.
func (s *sourceObserver) newSource(src *source, ev *track.Event) {
	h := ev.Key.ClientKey()
	s.e.describeSource(src, &h)
	if src.flags&home == 0 {
		s.e.noteHomeServer(ev.Key)
	}
	src.facts.ErrorBound = s.forgottenAttempts()
	if ev.SYN != nil {
		src.input = ev.SYN.Value.Input
		src.describe(&ev.SYN.Value)
		return
	}
	p := ev.Packet
	src.input = p.Input
	if p.ToServer {
		src.mac, src.tags, src.vlan = p.MAC, p.Tags, p.VLAN
		if detect.InitialTTL(p.TTL) {
			src.flags |= onLink
		}
		s.noteAddress(src, p)
	}
}

// describeSource notes what the address of a new source says.
func (e *Engine) describeSource(src *source, h *flowtable.HostKey) {
	if e.peers.Home.Has(h.Addr, h.Scope.V6()) {
		src.flags |= home
		if !e.homeSeen.Load() {
			e.homeSeen.Store(true)
		}
	}
	if e.peers.IsDeclared(h.Addr) {
		src.flags |= declared
	}
	if e.servers.Watches(h.Addr) {
		src.flags |= serving
	}
}

// homeServer notes that the server of k is in one of our networks.
func (e *Engine) noteHomeServer(k *flowtable.Key) {
	if !e.homeSeen.Load() && e.peers.Home.Has(k.Server, k.Scope.V6()) {
		e.homeSeen.Store(true)
	}
}

// isExternal reports whether a client is neither ours nor declared. Anybody can send a SYN in the
// name of an external host, and there are 2^32 of them.
func (e *Engine) isExternal(k *flowtable.Key) bool {
	return !e.peers.Home.Has(k.Client, k.Scope.V6()) && !e.peers.IsDeclared(k.Client) &&
		!e.servers.Watches(k.Client)
}

// sourceOf is the source at r, nil if its entry was used for another one since gen.
func (s *sourceObserver) sourceOf(r flowtable.Ref, gen uint16) *source {
	if r == 0 || !s.t.Sources.Used(r, gen) {
		return nil
	}
	return s.t.Sources.At(r)
}

// describe copies what the SYN cache kept of a source.
func (s *source) describe(n *track.SYNDetails) { s.mac, s.tags, s.vlan = n.MAC, n.Tags, n.VLAN }

// countOutcome counts the outcome of an attempt that did not become a connection.
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

// sourceEvicted is called by the table for a source that is evicted.
func (s *sourceObserver) sourceEvicted(k *flowtable.HostKey, src *source) {
	s.count.sourcesEvicted++
	s.evictedAttempts = max(s.evictedAttempts, src.facts.Attempts)
	if src.profile != 0 {
		s.dropProfile(src, *k, src.facts.Last, "evicted")
	}
}

// forgotten bounds the attempts of a new source that may have been counted and forgotten before:
// one for each time that the whole SYN cache was replaced, and as many as any evicted source had.
func (s *sourceObserver) forgottenAttempts() uint32 {
	laps := uint64(0)
	if n := s.t.SYNs.Evicted; n > 0 && s.t.Sources.Len() >= s.t.Sources.Cap()/2 {
		laps = n/uint64(s.t.SYNs.Cap()) + 1
	}
	return uint32(laps) + s.evictedAttempts
}

// synRecord is the record of a host in the SYN cache.
func (s *sourceObserver) synRecord(n *track.SYNEntry, now int64) finding.SourceRecord {
	src := source{input: n.Value.Input}
	src.describe(&n.Value)
	a := s.e.attemptOf(&n.Key, n.Time, n.Value.TTL)
	src.facts.Observe(&a)
	src.countOutcome(n.Outcome)
	if n.Outcome == flowtable.Waiting && now-n.Time >= track.AttemptTime {
		src.facts.Closed()
	}
	return s.sourceRecord(&src, nil, n.Key.ClientKey(), now)
}
