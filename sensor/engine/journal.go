package engine

import (
	"cmp"
	"net/netip"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/inorder"
	"spamsensor/sensor/servers"
	"spamsensor/sensor/sources"
)

// Shards run side by side, but mail servers are judged and events are emitted in packet order. So
// each shard has a journal. At the end of a round one goroutine drains all journals:
//
//	addEntry          under the shard's lock, while packets are processed
//	exchange          the shards' observations of one another's hosts, at the end of the round
//	  drainJournals   merges the journals in packet order
//	    handle        an observation of a mail server goes to its detectors;
//	                  a session, a finding or a citation goes to the Output

// entry is one line of a journal: one of session, finding, citation and server is set. Its records
// are copies of what they need of a flow.
type entry struct {
	order       uint64 // number of the packet that caused it
	fromPacket  bool   // false: the tick before that packet caused it
	seqInPacket uint32 // its number among the entries of this packet
	time        int64  // of the packet or the tick, ns

	session  *sources.SessionEvent
	finding  *sources.FindingEvent
	citation *citation
	server   *servers.Observation
}

// journal holds what a shard has to emit in a round, in packet order.
type journal struct {
	entries     []entry // handled at the end of the round
	order       uint64  // number of the current packet
	inTick      bool    // the tick before that packet is processed
	seqInPacket uint32  // entries of this packet
}

// begin says which packet, or which tick before it, causes the next entries.
func (s *journal) begin(order uint64, inTick bool) {
	s.order, s.seqInPacket, s.inTick = order, 0, inTick
}

// addEntry appends an entry to the shard's journal and stamps it with its place in packet order.
func (s *journal) addEntry(r entry) {
	r.order, r.fromPacket, r.seqInPacket = s.order, !s.inTick, s.seqInPacket
	s.seqInPacket++
	s.entries = append(s.entries, r)
}

// exchange emits the events of a round, and hands each shard's observations to the shards that they
// concern. The caller holds tickMu.
func (e *Engine) exchange() {
	e.sources.DrainSides()
	e.exchangeNotes()
}

// exchangeNotes is exchange without DrainSides: at the end of the input the sides are final.
func (e *Engine) exchangeNotes() {
	var changes []sources.AddressChange
	e.guarded(func() {
		changes = append(e.machines.TrackAddresses(), e.machines.TrackRotations()...)
		for _, due := range e.machines.ReleaseExpired(e.clock.Now()) {
			e.outputFinding(due)
		}
	})
	e.drainJournals()
	e.guarded(func() { e.sources.Learn(e.machines.TrackLinks()) })
	defer e.recoverPanic()
	e.sources.DeliverInbound()
	e.sources.LearnNAT64()
	e.machines.MergeAddresses(changes)
	e.machines.JoinAddresses(e.clock.Now(), e.sources.Ended())
}

// drainJournals empties the journals of all shards and handles their entries in packet order. The
// caller holds tickMu.
func (e *Engine) drainJournals() {
	all := e.entries[:0]
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		// The entries are moved out, because an Output may take long and shards are not to wait.
		all = append(all, s.journal.entries...)
		clear(s.journal.entries)
		s.journal.entries = s.journal.entries[:0]
		s.t.Unlock()
	}
	if len(all) == 0 {
		return
	}
	for _, p := range e.inOrder(all) {
		e.handle(&all[p.At])
	}
	clear(all)
	e.entries = all[:0]
}

// inOrder returns the places of entries in packet order, valid until the next call. Packets have
// different numbers.
func (e *Engine) inOrder(all []entry) []inorder.Place {
	e.merger.Reset()
	for i := range all {
		e.merger.Add(all[i].order)
	}
	return e.merger.Merged(func(x, y uint32) int { return all[x].compare(&all[y]) })
}

// compare orders two entries with the number of one packet.
func (r *entry) compare(o *entry) int {
	switch {
	// A tick comes before the packet with its number.
	case r.fromPacket != o.fromPacket:
		if o.fromPacket {
			return -1
		}
		return 1
	// Entries of one packet have the order in which they were added.
	case r.fromPacket:
		return cmp.Compare(r.seqInPacket, o.seqInPacket)
	}
	// Entries of a tick are from several shards, and no packet orders them.
	return cmp.Or(cmp.Compare(r.time, o.time), r.client().Compare(o.client()),
		cmp.Compare(r.seqInPacket, o.seqInPacket))
}

// client is an entry's client: it orders entries of one tick that have the same time.
func (r *entry) client() netip.AddrPort {
	switch {
	case r.session != nil:
		return r.session.Session.Client
	case r.finding != nil:
		return netip.AddrPortFrom(r.finding.Finding.Source.Addr, 0)
	case r.server != nil:
		return netip.AddrPortFrom(r.server.Addr(), 0)
	}
	return netip.AddrPort{}
}

// handle handles one entry. A panic costs this entry alone and is counted.
func (e *Engine) handle(r *entry) {
	defer e.recoverPanic()
	e.progress.Add(1)
	switch {
	case r.server != nil:
		now := min(r.time, e.clock.Now()) // a frame can have any time
		e.servers.RollHours(now)
		e.servers.Dispatch(r.server, now)
	case r.citation != nil:
		e.learn(r.citation, r.time)
	case r.session != nil:
		e.outputSession(r.session)
	default:
		e.outputHostFinding(r.finding)
	}
}

// outputSession emits a session and adds its event to the evidence of the findings that rest on it.
func (e *Engine) outputSession(x *sources.SessionEvent) {
	if x.OnlyIfEvidence && !e.servers.IsEvidence(x.Session) {
		return
	}
	n := e.out.Session(x.Session)
	e.servers.AddEvidence(x.Session, n)
	x.AddEvidence(n)
}

// outputHostFinding emits a finding about a source, unless it is held back or merged with a finding
// of the same machine under another address.
func (e *Engine) outputHostFinding(x *sources.FindingEvent) {
	if e.out.Finding == nil {
		return
	}
	for _, due := range e.machines.Admit(x) {
		e.outputFinding(due)
	}
}

// outputFinding calls the Output with a finding, and before that with the state that it leaves
// behind; see Output.Keep.
func (e *Engine) outputFinding(x *sources.FindingEvent) {
	if x.Kept != nil {
		e.out.Keep(&Saved{Seed: e.cfg.Seed, Sources: []sources.SavedSource{*x.Kept}})
	}
	e.out.Finding(x.Finding)
}

// outputServerFinding emits a finding about a mail server; saved copies the server.
func (e *Engine) outputServerFinding(d *finding.Finding, saved func() servers.Saved) {
	if e.out.Finding == nil {
		return
	}
	if e.out.Keep != nil {
		e.out.Keep(&Saved{Seed: e.cfg.Seed, Servers: []servers.Saved{saved()}})
	}
	e.out.Finding(d)
}
