package servers

import (
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sketch"
)

// Set is the watched mail servers. The caller of its methods holds tickMu, but for Watches.
type Set struct {
	// known is replaced as a whole when a server is added, so that shards read it without a lock.
	known        atomic.Pointer[map[flowtable.Addr]*server]
	cfg          Config
	peers        *peer.Directory    // of cfg
	secret       *flowtable.Secret  // of cfg
	localDomains mailserver.Domains // the configured ones, nil if domains are learned
	Full         atomic.Uint64      // servers, senders and recipients that were dropped at a limit
	nextHour     int64              // the next full hour, at which server events are emitted
	lastTick     int64              // the second of the latest tick
	quietSpent   int64              // quiet hours that were emitted one by one; see RollHours
	budget       sketch.Budget      // for the queues of all servers
}

// Config is what a Set needs. It is set once.
type Config struct {
	// Peers says what an address is to the site.
	Peers *peer.Directory
	// Secret keys the hashes of addresses, names and texts.
	Secret *flowtable.Secret
	// LocalDomains are the domains for which the servers accept mail, in lower case. Nil means that
	// they are learned.
	LocalDomains []string
	// MailServers says that the configuration declares mail servers.
	MailServers bool
	// Live says that the input has no end at which findings are closed.
	Live bool
	// MaxServers bounds the servers that are not declared, QueueBytes the memory of all queues.
	MaxServers, QueueBytes int
	// Finding emits an event of a finding. saved copies the server that the finding leaves behind.
	Finding func(d *finding.Finding, saved func() Saved)
	// Handed is called for a mail that a host of ours handed to a server of ours without login, if
	// the host is no declared server; Taken for n messages that a server of ours took from a
	// client, which is ours or not.
	Handed func(client flowtable.HostKey, m *handover.Mail, server flowtable.HostKey)
	Taken  func(server, client flowtable.HostKey, n uint32, own bool)
	// Server emits the hourly event of a server.
	Server func(*mailserver.Record)
}

// Init begins to watch the declared servers.
func (all *Set) Init(cfg Config) {
	all.cfg, all.peers, all.secret = cfg, cfg.Peers, cfg.Secret
	all.budget.Words = cfg.QueueBytes / 4
	known := map[flowtable.Addr]*server{}
	all.declare(known)
	all.known.Store(&known)
	all.setLocalDomains()
}

// any reports whether a server is watched. Any goroutine may call it.
func (all *Set) any() bool { return len(*all.known.Load()) > 0 }

// Watches reports whether an address is a watched server. Any goroutine may call it.
func (all *Set) Watches(a flowtable.Addr) bool { return all.get(a) != nil }

// Active reports whether a server was seen. The caller holds tickMu.
func (all *Set) Active(a flowtable.Addr) bool {
	s := all.get(a)
	return s != nil && s.First != 0
}

// Counts calls f for each server that was seen. The caller holds tickMu.
func (all *Set) Counts(f func(k flowtable.HostKey, c *mailserver.Counts)) {
	for a, s := range *all.known.Load() {
		if s.First != 0 {
			f(flowtable.HostKey{Addr: a, Scope: flowtable.NewScope(s.addr.Is6(), 0)}, &s.Count)
		}
	}
}

// server returns a watched server, nil if the address is not one.
func (all *Set) get(a flowtable.Addr) *server {
	known := *all.known.Load()
	if len(known) == 0 {
		return nil
	}
	return known[a]
}

// watch begins to watch an undeclared server. It returns nil at the limit. The map is copied,
// because shards read the old one meanwhile; this is rare.
func (all *Set) watch(a flowtable.Addr, v6 bool) *server {
	known := *all.known.Load()
	if len(known) >= all.cfg.MaxServers {
		all.Full.Add(1)
		return nil
	}
	more := make(map[flowtable.Addr]*server, len(known)+1)
	for k, s := range known {
		more[k] = s
	}
	more[a] = &server{addr: peer.NetIP(a, v6)}
	more[a].Repair(&all.budget)
	all.known.Store(&more)
	return more[a]
}

// sorted returns the servers in the order of their addresses, so that events do not depend on
// the order of a map.
func (all *Set) sorted() (list []*server) {
	for _, s := range *all.known.Load() {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *server) int { return a.addr.Compare(b.addr) })
	return list
}
