package sources

import (
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// Set is the sources of all shards. The caller of its methods holds tickMu.
type Set struct {
	cfg      Config
	shards   []*Observer
	homeSeen atomic.Bool // an address of the configured home networks was seen
	ended    bool        // no further reply can come
	pairs    linkSenders
}

// Config is what a Set needs. It is set once.
type Config struct {
	// Peers says what an address is to the site.
	Peers *peer.Directory
	// Table holds the sources. Its secret keys the hashes.
	Table *track.Table[Source]
	// Sides says whether the capture shows one side of the connections alone.
	Sides *track.Sides
	// Detect holds the thresholds of the detectors.
	Detect detect.Config
	// Live says that the input has no end at which external sources are judged.
	Live bool
	// AllSessions emits every session, and not only those that belong to a finding.
	AllSessions bool
	// Times counts the attempts of hosts by minute and hour, for pictures.
	Times bool
	// SessionsPerFinding bounds the sessions that are emitted for a finding.
	SessionsPerFinding int
	// Now returns the time of the packets, in ns since 1970.
	Now func() int64
	// Watches reports whether an address is a watched mail server.
	Watches func(flowtable.Addr) bool
	// MaybeEvidence reports whether a session can be evidence of a finding about a mail server.
	MaybeEvidence func(f *track.Flow, session *smtpsniff.Session) bool
	// Sessions reports whether sessions are emitted, Keeps whether findings are emitted with the
	// source that they leave behind.
	Sessions, Keeps func() bool
	// Guarded calls a function, and records a panic of it.
	Guarded func(func()) bool
}

// Init sets up the set, without observers.
func (all *Set) Init(cfg *Config) { all.cfg = *cfg }

// Add adds the observer of the next shard.
func (all *Set) Add(s *Observer, cfg ObserverConfig) {
	s.ObserverConfig = cfg
	s.all, s.notes.all, s.event = all, all, cfg.Tracker.Event()
	s.setBudget.Words = cfg.SetWords
	all.shards = append(all.shards, s)
}

// IsHomeSeen reports whether an address of the configured home networks was seen.
func (all *Set) IsHomeSeen() bool { return all.homeSeen.Load() }

// SendersDiffer reports whether the two ends of connections are known to have different link-layer
// senders. Any goroutine may call it.
func (all *Set) SendersDiffer() bool { return all.pairs.sendersDiffer() }

// EndInput says that no further packet comes. In a file the sides and the link-layer senders of
// connections are certain then.
func (all *Set) EndInput() {
	all.ended = true
	if !all.cfg.Live {
		all.cfg.Sides.Finish()
		all.pairs.finish()
	}
}

// Ended reports whether no further packet comes.
func (all *Set) Ended() bool { return all.ended }

// Counts calls f for each internal source with an attempt.
func (all *Set) Counts(f func(k *flowtable.HostKey, c *detect.Counters)) {
	for _, s := range all.shards {
		s.Table.Lock()
		s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
			if src.flags&(home|declared|serving) != 0 && src.Counters.Attempts > 0 {
				f(k, &src.Counters)
			}
		})
		s.Table.Unlock()
	}
}

// locked calls f with the shard's lock, which is released after a panic, too.
func (s *Observer) locked(f func()) {
	s.Table.Lock()
	defer s.Table.Unlock()
	f()
}
