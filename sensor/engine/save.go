package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Saved is what of an engine survives a restart: plain values, in the checkpoint's
// format. Connections and their dialogues do not: they are over, or begin in the middle.
type Saved struct {
	// Seed is Config.Seed: the hashes below mean nothing without it.
	Seed    []byte
	Sources []SavedSource `json:",omitempty"`
	Servers []SavedServer `json:",omitempty"`
}

// SavedSource is a host of ours, or one with a finding.
type SavedSource struct {
	Addr  netip.Addr
	Scope uint32
	MAC   [6]byte
	VLAN  []uint16 `json:",omitempty"`
	Facts detect.Facts
	// Outside says that it tried port 25 past our servers and relays.
	Outside bool `json:",omitempty"`
	// Host is nil if it was not judged.
	Host *SavedHost `json:",omitempty"`
}

// SavedHost is what was published of a source, and why.
type SavedHost struct {
	Memory     detect.Memory
	Findings   []SavedFinding `json:",omitempty"`
	Given      int
	Suppressed uint64
	Opaque     uint32
	OneWay     uint32
}

// SavedFinding is an open finding.
type SavedFinding struct {
	ID      string
	Seq     int
	Class   detect.Class
	Level   detect.Level
	Updated int64
}

// maxSaved bounds Saved.Sources; those that are worth most are kept.
const maxSaved = 8192

// Save copies what is to survive. It may be called while workers run; each shard's part is of
// one moment.
func (e *Engine) Save() *Saved {
	saved := &Saved{Seed: e.cfg.Seed, Servers: e.saveServers()}
	type ranked struct {
		SavedSource
		worth int64
	}
	var list []ranked
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
			if src.facts.Attempts > 0 && (src.flags&home != 0 || src.host != 0) {
				list = append(list, ranked{s.saveSource(k, src), src.worth()})
			}
		})
		s.t.Unlock()
	}
	slices.SortFunc(list, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.worth, a.worth), a.Addr.Compare(b.Addr)) })
	for i := range list[:min(len(list), maxSaved)] {
		saved.Sources = append(saved.Sources, list[i].SavedSource)
	}
	return saved
}

func (s *shard) saveSource(k *flowtable.Host, src *source) SavedSource {
	d := SavedSource{Addr: addr(k.Addr, k.Scope.V6()), Scope: uint32(k.Scope), MAC: src.mac, VLAN: slices.Clone(src.vlan[:src.tags]), Facts: src.facts,
		Outside: src.flags&outside != 0}
	if hst := s.hosts.at(src.host); hst != nil {
		d.Host = &SavedHost{Memory: hst.Memory(), Given: hst.given, Suppressed: hst.suppressed, Opaque: hst.opaque, OneWay: hst.oneWay}
		for _, f := range []*finding{hst.spambot, hst.direct} {
			if f != nil {
				d.Host.Findings = append(d.Host.Findings, SavedFinding{f.id, f.seq, f.class, f.level, f.updated})
			}
		}
	}
	return d
}

// Restore takes over what Save copied. It must be called before the first frame. What is
// impossible in it is left out: the file it comes from may be older than the limits.
func (e *Engine) Restore(saved *Saved) {
	e.restoreServers(saved.Servers)
	e.told = map[flowtable.Host]Counts{}
	for a, s := range *e.servers.known.Load() {
		if s.First != 0 {
			e.told[flowtable.Host{Addr: a, Scope: flowtable.NewScope(s.addr.Is6(), 0)}] = countsIn(&s.Count)
		}
	}
	for i := range saved.Sources {
		d := &saved.Sources[i]
		if !d.Addr.IsValid() || d.Facts.Attempts == 0 || e.cfg.Limits.Hosts <= i {
			continue
		}
		k := flowtable.Host{Addr: d.Addr.As16(), Scope: flowtable.Scope(d.Scope)}
		hash := e.table.Secret.Host(&k)
		s := &e.shards[e.table.ShardOf(hash)]
		s.t.Lock()
		s.restoreSource(hash, &k, d)
		s.t.Unlock()
		e.told[k] = countsOf(&d.Facts).and(e.told[k]) // the history has these
	}
}

func (s *shard) restoreSource(hash uint64, k *flowtable.Host, d *SavedSource) {
	if s.t.Sources.Find(hash, k) != 0 {
		return
	}
	r := s.t.Sources.Add(hash, k)
	src := s.t.Sources.At(r)
	src.facts = d.Facts
	src.facts.Concurrent = 0
	src.mac = d.MAC
	src.tags = uint8(copy(src.vlan[:], d.VLAN))
	if s.e.home.has(k.Addr, k.Scope.V6()) {
		src.flags |= home
		s.e.homeSeen.Store(true)
	}
	if s.e.server[k.Addr] {
		src.flags |= declared
	}
	if d.Outside {
		src.flags |= outside
	}
	if d.Host == nil || s.hosts.len() >= s.maxHosts || src.flags&declared != 0 {
		return
	}
	hst := s.newHost(src)
	hst.given, hst.suppressed, hst.opaque, hst.oneWay = d.Host.Given, d.Host.Suppressed, d.Host.Opaque, d.Host.OneWay
	for _, f := range d.Host.Findings {
		open := &finding{f.ID, f.Seq, f.Class, min(f.Level, detect.Confirmed), f.Updated}
		switch f.Class {
		case detect.Spambot:
			hst.spambot = open
		case detect.DirectSMTP:
			hst.direct = open
		default:
			continue
		}
		s.open = append(s.open, r)
	}
	if src.flags&(outside|home) == outside|home && len(d.Host.Findings) == 0 {
		s.direct = append(s.direct, r) // it was closed because the sensor stopped
	}
	hst.Recall(&d.Host.Memory, hst.spambot != nil)
}

// Counts are what a host did in a time; CountNames has their names.
type Counts [8]uint64

// The counts.
const (
	CountAttempts = iota
	CountSessions
	CountMessages
	CountRecipients
	CountRejected
	CountDeferred
	CountSessionsIn // of a mail server: what others did with it
	CountMessagesIn
)

// CountNames are the names of Counts in their order.
var CountNames = [len(Counts{})]string{"attempts", "sessions", "messages", "recipients", "rejected", "deferred", "sessions_in", "messages_in"}

// Activity is what a host did since Activity was called before.
type Activity struct {
	Addr   netip.Addr
	Server bool  // it is a mail server
	Hour   int64 // since 1970, of the packets' time
	Counts Counts
}

// Activity gives what the hosts of ours did since it was called before. What came between two
// calls belongs to the hour of the second. It may be called while workers run, by one goroutine.
func (e *Engine) Activity() (list []Activity) {
	now := e.clock.Now()
	if now == 0 {
		return nil
	}
	seen := make(map[flowtable.Host]Counts, len(e.told))
	for i := range e.shards {
		s := &e.shards[i]
		s.t.Lock()
		s.t.Sources.All(func(r flowtable.Ref, k *flowtable.Host, src *source) {
			if src.flags&(home|declared) != 0 && src.facts.Attempts > 0 {
				seen[*k] = countsOf(&src.facts)
			}
		})
		s.t.Unlock()
	}
	e.tickMu.Lock()
	for a, s := range *e.servers.known.Load() {
		if s.First != 0 {
			k := flowtable.Host{Addr: a, Scope: flowtable.NewScope(s.addr.Is6(), 0)}
			seen[k] = seen[k].and(countsIn(&s.Count))
		}
	}
	e.tickMu.Unlock()
	for k, is := range seen {
		if d := is.since(e.told[k]); d != (Counts{}) {
			list = append(list, Activity{addr(k.Addr, k.Scope.V6()), e.watching(k.Addr) != nil, now / hour, d})
		}
	}
	e.told = seen
	slices.SortFunc(list, func(a, b Activity) int { return a.Addr.Compare(b.Addr) })
	return list
}

func countsOf(f *detect.Facts) Counts {
	return Counts{CountAttempts: uint64(f.Attempts), CountSessions: uint64(f.Sessions), CountMessages: uint64(f.Messages), CountRecipients: uint64(f.Recipients),
		CountRejected: uint64(f.Rejected) + uint64(f.RecipientsRejected), CountDeferred: uint64(f.Deferred)}
}

func countsIn(c *detect.ServerCounts) Counts {
	return Counts{CountSessionsIn: c.SessionsIn, CountMessagesIn: c.MessagesIn}
}

func (c Counts) and(more Counts) Counts {
	for i, n := range more {
		c[i] += n
	}
	return c
}

// since is what was added to an earlier count. One that is smaller was forgotten in between
// and began anew.
func (c Counts) since(before Counts) (d Counts) {
	for i, n := range c {
		if n < before[i] {
			return c
		}
		d[i] = n - before[i]
	}
	return d
}
