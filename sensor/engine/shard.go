package engine

import (
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/servers"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
	"spamsensor/smtpsniff/refusal"
)

// shard processes the packets of the clients in one shard of the table, under the same lock: the
// tracker follows their connections, and the observers turn its events into observations.
type shard struct {
	e       *Engine
	i       int
	t       *track.Shard[sources.Source]
	tracker track.Tracker[sources.Source]

	sources  sources.Observer
	servers  servers.Observer
	refusals peer.RefusalCache
	peers    peer.ServerCache
	journal  journal

	progress    *atomic.Uint64 // progress of the worker whose packets are in hand
	cursor      cursor         // place in the round
	hashes      prefetchHashes // scratch of prefetch
	prefetchSum uint32         // keeps the compiler from leaving out the reads of Prefetch
	found       [prefetchPackets]track.Found
	// packetInHand is the packet that is processed, unless Next takes its row.
	packetInHand track.Packet
}

// init sets up the shard with number i.
func (s *shard) init(e *Engine, i int) {
	n := e.table.Shards()
	s.e, s.i, s.t = e, i, e.table.Shard(i)
	s.refusals.Secret = &e.table.Secret
	s.peers.Directory = e.peers
	s.servers.ObserverConfig = servers.ObserverConfig{Servers: &e.servers, Peers: &s.peers,
		Refusals: &s.refusals, MailBytes: e.cfg.Limits.MailBytes / n,
		IsServing: s.sources.IsServing,
		Add: func(x *servers.Observation, now int64) {
			s.journal.addEntry(entry{server: x, time: now})
		}}
	e.sources.Add(&s.sources, sources.ObserverConfig{Table: s.t, Tracker: &s.tracker,
		Peers: &s.peers, Refusals: &s.refusals, MaxProfiles: max(4, e.cfg.Limits.Hosts/n),
		SetWords: e.cfg.Limits.ExactBytes / 4 / n,
		AddSession: func(x *sources.SessionEvent, now int64) {
			s.journal.addEntry(entry{session: x, time: now})
		},
		AddFinding: func(x *sources.FindingEvent) {
			s.journal.addEntry(entry{finding: x, time: x.Time})
		},
		AddCitation: func(c *refusal.Citation, server flowtable.Addr, text string, now int64) {
			s.journal.addEntry(entry{citation: &citation{*c, server, text}, time: now})
		}})
	s.tracker.Init(track.Config[sources.Source]{
		Table: s.t, Secret: &e.table.Secret, Sides: &e.sides,
		MaxSessions:     max(4, e.cfg.Limits.Sessions/n),
		MaxSessionBytes: e.cfg.Limits.SessionBytes / n,
		MaxHeldBytes:    e.cfg.Limits.HeldBytes / n,
		External:        e.isExternal, Observe: s.observer(),
		Fault: func(reason any) { e.recordPanic(describe(reason)) },
	})
	l := &s.tracker.Listener
	l.Redactor.Seed = e.table.Secret.HashBytes([]byte("what clients say"))
	l.ShowSenders, l.Redactor.KnownHost = e.cfg.ShowSenders, knownHost
	l.Redactor.ListName = func(text []byte) string {
		if c := refusal.ParseCitation(string(text)); !c.Link { // a link may be one of the message's
			return c.List
		}
		return ""
	}
	l.Account = func(name []byte) uint32 { return max(1, uint32(e.table.Secret.HashBytes(name))) }
}

// packet processes one packet; x is what prefetch has found.
func (s *shard) packet(b *decodeBatch, r *track.Row, x *track.Found) {
	payload := b.payload(r)
	if !r.IsSYN() && s.tracker.Next(r, payload, x) {
		return // most of them
	}
	p := &s.packetInHand
	b.side.Expand(p, r, x.FlowHash)
	switch {
	case r.Note&track.BadChecksum != 0: // see checksums.judge
	case p.Kind == wire.DNS:
		s.observeDNS(p, r.Note&track.Resolver != 0, payload)
	case p.Kind == wire.ICMPError:
		s.tracker.Unreachable(p)
	case p.IsSYN():
		s.tracker.SYN(p, payload)
	default:
		s.tracker.Segment(p, payload, x)
	}
}

// observeDNS observes a DNS message: a query of the client, a reply to it, or a query to the client
// as a resolver.
func (s *shard) observeDNS(p *track.Packet, resolver bool, payload []byte) {
	var m dns.Message
	if !resolver && !dns.Parse(payload, &m) {
		return
	}
	if s.sources.ObserveDNS(p, resolver, &m) {
		s.servers.ObserveDNSAnswer(&m, p.Time)
	}
}
