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

// shard is what is kept beside a shard of the table, under the same lock.
type shard struct {
	e       *Engine
	i       int
	t       *track.Shard[source]
	tracker track.Tracker[source]
	event   *track.Event // in hand, nil between events

	hosts    flowtable.Objects[host] // sources that are judged
	maxHosts int

	progress *atomic.Uint64 // progress of who works on the packets in hand

	pendingDirect   []flowtable.Ref                      // sources whose first direct connection was not told yet
	openFindings    []flowtable.Ref                      // sources with an open finding
	pendingContacts []flowtable.Ref                      // sources whose first contacts wait for an answer
	room            sketch.Budget                        // for sets of more than their share
	dnsLookups      dnsLookups                           // what hosts asked the DNS
	inboundNotes    []inboundNote                        // for sources in other shards
	pendingInbound  map[flowtable.HostKey]pendingInbound // what was noted about hosts that are not known yet
	pairs           [2]uint64                            // flows of this row: see pairs
	budget          budget                               // of findings that are suspect
	notesDropped    uint64                               // notes and arrivals for which there was no room
	newAddresses    []newAddress                         // new sources with IPv6
	briefSenders    []briefSender                        // sessions of sources that have had few

	transactions []*transaction // transactions of sessions, by their number
	mailBytes    int            // what there is room for in them

	reasonCache [256]cachedReason // what refusals said, by the hash of their text

	evictedAttempts uint32 // attempts that a source had at most when it had to make room

	journal     []entry // to be given out when the batch is done
	count       counters
	order       uint64 // of the packet in hand
	inTick      bool   // it is the tick before it
	cursor      cursor // its place in the round
	seqInPacket uint32 // records of this packet
	prefetchSum uint32 // keeps the compiler from leaving out the reads of Touch
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
	s.maxHosts = max(4, e.cfg.Limits.Hosts/n)
	s.room.Words = e.cfg.Limits.ExactBytes / 4 / n
	s.mailBytes = e.cfg.Limits.MailBytes / n
	s.tracker.Init(track.Config[source]{
		Table: s.t, Secret: &e.table.Secret, Sides: &e.sides,
		MaxSessions: max(4, e.cfg.Limits.Sessions/n), MaxSessionBytes: e.cfg.Limits.SessionBytes / n,
		MaxHeldBytes: e.cfg.Limits.HeldBytes / n,
		External:     s.isExternal, Observe: s.observe,
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
