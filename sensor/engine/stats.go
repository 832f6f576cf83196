package engine

import (
	"math/bits"
	"net/netip"
	"slices"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/track"
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
	HomeSeen                  bool   // an address of the configured home networks was seen
	// Unjudged are hosts in no home network that would have a level, the first of UnjudgedCount.
	Unjudged      []finding.Unjudged
	UnjudgedCount int
	Home          []netip.Prefix // the configured home networks; read only
	// Roles and Relays are the hosts with a declared role, and the servers that our hosts may send
	// to; read only.
	Roles       []peer.Role
	Relays      []netip.Prefix
	First, Last int64 // lowest and highest time of the frames, ns since 1970
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
	t.SYN = outcomes[wire.OtherSYN] + c.tracked.SYNs
	t.TCP = []Count{
		{Name: "attempts", N: c.tracked.Attempts},
		{Name: "sessions", N: c.tracked.Sessions},
		{Name: "duplicate_frames", N: c.tracked.Duplicates},
		{Name: "retransmits", N: c.tracked.Retransmits},
		{Name: "out_of_window", N: c.tracked.OutOfWindow},
		{Name: "doubtful", N: c.tracked.Doubtful},
		{Name: "conflicts", N: c.tracked.Conflicts},
		{Name: "strays", N: c.tracked.Strays},
		{Name: "syn_unseen", N: c.tracked.SYNUnseen},
		{Name: "midstream", N: c.tracked.Midstream},
		{Name: "reassembly_overflows", N: c.overflows},
		{Name: "attempts_evicted", N: t.AttemptsEvicted},
		{Name: "sources_evicted", N: c.SourcesEvicted + c.tracked.SYNsEvicted},
		{Name: "hosts_evicted", N: c.ProfilesEvicted},
		{Name: "dns_hosts_forgotten", N: c.LookupsForgotten},
		{Name: "notes_dropped", N: c.NotesDropped},
		{Name: "machines_forgotten", N: e.machines.Lost()},
		{Name: "servers_full", N: e.servers.Full.Load()},
		{Name: "findings_withheld", N: c.Withheld},
	}
	// These counters are listed only if they count anything: most captures have neither fragments
	// nor bad checksums.
	fragments = append(fragments, Count{Name: "bad_checksums_ignored", N: t.ChecksumsIgnored})
	t.TCP = append(t.TCP, slices.DeleteFunc(fragments, func(n Count) bool { return n.N == 0 })...)
	t.SMTP = []Count{
		{Name: "gaps", N: c.tracked.Gaps},
		{Name: "sessions_evicted", N: c.tracked.SessionsEvicted},
		{Name: "bytes", N: c.tracked.Streamed},
		{Name: "bytes_missing", N: c.tracked.Missing},
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
	if c.tracked.Broken > 0 {
		t.TCP = append(t.TCP, Count{Name: "discarded", N: c.tracked.Broken})
	}
	t.HomeSeen = e.sources.IsHomeSeen()
	t.Unjudged, t.UnjudgedCount = e.sources.Unjudged()
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
	sources.Counters
	tracked   track.Counters
	weird     [32]uint64 // by smtpsniff.Flags
	overflows uint64
}

// declaredRoles are Roles, and those of MailServers, which are a short form.
func (c *Config) declaredRoles() []peer.Role {
	list := slices.Clip(c.Roles)
	for _, a := range c.MailServers {
		list = append(list, peer.Role{Addr: a, Kind: "mailserver"})
	}
	return list
}

// addShards adds the shards' counters to t, and returns all of them. It takes the lock of one shard
// at a time.
func (e *Engine) addShards(t *Stats) (c shardCounters) {
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		t.Home = e.cfg.Home // the lock of any shard guards it, and the next ones
		t.Roles, t.Relays = e.cfg.declaredRoles(), e.cfg.AllowedRelays
		c.Add(s.sources.Counters())
		c.tracked.Add(&s.tracker.Count)
		for j, n := range s.tracker.Listener.Weird {
			c.weird[j] += n
		}
		c.overflows += s.tracker.Overflows()
		t.FlowsActive += uint64(s.t.Flows.Len())
		t.FlowsEvicted += s.t.Flows.Evicted
		t.AttemptsEvicted += s.t.Attempts.Evicted
		t.SourcesActive += uint64(s.t.Sources.Len() + s.t.SYNs.Len())
		t.HostsActive += uint64(s.sources.Profiled())
		t.SMTPSessionsActive += uint64(s.tracker.Sessions())
		used, limit := s.t.Memory()
		t.Memory += used
		t.MemoryCap += limit
		s.t.Unlock()
	}
	t.Attempts, t.Sessions, t.FlowsTotal = c.tracked.Attempts, c.tracked.Sessions, c.tracked.Flows
	t.SourcesEvicted = c.SourcesEvicted + c.tracked.SYNsEvicted
	t.HostsEvicted = c.ProfilesEvicted
	t.SMTPSessionsEvicted = c.tracked.SessionsEvicted
	t.SeenBoth, t.SeenClient, t.SeenServer = c.SeenBoth, c.SeenClient, c.SeenServer
	t.Gaps, t.Midstream = c.tracked.Gaps, c.tracked.Midstream
	t.Duplicates = c.tracked.Duplicates
	t.Withheld = c.Withheld
	t.StreamBytes, t.MissingBytes = c.tracked.Streamed, c.tracked.Missing
	return c
}
