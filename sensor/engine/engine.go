package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/inorder"
	"spamsensor/sensor/machines"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/servers"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// Config says what an engine watches.
type Config struct {
	// Ports are the mail ports. Nil means 25, 465, 587 and 2525.
	Ports []uint16
	// Home are the networks whose hosts are judged. Where it names none of an address family, the
	// private ones of that family are: 10/8, 172.16/12, 192.168/16, 100.64/10; fc00::/7.
	Home []netip.Prefix
	// HomeStated says that an administrator chose Home. Then no network of an address family that
	// it names is learned from the link; see peer.Directory.MayLearn.
	HomeStated bool
	// MailServers are hosts that may send mail to anybody; they are not judged as bots.
	MailServers []netip.Addr
	// Roles are hosts with another declared function; see Role.
	Roles []peer.Role
	// AllowedRelays are destinations that hosts may use for port 25.
	AllowedRelays []netip.Prefix
	// NAT64 are prefixes under which IPv6 hosts reach IPv4 servers (RFC 6052), of 32, 40, 48, 56,
	// 64 or 96 bits. 64:ff9b::/96 and 64:ff9b:1::/48 need not be named, and others are learned
	// from answers of the DNS for ipv4only.arpa (RFC 7050).
	NAT64 []netip.Prefix
	// Ignore are hosts whose findings are for information only, for a time.
	Ignore []peer.Ignore
	// LocalDomains are the domains for which our mail servers accept mail, in lower case. Nil means
	// that they are learned.
	LocalDomains []string
	// SeparateVLANs and SeparateTunnels make VLAN and tunnel ids part of a flow's and a source's
	// identity, for sites whose networks overlap. By default they are not, because a mirror shows
	// one connection before and after routing, and its two directions under different tags.
	SeparateVLANs, SeparateTunnels bool
	// Limits bound the memory.
	Limits Limits
	// Detect holds the detectors' thresholds. Zero means detect.DefaultConfig.
	Detect detect.Config
	// ShowSenders shows the local parts of senders where servers quote them. Local parts of
	// recipients, account names and other texts of clients are never shown.
	ShowSenders bool
	// AllSessions emits every session; the default emits only sessions that belong to a finding.
	AllSessions bool
	// Times counts attempts by minute and hour; see Engine.Times. Without it nothing is counted.
	Times bool
	// SessionsPerFinding bounds the sessions that are emitted for a finding. Zero means 50.
	SessionsPerFinding int
	// SourceInterval is how often sources that changed are emitted, in nanoseconds of packet time.
	// Zero means only at the end.
	SourceInterval int64
	// StatsInterval is how often Output.Stats is called, in nanoseconds of packet time. Zero means
	// 60 s.
	StatsInterval int64
	// Live says that the input has no end at which a file without internal addresses could be
	// judged as a whole.
	Live bool
	// Helpers is the number of goroutines that share a large round. Zero or one means the worker
	// alone.
	Helpers int
	// Seed makes hashes unpredictable; it must be secret. Nil means a random seed. With the same
	// seed the same file gives the same events.
	Seed []byte
	// Probe is called under a shard's lock before each 64 packets. It is for tests of the
	// supervision of the engine; nil means no call.
	Probe func()
}

// Output receives the engine's events. The functions are called one at a time, in packet order; nil
// functions are not called. Records must not be kept, except by Session.
type Output struct {
	// Session returns the number of the event.
	Session func(*finding.Session) uint64
	Finding func(*finding.Finding)
	// Keep is called before Finding with the state that the finding leaves behind: its host or
	// server alone, as of that moment. After a crash before the next Save the sensor goes on from
	// it, see Saved.Replay. The record may be kept.
	Keep   func(*Saved)
	Source func(*finding.SourceRecord)
	Server func(*mailserver.Record)
	Site   func(*finding.Site)
	Stats  func(now int64)
}

// Engine is the whole of detection. Its workers may run concurrently.
type Engine struct {
	cfg    Config
	out    Output
	peers  *peer.Directory
	table  *track.Table[sources.Source]
	shards []shard
	clock  clock
	sides  track.Sides
	faults faults

	// rounds is locked while the configuration is replaced, and held for reading in each round of a
	// live capture.
	rounds sync.RWMutex
	// tickMu guards the end of a round, the mail servers, and the calls of the Output.
	tickMu           sync.Mutex
	progress         *atomic.Uint64 // progress of the holder of tickMu, never nil
	finishing        atomic.Uint64  // progress of Finish
	nextStats        int64
	nextSrcs         int64
	entries          []entry        // scratch of drainJournals
	merger           inorder.Merger // scratch of inOrder
	site             finding.SiteFacts
	workers          []*Worker
	pool             *helperPool
	servers          servers.Set
	sources          sources.Set
	machines         machines.Tracker
	activityReported map[flowtable.HostKey]Counts // by Activity
}

// DefaultPorts are the ports for sending mail: RFC 5321 (25), RFC 8314 (465), RFC 6409 (587), and
// 2525, which providers offer where 25 is blocked.
var DefaultPorts = []uint16{25, 465, 587, 2525}

// DefaultHome are the private networks: RFC 1918, RFC 6598, RFC 4193.
var DefaultHome = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7")}

// HomeNetworks returns the home networks of a configuration: those of an address family that it
// does not name are the private ones.
func HomeNetworks(named []netip.Prefix) []netip.Prefix {
	list := slices.Clone(named)
	for _, p := range DefaultHome {
		if !slices.ContainsFunc(named, func(n netip.Prefix) bool {
			return n.Addr().Is6() == p.Addr().Is6()
		}) {
			list = append(list, p)
		}
	}
	return list
}

// New makes an engine.
func New(cfg Config, out Output) *Engine {
	if cfg.Ports == nil {
		cfg.Ports = DefaultPorts
	}
	if cfg.Detect == (detect.Config{}) {
		cfg.Detect = detect.DefaultConfig()
	}
	cfg.SessionsPerFinding = cmp.Or(cfg.SessionsPerFinding, 50)
	cfg.StatsInterval = cmp.Or(cfg.StatsInterval, 60*second)
	cfg.Limits.fill()
	e := &Engine{cfg: cfg, out: out}
	e.progress = &e.finishing
	secret := flowtable.NewSecret()
	if cfg.Seed != nil {
		secret = flowtable.SecretFrom(cfg.Seed)
	}
	e.table = flowtable.New(flowtable.Config{Attempts: cfg.Limits.Attempts,
		SYNs: cfg.Limits.Attempts / 2, Flows: cfg.Limits.Flows, Sources: cfg.Limits.Sources,
		Secret: secret},
		flowtable.Callbacks[track.Flow, sources.Source, track.SYNDetails]{
			FlowKeepPriority:   (*track.Flow).KeepPriority,
			SourceKeepPriority: func(s *sources.Source) int64 { return s.KeepPriority() },
			FlowEvicted: func(i int, r flowtable.Ref, k *flowtable.Key, f *track.Flow) {
				e.shards[i].tracker.FlowEvicted(r, k, f)
			},
			SourceEvicted: func(i int, r flowtable.Ref, h *flowtable.HostKey, s *sources.Source) {
				e.shards[i].sources.SourceEvicted(h, s)
			},
			AttemptExpired: func(i int, a *flowtable.Attempt) {
				e.shards[i].tracker.AttemptExpired(a)
			},
			SYNEvicted: func(i int, n *track.SYNEntry) {
				e.shards[i].tracker.SYNEvicted(n)
			},
		})
	e.peers = peer.NewDirectory(e.peerConfig(), &e.table.Secret)
	e.servers.Init(servers.Config{Peers: e.peers, Secret: &e.table.Secret,
		LocalDomains: cfg.LocalDomains, MailServers: len(e.peers.Servers()) > 0, Live: cfg.Live,
		MaxServers: cfg.Limits.Servers, QueueBytes: cfg.Limits.QueueBytes,
		Handed: e.sources.Handed, Taken: e.sources.Taken,
		Finding: e.outputServerFinding, Server: func(r *mailserver.Record) {
			if e.out.Server != nil {
				e.out.Server(r)
			}
		}})
	e.sources.Init(&sources.Config{Peers: e.peers, Table: e.table, Sides: &e.sides,
		Detect: cfg.Detect, Live: cfg.Live, AllSessions: cfg.AllSessions,
		Times:              cfg.Times,
		SessionsPerFinding: cfg.SessionsPerFinding, Now: e.clock.Now,
		Watches: e.servers.Watches, MaybeEvidence: servers.MaybeEvidence,
		Sessions: func() bool { return e.out.Session != nil },
		Keeps:    func() bool { return e.out.Keep != nil }, Guarded: e.guarded})
	e.machines.Init(&e.sources)
	e.shards = make([]shard, e.table.Shards())
	for i := range e.shards {
		e.shards[i].init(e, i)
	}
	if cfg.Helpers > 1 {
		e.pool = newHelperPool(cfg.Helpers - 1)
	}
	return e
}

// KnownLink is for capture.FilesConfig: it returns an error for a link type that cannot be decoded.
func KnownLink(link frame.LinkType) error {
	if !wire.Known(link) {
		return fmt.Errorf("frames of link type %d, %s, cannot be decoded; capture on an interface "+
			"that has Ethernet, Wi-Fi, PPP or IP", link, link)
	}
	return nil
}

// Finishing returns the progress counter of Finish; see Worker.Progress.
func (e *Engine) Finishing() *atomic.Uint64 { return &e.finishing }

// Start sets the clock, in nanoseconds since 1970, before the first frame. A live capture starts
// with the wall clock: restored state ages, and is emitted in time, even if no frame comes.
func (e *Engine) Start(now int64) { e.clock.start(now, false) }

// StartStream is Start for frames of another clock, or of another day: the time of the first one
// replaces now, and is no jump.
func (e *Engine) StartStream(now int64) { e.clock.start(now, true) }

// Between calls f while no event is emitted, so that f may use what the Output's functions use.
func (e *Engine) Between(f func()) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.guarded(f)
}

// Finish closes all flows and findings and emits the last events. reason is shutdown or
// end_of_input.
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
