package engine

import (
	"cmp"
	"math"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
)

// Reconfigure has a running engine go on with other settings. These are applied: Home, HomeStated,
// MailServers, Roles, AllowedRelays, Ignore, LocalDomains, Detect, ShowSenders, AllSessions,
// SessionsPerFinding and SourceInterval; the others stay as they are. It waits for the rounds in
// hand, and further ones wait for it, so that no round sees two configurations; frames wait in the
// kernel's buffer meanwhile. Then each host is judged as what it is now: findings about a host that
// is declared now, or no host of ours any more, are closed.
//
// Workers must use Take, EmitDue and Idle, not Add and Flush. Any goroutine may call it.
func (e *Engine) Reconfigure(cfg *Config) {
	e.rounds.Lock()
	defer e.rounds.Unlock()
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.guarded(func() { e.replaceSettings(cfg) })
	now := e.clock.Now()
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.journal.begin(math.MaxUint64, true)
		e.guarded(func() { s.sources.Reconsider(now) })
		s.t.Unlock()
	}
	e.drainJournals()
}

// replaceSettings replaces the settings. The caller holds rounds and tickMu; all shards are locked
// meanwhile, for those who ask for their counters.
func (e *Engine) replaceSettings(cfg *Config) {
	for i := range e.shards {
		e.shards[i].t.Lock()
		defer e.shards[i].t.Unlock()
	}
	c := &e.cfg
	c.Home, c.HomeStated, c.MailServers, c.Roles = cfg.Home, cfg.HomeStated, cfg.MailServers,
		cfg.Roles
	c.AllowedRelays, c.Ignore, c.LocalDomains = cfg.AllowedRelays, cfg.Ignore, cfg.LocalDomains
	c.ShowSenders, c.AllSessions = cfg.ShowSenders, cfg.AllSessions
	c.SessionsPerFinding = cmp.Or(cfg.SessionsPerFinding, 50)
	if c.Detect = cfg.Detect; c.Detect == (detect.Config{}) {
		c.Detect = detect.DefaultConfig()
	}
	if cfg.SourceInterval != c.SourceInterval {
		c.SourceInterval = cfg.SourceInterval
		e.nextSrcs = e.clock.Now() + c.SourceInterval
	}
	e.peers.Replace(e.peerConfig())
	e.machines.ForgetLinks()
	e.servers.Replace(c.LocalDomains, len(e.peers.Servers()) > 0)
	e.sources.Replace(c.Detect, c.AllSessions, c.SessionsPerFinding)
	for i := range e.shards {
		e.shards[i].tracker.Listener.ShowSenders = c.ShowSenders
	}
}

// peerConfig returns what the configuration says about addresses. It sets the home networks in
// force.
func (e *Engine) peerConfig() *peer.Config {
	c := &e.cfg
	p := &peer.Config{NAT64: c.NAT64, AllowedRelays: c.AllowedRelays, MailServers: c.MailServers,
		Roles: c.Roles, Ignore: c.Ignore}
	if c.HomeStated {
		p.Stated = c.Home
	}
	c.Home = HomeNetworks(c.Home)
	p.Home = c.Home
	return p
}
