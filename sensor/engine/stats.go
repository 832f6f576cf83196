package engine

import (
	"math/bits"
	"slices"

	"spamsensor/sensor/wire"
	"spamsensor/smtpsniff"
)

// Stats are the engine's counters. All are cumulative but those named Active, which are current.
type Stats struct {
	Frames  uint64
	Refused uint64 // frames that could not be decoded
	// Hidden counts frames in tunnels that the decoder does not open, or behind an unknown
	// ethertype.
	Hidden uint64
	SYN    uint64 // first SYNs to any port
	// Outcomes counts frames by the outcome of decoding, TCP and SMTP hold the other counters of
	// the stats event. The names are part of the schema.
	Outcomes []Count
	TCP      []Count
	SMTP     []Count

	Attempts, Sessions                      uint64 // attempts to connect, and completed handshakes
	FlowsActive, FlowsTotal, FlowsEvicted   uint64 // entries in use, all so far, and evicted ones
	AttemptsEvicted                         uint64
	SourcesActive, SourcesEvicted           uint64
	HostsActive, HostsEvicted               uint64 // sources with a profile
	SMTPSessionsActive, SMTPSessionsEvicted uint64
	SMTPSessionsCut                         uint64 // dialogues that lost a part to the memory limit
	// Sessions by the sides that were seen, and gaps in their bytes.
	SeenBoth, SeenClient, SeenServer, Gaps uint64
	Midstream                              uint64
	Duplicates                             uint64
	OddTimes                               uint64
	// ChecksumsJudged counts first SYNs whose checksum could be verified, ChecksumsIgnored counts
	// first SYNs with a wrong checksum that was ignored; see checksums.
	ChecksumsJudged, ChecksumsIgnored uint64
	// StreamBytes are the bytes of dialogues that the listener got, MissingBytes the bytes in the
	// gaps: sent and not captured.
	StreamBytes, MissingBytes uint64
	Panics                    uint64 // see Fault
	PanicAt                   string // the latest: message and place in the code
	Memory, MemoryCap         uint64 // of the tables, bytes
	Withheld                  uint64 // suspect findings that were not emitted; see budget
	HomeSeen                  bool   // an internal address was seen
	First, Last               int64  // lowest and highest time of the frames, ns since 1970
}

// Count is a counter with a name.
type Count struct {
	Name    string
	N       uint64
	Refused bool // it counts frames that could not be decoded
}

// Stats sums the counters up. It may be called while workers run; the numbers are then not a
// snapshot.
func (e *Engine) Stats() Stats {
	var t Stats
	outcomes, fragments := e.addWorkers(&t)
	for o := wire.Outcome(0); o < wire.Outcomes; o++ {
		n := outcomes[o]
		t.Frames += n
		if o.Refused() {
			t.Refused += n
		}
		if o == wire.OtherTunnel || o == wire.OtherEther {
			t.Hidden += n
		}
		if n > 0 {
			t.Outcomes = append(t.Outcomes, Count{o.String(), n, o.Refused()})
		}
	}
	c := e.addShards(&t)
	t.SYN = outcomes[wire.OtherSYN] + c.syns
	t.TCP = []Count{
		{Name: "attempts", N: c.attempts},
		{Name: "sessions", N: c.sessions},
		{Name: "duplicate_frames", N: c.duplicates},
		{Name: "retransmits", N: c.retransmits},
		{Name: "out_of_window", N: c.foreign},
		{Name: "doubtful", N: c.doubted},
		{Name: "conflicts", N: c.conflicts},
		{Name: "strays", N: c.strays},
		{Name: "syn_unseen", N: c.synAcks},
		{Name: "midstream", N: c.midstream},
		{Name: "reassembly_overflows", N: c.overflows},
		{Name: "attempts_evicted", N: t.AttemptsEvicted},
		{Name: "sources_evicted", N: c.sourcesEvicted},
		{Name: "hosts_evicted", N: c.hostsEvicted},
		{Name: "dns_hosts_forgotten", N: c.lookupsForgotten},
		{Name: "notes_dropped", N: c.notesDropped},
		{Name: "machines_forgotten", N: e.machines.forgotten.Load() + e.addresses.forgotten.Load()},
		{Name: "servers_full", N: e.servers.full.Load()},
		{Name: "findings_withheld", N: c.withheld},
	}
	// These counters are listed only if they count anything: most captures have neither fragments
	// nor bad checksums.
	fragments = append(fragments, Count{Name: "bad_checksums_ignored", N: t.ChecksumsIgnored})
	t.TCP = append(t.TCP, slices.DeleteFunc(fragments, func(n Count) bool { return n.N == 0 })...)
	t.SMTP = []Count{
		{Name: "gaps", N: c.gaps},
		{Name: "sessions_evicted", N: c.sessionsEvicted},
		{Name: "bytes", N: c.streamed},
		{Name: "bytes_missing", N: c.missing},
	}
	for j, name := range smtpsniff.FlagNames {
		if c.weird[j] > 0 {
			t.SMTP = append(t.SMTP, Count{Name: name, N: c.weird[j]})
		}
	}
	t.SMTPSessionsCut = c.weird[bits.TrailingZeros(uint(smtpsniff.CutShort))]
	e.clock.mu.Lock()
	t.OddTimes = e.clock.implausible
	e.clock.mu.Unlock()
	e.faults.mu.Lock()
	t.Panics, t.PanicAt = e.faults.n, e.faults.latest
	e.faults.mu.Unlock()
	// Flows that a panic destroyed.
	if c.discarded > 0 {
		t.TCP = append(t.TCP, Count{Name: "discarded", N: c.discarded})
	}
	t.HomeSeen = e.homeSeen.Load()
	return t
}

// addWorkers adds the workers' counters to t. It returns the frames by outcome and the counters of
// fragmented datagrams.
func (e *Engine) addWorkers(t *Stats) (outcomes [wire.Outcomes]uint64, fragments []Count) {
	var waiting, expired, evicted uint64
	for _, w := range e.workers {
		for o := range w.outcome {
			outcomes[o] += w.outcome[o].Load()
		}
		if first := w.first.Load(); first != 0 && (t.First == 0 || first < t.First) {
			t.First = first
		}
		t.Last = max(t.Last, w.last.Load())
		t.ChecksumsJudged += w.ordered.judged.Load()
		t.ChecksumsIgnored += w.ordered.ignored.Load()
		waiting += w.ordered.waiting.Load()
		expired += w.ordered.expired.Load()
		evicted += w.ordered.evicted.Load()
	}
	return outcomes, []Count{
		{Name: "frag_waiting", N: waiting},
		{Name: "frag_expired", N: expired},
		{Name: "frag_evicted", N: evicted},
	}
}

// shardCounters are the counters of all shards.
type shardCounters struct {
	counters
	weird                                     [32]uint64 // by smtpsniff.Flags
	overflows, lookupsForgotten, notesDropped uint64
}

// addShards adds the shards' counters to t, and returns all of them. It takes the lock of one shard
// at a time.
func (e *Engine) addShards(t *Stats) (c shardCounters) {
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		c.add(&s.count)
		for j, n := range s.sniff.Weird {
			c.weird[j] += n
		}
		c.overflows += s.stream.Overflows
		c.lookupsForgotten += s.dnsLookups.forgotten
		c.notesDropped += s.notesDropped
		t.FlowsActive += uint64(s.t.Flows.Len())
		t.FlowsEvicted += s.t.Flows.Evicted
		t.AttemptsEvicted += s.t.Attempts.Evicted
		t.SourcesActive += uint64(s.t.Sources.Len() + s.t.SYNs.Len())
		t.HostsActive += uint64(s.hosts.len())
		t.SMTPSessionsActive += uint64(s.sessions.len())
		used, limit := s.t.Memory()
		t.Memory += used
		t.MemoryCap += limit
		s.t.Unlock()
	}
	t.Attempts, t.Sessions, t.FlowsTotal = c.attempts, c.sessions, c.flows
	t.SourcesEvicted, t.HostsEvicted = c.sourcesEvicted, c.hostsEvicted
	t.SMTPSessionsEvicted = c.sessionsEvicted
	t.SeenBoth, t.SeenClient, t.SeenServer = c.seenBoth, c.seenClient, c.seenServer
	t.Gaps, t.Midstream = c.gaps, c.midstream
	t.Duplicates = c.duplicates
	t.Withheld = c.withheld
	t.StreamBytes, t.MissingBytes = c.streamed, c.missing
	return c
}

// counters are the counters of one shard, which Stats adds up.
type counters struct {
	duplicates, retransmits, foreign, strays, synAcks uint64
	attempts, sessions, flows, syns                   uint64
	sourcesEvicted, hostsEvicted, sessionsEvicted     uint64
	gaps, midstream, conflicts, doubted               uint64
	withheld                                          uint64
	// bytes that the listener got, bytes in gaps, and flows that a panic destroyed
	streamed, missing, discarded     uint64
	seenBoth, seenClient, seenServer uint64 // sessions by the sides that were seen
}

// add adds the counters of another shard.
func (c *counters) add(o *counters) {
	c.duplicates += o.duplicates
	c.retransmits += o.retransmits
	c.foreign += o.foreign
	c.strays += o.strays
	c.synAcks += o.synAcks
	c.attempts += o.attempts
	c.sessions += o.sessions
	c.flows += o.flows
	c.syns += o.syns
	c.sourcesEvicted += o.sourcesEvicted
	c.hostsEvicted += o.hostsEvicted
	c.sessionsEvicted += o.sessionsEvicted
	c.gaps += o.gaps
	c.streamed += o.streamed
	c.missing += o.missing
	c.discarded += o.discarded
	c.midstream += o.midstream
	c.conflicts += o.conflicts
	c.withheld += o.withheld
	c.doubted += o.doubted
	c.seenBoth += o.seenBoth
	c.seenClient += o.seenClient
	c.seenServer += o.seenServer
}
