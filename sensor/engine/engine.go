// Package engine puts the parts together: the life of a packet, the tick, the findings.
//
//	Worker.Take      a row of frames:
//	  decodeBatch.decode     wire.Decode: a packet, or an outcome that is counted
//	                   (not ours: done)
//	                   copied to the queue of its client's shard
//	  shard.work       for each shard, under its lock, packet after packet:
//	    packet         the flow: what changed, which bytes are new (flowtable, tcp)
//	                   what was said (smtpsniff)
//	                   what that means for the source (detect)
//	                   a verdict that is new or worse: a finding
//	    tick           once a second of packet time: what expired, what is due
//	                 then, in the order of the packets: sessions and findings are given out
//
// A worker belongs to the goroutine that captures; live there is one for each interface, and
// it flushes what has arrived. A file is read with long queues: all that a shard's packets
// need then stays in the processor's cache while they are worked on, and a wait for memory
// costs as much as the rest of the work on a packet. Shards have nothing in common, so
// helpers can work on them side by side, and what they give out is put back into the order
// of the packets: any number of helpers gives the same.
//
// Time is the time of the packets that are ours: of all workers, the highest that is
// believed. See clock.go. A tick is an entry in the queues like a packet, so that it comes at the same place
// whatever the queues' lengths.
package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/wire"
)

// Config says what an engine watches.
type Config struct {
	// Ports are the mail ports. Zero means 25, 465, 587 and 2525.
	Ports []uint16
	// Home are the networks whose hosts are judged. Zero means the private ones: 10/8,
	// 172.16/12, 192.168/16, 100.64/10 and fc00::/7.
	Home []netip.Prefix
	// MailServers are hosts that may send mail to anybody; they are not judged as bots.
	MailServers []netip.Addr
	// Roles are hosts that are known for something else; see Role.
	Roles []Role
	// AllowedRelays are destinations that hosts may use for port 25.
	AllowedRelays []netip.Prefix
	// Ignore are hosts whose findings nobody wants to hear of, for a time.
	Ignore []Ignore
	// LocalDomains are the domains that our mail servers take mail for, in lower case. Nil means that
	// they are learned.
	LocalDomains []string
	// SeparateVLANs and SeparateTunnels make VLAN and tunnel ids part of a flow's and a
	// source's identity, for sites whose networks overlap. Otherwise they are not, because a mirror shows one
	// connection before and after routing, and its two directions under different tags.
	SeparateVLANs, SeparateTunnels bool
	// Limits bound the memory.
	Limits Limits
	// Detect holds the detectors' thresholds. Zero means detect.DefaultConfig.
	Detect detect.Config
	// ShowSenders has the local parts of senders be shown where servers quote them; those of
	// recipients, names of accounts and what else clients say never are.
	ShowSenders bool
	// AllSessions gives out every session; otherwise only those that belong to a finding.
	AllSessions bool
	// SessionsPerFinding bounds the latter. Zero means 50.
	SessionsPerFinding int
	// SourceInterval is how often sources that changed are given out, in nanoseconds of packet time. Zero
	// means only at the end.
	SourceInterval int64
	// StatsInterval is how often Output.Stats is called, likewise. Zero means 60 s.
	StatsInterval int64
	// Live says that there will be no end at which a file without home addresses can be
	// judged as a whole.
	Live bool
	// Helpers is how many goroutines share a large batch. Zero or one means none but the
	// worker.
	Helpers int
	// Seed makes hashes unpredictable; nobody who sends traffic may know it. Nil means drawn
	// at random. With the same seed the same file gives the same events.
	Seed []byte
	// Probe is called under a shard's lock before each 64 packets that are worked on. It is for
	// tests of what looks after the engine; nil means that nothing is called.
	Probe func()
}

// Output receives what the engine finds. The functions are called one at a time, in the
// order of the packets; nil ones are not called. Records must not be kept, but for those
// of Session.
type Output struct {
	// Session returns the number of the event that was made of it.
	Session func(*detect.Session) uint64
	Finding func(*detect.Finding)
	// Keep is called before Finding with what the finding leaves behind: its host or server alone,
	// as of that moment. A sensor that ends before the next Save can go on from it, see
	// Saved.Replay. The record may be kept.
	Keep   func(*Saved)
	Source func(*detect.SourceRecord)
	Server func(*mailserver.Record)
	Site   func(*detect.Site)
	Stats  func(now int64)
}

// Engine is the whole of detection. Its workers may run concurrently.
type Engine struct {
	cfg      Config
	out      Output
	home     prefixSet
	relays   prefixSet
	declared declarations
	table    *flowtable.Table[flow, source, synDetails]
	shards   []shard
	clock    clock
	sides    sides
	pairs    pairs
	faults   faults

	tickMu           sync.Mutex     // held by whoever ticks, and for what the Output gets
	progress         *atomic.Uint64 // progress of who holds tickMu, never nil
	finishing        atomic.Uint64  // progress of Finish
	nextStats        int64
	nextSrcs         int64
	ended            bool // nobody will be answered any more
	homeSeen         atomic.Bool
	entries          []entry      // scratch of flush
	positions        []position   // the same
	newAddresses     []newAddress // scratch of trackAddresses
	site             site
	machines         machines
	workers          []*Worker
	pool             *helperPool
	servers          servers
	activityReported map[flowtable.HostKey]Counts // by Activity
}

// DefaultPorts are the ports on which mail is sent: RFC 5321 (25), RFC 8314 (465), RFC 6409
// (587), and 2525, which is what providers offer where 25 is blocked.
var DefaultPorts = []uint16{25, 465, 587, 2525}

// DefaultHome are the private networks: RFC 1918, RFC 6598, RFC 4193.
var DefaultHome = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7")}

// New makes an engine.
func New(cfg Config, out Output) *Engine {
	if cfg.Ports == nil {
		cfg.Ports = DefaultPorts
	}
	if cfg.Home == nil {
		cfg.Home = DefaultHome
	}
	if cfg.Detect == (detect.Config{}) {
		cfg.Detect = detect.DefaultConfig()
	}
	cfg.SessionsPerFinding = cmp.Or(cfg.SessionsPerFinding, 50)
	cfg.StatsInterval = cmp.Or(cfg.StatsInterval, 60*second)
	cfg.Limits.fill()
	e := &Engine{cfg: cfg, out: out}
	e.progress = &e.finishing
	e.home.set(cfg.Home)
	e.relays.set(cfg.AllowedRelays)
	e.declared.set(&cfg)
	e.initServers()
	secret := flowtable.NewSecret()
	if cfg.Seed != nil {
		secret = flowtable.SecretFrom(cfg.Seed)
	}
	e.table = flowtable.New(flowtable.Config{Attempts: cfg.Limits.Attempts, SYNs: cfg.Limits.Attempts / 2, Flows: cfg.Limits.Flows, Sources: cfg.Limits.Sources, Secret: secret},
		flowtable.Callbacks[flow, source, synDetails]{
			FlowKeepPriority:   func(f *flow) int64 { return f.keepPriority() },
			SourceKeepPriority: func(s *source) int64 { return s.keepPriority() },
			FlowEvicted:        func(i int, r flowtable.Ref, k *flowtable.Key, f *flow) { e.shards[i].closeFlow(r, k, f, "evicted") },
			SourceEvicted:      func(i int, r flowtable.Ref, h *flowtable.HostKey, s *source) { e.shards[i].sourceEvicted(h, s) },
			AttemptExpired:     func(i int, a *flowtable.Attempt) { e.shards[i].attemptExpired(a) },
			SYNEvicted:         func(i int, n *flowtable.SYNEntry[synDetails]) { e.shards[i].synEvicted(n) },
		})
	e.shards = make([]shard, e.table.Shards())
	for i := range e.shards {
		e.shards[i].init(e, i)
	}
	if cfg.Helpers > 1 {
		e.pool = newHelperPool(cfg.Helpers - 1)
	}
	return e
}

// KnownLink is for capture.FilesConfig: it names a link type that cannot be decoded.
func KnownLink(link frame.LinkType) error {
	if !wire.Known(link) {
		return fmt.Errorf("frames of link type %d, %s, cannot be decoded", link, link)
	}
	return nil
}

// Finishing counts the progress of Finish; see Worker.Progress.
func (e *Engine) Finishing() *atomic.Uint64 { return &e.finishing }

// Start sets the clock, in nanoseconds since 1970, before the first frame. Live it is to be called
// with the time of the wall: what was restored ages, and is told at a time, also if no frame comes.
func (e *Engine) Start(now int64) { e.clock.start(now) }

// Between calls f while nothing is given out, so that f may use what the Output's functions use.
func (e *Engine) Between(f func()) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.guarded(f)
}

// Finish ends all that is open and gives it out. reason is shutdown or end_of_input.
func (e *Engine) Finish(reason string) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.progress = &e.finishing
	e.finish(reason)
	if e.pool != nil {
		e.pool.stop()
		e.pool = nil
	}
}
