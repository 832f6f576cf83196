package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/smtpsniff"
)

// entry is something to give out, in the order of the packets that caused it.
type entry struct {
	order          uint64 // of the packet
	fromPacket     bool   // a packet caused it, and not the tick before it
	seqInPacket    uint32 // among the records of this packet
	shard          int
	time           int64
	session        *detect.Session
	finding        *detect.Finding
	kept           *Saved            // what it leaves behind; nil if nobody keeps that
	key            flowtable.HostKey // of its source
	lists          int               // blocklists that it names
	citation       *citation
	host           *host // whose evidence a session becomes
	server         *serverObservation
	onlyIfEvidence bool // the session is given out only if a finding about a server rests on its client
}

func (s *shard) addEntry(r entry) {
	r.order, r.fromPacket, r.seqInPacket, r.shard = s.order, !s.inTick, s.seqInPacket, s.i
	s.seqInPacket++
	s.journal = append(s.journal, r)
}

// maxEvidence is how many session events a finding names.
const maxEvidence = 10

// maxRecent is how many sessions of a source are kept until there may be a finding.
const maxRecent = 3

// emitOrKeepSession gives out a session, or keeps it, or counts that it did neither.
func (s *shard) emitOrKeepSession(k *flowtable.Key, f *flow, talk *smtpsniff.Session, src *source, hst *host, reason string) {
	seen := [2]bool{f.conn.Seen(tcp.Client), f.conn.Seen(tcp.Server)}
	switch seen {
	case [2]bool{true, true}:
		s.count.seenBoth++
	case [2]bool{true, false}:
		s.count.seenClient++
	default:
		s.count.seenServer++
	}
	if hst != nil && !(seen[0] && seen[1]) {
		hst.oneWay++
	}
	if hst != nil && f.conn.Anomalies() != 0 {
		hst.doubtful++
	}
	if s.e.out.Session == nil {
		return
	}
	found := hst != nil && hst.anyOpen()
	switch {
	case s.e.cfg.AllSessions, found && hst.sessionsEmitted < s.e.cfg.SessionsPerFinding:
		s.emitSession(s.sessionRecord(k, f, talk, src, reason), hst)
	case found:
		hst.suppressed++
	case s.mayProve(f, talk):
		s.addEntry(entry{session: s.sessionRecord(k, f, talk, src, reason), onlyIfEvidence: true, time: f.last})
	case hst != nil && src.flags&home != 0 && hst.makeRoomForSession(talk):
		hst.recent = append(hst.recent, s.sessionRecord(k, f, talk, src, reason))
	}
}

// makeRoomForSession makes room for a session among those that are kept until there may be a finding: one in which mail was named shows
// more than one that was encrypted, which a mail client has all day.
func (h *host) makeRoomForSession(talk *smtpsniff.Session) bool {
	if len(h.recent) < maxRecent {
		return true
	}
	i := slices.IndexFunc(h.recent, func(d *detect.Session) bool { return d.Mails == 0 })
	if i < 0 || talk == nil || talk.Mails == 0 {
		return false
	}
	h.recent = slices.Delete(h.recent, i, i+1)
	return true
}

// emitSession gives out a session.
func (s *shard) emitSession(d *detect.Session, hst *host) {
	if hst != nil {
		hst.sessionsEmitted++
	}
	s.addEntry(entry{session: d, host: hst, time: d.End})
}

// position is where a record is among those of a batch.
type position struct {
	order uint64 // of the packet
	at    uint32
}

// drainJournals gives out the records of all shards in order. The caller holds tickMu.
func (e *Engine) drainJournals() {
	all := e.entries[:0]
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		all = append(all, s.journal...)
		clear(s.journal)
		s.journal = s.journal[:0]
		s.t.Unlock()
	}
	if len(all) == 0 {
		return
	}
	// The records are large and hold pointers, so that their places are sorted.
	places := e.positions[:0]
	for i := range all {
		places = append(places, position{all[i].order, uint32(i)})
	}
	slices.SortFunc(places, func(x, y position) int {
		if x.order != y.order {
			return cmp.Compare(x.order, y.order)
		}
		a, b := &all[x.at], &all[y.at]
		switch {
		case a.fromPacket != b.fromPacket:
			if b.fromPacket {
				return -1
			}
			return 1
		case a.fromPacket:
			return cmp.Compare(a.seqInPacket, b.seqInPacket)
		}
		// A tick: nothing caused these but time.
		return cmp.Or(cmp.Compare(a.time, b.time), a.client().Compare(b.client()), cmp.Compare(a.seqInPacket, b.seqInPacket))
	})
	for _, p := range places {
		e.emitRecovered(&all[p.at])
	}
	e.positions = places
	clear(all)
	e.entries = all[:0]
}

// client is the client of a record, for an order among those of one time.
func (r *entry) client() netip.AddrPort {
	switch {
	case r.session != nil:
		return r.session.Client
	case r.finding != nil:
		return netip.AddrPortFrom(r.finding.Source.Addr, 0)
	case r.server != nil:
		return netip.AddrPortFrom(addr(r.server.client, r.server.v6), 0)
	}
	return netip.AddrPort{}
}

func (e *Engine) emit(r *entry) {
	switch {
	case r.server != nil:
		now := min(r.time, e.clock.Now()) // a frame can have any time
		e.rollHours(now)
		e.judgeServer(r.server, now)
	case r.onlyIfEvidence && !e.proved(r.session):
	case r.session != nil:
		n := e.out.Session(r.session)
		e.proves(r.session, n)
		if r.host != nil {
			t := e.shards[r.shard].t
			t.Lock()
			if len(r.host.evidence) < maxEvidence {
				r.host.evidence = append(r.host.evidence, n)
			}
			t.Unlock()
		}
	case r.citation != nil:
		e.learn(r.citation, r.time)
	case e.out.Finding != nil:
		t := e.shards[r.shard].t
		t.Lock()
		r.finding.Evidence = slices.Clone(r.host.evidence)
		t.Unlock()
		if e.machines.hold(r) {
			return
		}
		e.releaseHeld(r)
		if e.machines.merge(r.key, r.finding, r.lists) {
			e.machines.follow(r.finding)
			e.outputFinding(r)
		}
	}
}
