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

// record is something to give out, in the order of the packets that caused it.
type record struct {
	order    uint64 // of the packet
	packet   bool   // a packet caused it, and not the tick before it
	sub      uint32 // among the records of this packet
	shard    int
	time     int64
	session  *detect.Session
	finding  *detect.Finding
	kept     *Saved         // what it leaves behind; nil if nobody keeps that
	key      flowtable.Host // of its source
	lists    int            // blocklists that it names
	citation *citation
	host     *host // whose evidence a session becomes
	server   *serverSeen
	offered  bool // the session is given out only if a finding about a server rests on its client
}

func (s *shard) record(r record) {
	r.order, r.packet, r.sub, r.shard = s.order, !s.ticking, s.sub, s.i
	s.sub++
	s.records = append(s.records, r)
}

// maxEvidence is how many session events a finding names.
const maxEvidence = 10

// maxRecent is how many sessions of a source are kept until there may be a finding.
const maxRecent = 3

// tellSession gives out a session, or keeps it, or counts that it did neither.
func (s *shard) tellSession(k *flowtable.Key, f *flow, talk *smtpsniff.Session, src *source, hst *host, reason string) {
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
	if hst != nil && f.conn.Odd() != 0 {
		hst.doubtful++
	}
	if s.e.out.Session == nil {
		return
	}
	found := hst != nil && hst.anyOpen()
	switch {
	case s.e.cfg.AllSessions, found && hst.given < s.e.cfg.SessionsPerFinding:
		s.give(s.sessionRecord(k, f, talk, src, reason), hst)
	case found:
		hst.suppressed++
	case s.mayProve(f, talk):
		s.record(record{session: s.sessionRecord(k, f, talk, src, reason), offered: true, time: f.last})
	case hst != nil && src.flags&home != 0 && hst.roomFor(talk):
		hst.recent = append(hst.recent, s.sessionRecord(k, f, talk, src, reason))
	}
}

// roomFor makes room for a session among those that are kept until there may be a finding: one in which mail was named shows
// more than one that was encrypted, which a mail client has all day.
func (h *host) roomFor(talk *smtpsniff.Session) bool {
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

// give gives out a session.
func (s *shard) give(d *detect.Session, hst *host) {
	if hst != nil {
		hst.given++
	}
	s.record(record{session: d, host: hst, time: d.End})
}

// sessionRecord is the evidence of one session.
func (s *shard) sessionRecord(k *flowtable.Key, f *flow, talk *smtpsniff.Session, src *source, reason string) *detect.Session {
	v6 := k.Scope.V6()
	d := &detect.Session{
		Client: netip.AddrPortFrom(addr(k.Client, v6), k.ClientPort), Server: netip.AddrPortFrom(addr(k.Server, v6), k.ServerPort),
		V6: v6, Input: f.input, FlowID: s.flowID(k, f), Start: f.start, End: max(f.start, f.last), State: f.conn.State().String(), Reason: endReason(f, reason),
		SYNs: f.syns, App: smtpsniff.Unknown.String(), TLS: smtpsniff.Plain.String(), Auth: smtpsniff.NoAuth.String(),
		Direction: s.direction(k)}
	d.VLAN = slices.Clone(f.vlan[:f.tags])
	if src != nil {
		d.MAC = src.mac
	}
	switch {
	case !f.conn.Seen(tcp.Server):
		d.Seen = "client"
	case !f.conn.Seen(tcp.Client):
		d.Seen = "server"
	default:
		d.Seen = "both"
	}
	d.PktsToServer, d.ToServer = f.conn.Counts(tcp.Client)
	d.PktsToClient, d.ToClient = f.conn.Counts(tcp.Server)
	d.Conflicts = f.conn.Conflicts()
	if f.conn.Odd()&tcp.Conflict != 0 {
		d.Flags = append(d.Flags, "conflict")
	}
	if f.conn.Odd()&tcp.Urgent != 0 {
		d.Flags = append(d.Flags, "urgent")
	}
	if talk == nil {
		if f.has(midstream) {
			d.Flags = append(d.Flags, "midstream")
		}
		return d
	}
	d.App, d.TLS, d.Auth, d.HeloCmd = talk.Proto.String(), talk.Encryption.String(), talk.Auth.String(), talk.HeloVerb.String()
	d.Banner, d.Helo, d.SNI, d.LastReply = string(talk.Banner()), string(talk.Helo()), string(talk.SNI()), string(s.sniff.LastReply(talk))
	talk.Senders(func(a []byte) { d.MailFrom = append(d.MailFrom, string(a)) })
	d.Mails, d.Rcpts, d.RcptsRejected, d.Messages = talk.Mails, talk.Rcpts, talk.RcptsRejected, talk.Messages
	d.Rejected, d.Deferred = talk.Rejected, talk.Deferred
	d.LastCode, d.LastEnhanced = talk.LastCode, enhanced(talk.LastEnhanced)
	talk.Codes(func(c smtpsniff.CodeCount) { d.Codes = append(d.Codes, detect.CodeCount(c)) })
	talk.Refusals(func(r smtpsniff.Refusal, text []byte) {
		d.Refusals = append(d.Refusals, detect.RefusalText{Phase: r.Phase.String(), Code: r.Code, Enhanced: enhanced(r.Enhanced), Text: string(text)})
		if d.Blocklist == "" {
			d.Blocklist = ofOthers(detect.ParseCitation(string(text)), talk.Banner()).List
		}
	})
	for i, name := range smtpsniff.FlagNames {
		if talk.Flags>>i&1 != 0 {
			d.Flags = append(d.Flags, name)
		}
	}
	return d
}

func enhanced(e smtpsniff.Enhanced) [3]uint16 { return [3]uint16{e.Class, e.Subject, e.Detail} }

// flowID is a number for the flow, the same whenever the file is read.
func (s *shard) flowID(k *flowtable.Key, f *flow) uint64 {
	fixed := flowtable.Secret{1, 2}
	h := k.Host()
	return fixed.Flow(fixed.Host(&h)^uint64(f.start), k) >> 11 // 53 bits: JavaScript can hold it
}

// endReason is why the flow is over: by the connection itself, or what ended our
// listening.
func endReason(f *flow, reason string) string {
	switch f.conn.State() {
	case tcp.Closed:
		return "fin"
	case tcp.Reset:
		return "rst"
	}
	return reason
}

func (s *shard) direction(k *flowtable.Key) string {
	v6 := k.Scope.V6()
	switch from, to := s.e.home.has(k.Client, v6), s.e.home.has(k.Server, v6); {
	case from && to:
		return "internal"
	case from:
		return "outbound"
	case to:
		return "inbound"
	}
	return "transit"
}

// sourceRecord is what is known of a source.
func (s *shard) sourceRecord(src *source, hst *host, k flowtable.Host, now int64) detect.SourceRecord {
	var known *detect.Host
	settled := now
	if s.e.over {
		settled += hour
	}
	d := detect.SourceRecord{Addr: addr(k.Addr, k.Scope.V6()), MAC: src.mac, VLAN: slices.Clone(src.vlan[:src.tags]), Input: src.input,
		Role: s.role(src, hst, &k), Facts: src.facts, Time: now, Silent: src.facts.Silent(settled), Score: detect.Prior}
	if hst != nil {
		known = &hst.Host
		d.Level, d.Score = hst.Level(), hst.Score()
		d.GivenUp = min(d.Silent, hst.GivenUp())
		if l := hst.Lookups(); l != nil {
			d.MXLookups = l.MX
		}
	}
	d.DestIPs, d.DestNets = src.facts.DestIPs(known), src.facts.DestNets(known)
	d.HeloNames, d.SenderDomains = src.facts.HeloNames(known), src.facts.SenderDomains(known)
	return d
}

// place is where a record is among those of a batch.
type place struct {
	order uint64 // of the packet
	at    uint32
}

// flushRecords gives out the records of all shards in order. The caller holds tickMu.
func (e *Engine) flushRecords() {
	all := e.emitted[:0]
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		all = append(all, s.records...)
		clear(s.records)
		s.records = s.records[:0]
		s.t.Unlock()
	}
	if len(all) == 0 {
		return
	}
	// The records are large and hold pointers, so that their places are sorted.
	places := e.places[:0]
	for i := range all {
		places = append(places, place{all[i].order, uint32(i)})
	}
	slices.SortFunc(places, func(x, y place) int {
		if x.order != y.order {
			return cmp.Compare(x.order, y.order)
		}
		a, b := &all[x.at], &all[y.at]
		switch {
		case a.packet != b.packet:
			if b.packet {
				return -1
			}
			return 1
		case a.packet:
			return cmp.Compare(a.sub, b.sub)
		}
		// A tick: nothing caused these but time.
		return cmp.Or(cmp.Compare(a.time, b.time), a.who().Compare(b.who()), cmp.Compare(a.sub, b.sub))
	})
	for _, p := range places {
		e.given(&all[p.at])
	}
	e.places = places
	clear(all)
	e.emitted = all[:0]
}

// who is the client of a record, for an order among those of one time.
func (r *record) who() netip.AddrPort {
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

func (e *Engine) emit(r *record) {
	switch {
	case r.server != nil:
		now := min(r.time, e.clock.Now()) // a frame can have any time
		e.passHours(now)
		e.observe(r.server, now)
	case r.offered && !e.proved(r.session):
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
		if e.machines.holds(r) {
			return
		}
		e.release(r)
		if e.machines.merge(r.key, r.finding, r.lists) {
			e.machines.follow(r.finding)
			e.giveFinding(r)
		}
	}
}
