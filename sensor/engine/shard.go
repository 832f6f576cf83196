package engine

import (
	"math"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
	"spamsensor/smtpsniff/refusal"
)

// shard is what works on the packets of the clients of one shard of the table, under the same lock:
// the tracker of their connections, and the observers of what it tracks.
type shard struct {
	e       *Engine
	i       int
	t       *track.Shard[source]
	tracker track.Tracker[source]

	sources    sourceObserver
	servers    serverObserver
	dnsLookups dnsLookups // what hosts asked the DNS
	refusals   refusalCache
	notes      shardNotes // for other shards
	journal    journal

	progress    *atomic.Uint64 // progress of the worker whose packets are in hand
	cursor      cursor         // place in the round
	prefetchSum uint32         // keeps the compiler from leaving out the reads of Prefetch
}

// sourceObserver follows what the clients of a shard do: their counters in the table, the profiles of
// those that are judged, and what was found of them.
type sourceObserver struct {
	e          *Engine
	t          *track.Shard[source]
	tracker    *track.Tracker[source]
	servers    *serverObserver
	dnsLookups *dnsLookups
	refusals   *refusalCache
	notes      *shardNotes
	journal    *journal
	event      *track.Event // in hand, nil between events

	hosts           flowtable.Objects[host] // sources that are judged
	maxHosts        int
	room            sketch.Budget   // what sets share that have outgrown their own kilobyte
	evictedAttempts uint32          // the most attempts that an evicted source had
	pendingDirect   []flowtable.Ref // sources whose first direct connection was not emitted yet
	openFindings    []flowtable.Ref // sources with an open finding
	pendingContacts []flowtable.Ref // sources whose first contacts wait for an answer
	budget          budget          // of findings whose level is suspect
	pairs           [2]uint64       // connections of this round: see pairs
	count           counters
}

// source is a host as the client of flows.
type source struct {
	facts detect.Counters
	mac   [6]byte
	vlan  [2]uint16
	tags  uint8
	flags sourceFlags
	input uint16
	host  uint32
}

type sourceFlags uint16

const (
	home       sourceFlags = 1 << iota // in one of our networks
	declared                           // a mail server
	changed                            // since it was last given out
	outside                            // tried port 25 past our servers and relays
	macSuspect                         // the latest attempt came from another link-layer address
	serving                            // it is a mail server that is watched
	near                               // no router has passed on its first packet
	again                              // it had to make room for another host while it had a finding
	former                             // what was found of it was forgotten once: its next findings are others
)

// worth ranks sources when one has to make room: a flood of spoofed addresses has one
// attempt each, and must not push out who has many, or is ours, or had a session.
func (s *source) keepPriority() int64 {
	w := int64(min(s.facts.Attempts, math.MaxInt32))
	if s.facts.Sessions > 0 {
		w += 1 << 40
	}
	if s.host != 0 {
		w += 1 << 41
	}
	if s.flags&(home|declared) != 0 {
		w += 1 << 42
	}
	return w<<16 | (s.facts.Last/second)&0xffff
}

func (s *shard) init(e *Engine, i int) {
	n := e.table.Shards()
	s.e, s.i, s.t = e, i, e.table.Shard(i)
	s.journal.shard = i
	s.refusals.secret = &e.table.Secret
	s.notes.e = e
	s.servers = serverObserver{e: e, journal: &s.journal, refusals: &s.refusals, mailBytes: e.cfg.Limits.MailBytes / n}
	o := &s.sources
	o.e, o.t, o.tracker, o.servers, o.dnsLookups = e, s.t, &s.tracker, &s.servers, &s.dnsLookups
	o.refusals, o.notes, o.journal = &s.refusals, &s.notes, &s.journal
	o.maxHosts = max(4, e.cfg.Limits.Hosts/n)
	o.room.Words = e.cfg.Limits.ExactBytes / 4 / n
	s.tracker.Init(track.Config[source]{
		Table: s.t, Secret: &e.table.Secret, Sides: &e.sides,
		MaxSessions: max(4, e.cfg.Limits.Sessions/n), MaxSessionBytes: e.cfg.Limits.SessionBytes / n,
		MaxHeldBytes: e.cfg.Limits.HeldBytes / n,
		External:     o.isExternal, Observe: o.observe,
		Fault: func(reason any) { e.recordPanic(describe(reason)) },
	})
	l := &s.tracker.Listener
	l.Seed = e.table.Secret.HashBytes([]byte("what clients say"))
	l.ShowSenders, l.KnownHost = e.cfg.ShowSenders, knownHost
	l.ListName = func(text []byte) string {
		if c := refusal.ParseCitation(string(text)); !c.Link { // a link may be one of the message's
			return c.List
		}
		return ""
	}
	l.Account = func(name []byte) uint32 { return max(1, uint32(e.table.Secret.HashBytes(name))) }
}

// packet works on one packet.
func (s *shard) packet(p *packet, payload []byte) {
	switch {
	case p.badChecksum: // see checksums.judge
	case p.Kind == wire.DNS:
		s.observeDNS(p, payload)
	default:
		s.tracker.Packet(&p.Packet, payload)
	}
}
