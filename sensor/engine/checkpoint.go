package engine

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/servers"
	"spamsensor/sensor/verdict"
)

// Saved is the state of an engine that survives a restart: plain values, in the checkpoint's
// format. Flows and their dialogues are not saved: after a restart they are over, or begin in the
// middle.
//
// The json tags are the format. A field may be renamed, its tag may not; a new field is optional.
type Saved struct {
	// Seed is Config.Seed: the hashes below mean nothing without it.
	Seed    []byte            `json:"Seed"`
	Sources []SavedSource     `json:"Sources,omitempty"`
	Servers []servers.Saved   `json:"Servers,omitempty"`
	Site    finding.SavedSite `json:"Site"`
}

// SavedSource is an internal host, or an external one with a finding.
type SavedSource struct {
	// Addr and Scope identify the source; see flowtable.HostKey.
	Addr  netip.Addr `json:"Addr"`
	Scope uint32     `json:"Scope"`
	// MAC and VLAN are from its frames.
	MAC   [6]byte         `json:"MAC"`
	VLAN  []uint16        `json:"VLAN,omitempty"`
	Facts detect.Counters `json:"Facts"`
	// Outside says that it contacted an external server on port 25 that is not an allowed relay.
	Outside bool `json:"Outside,omitempty"`
	// Former says that it had a profile before that was evicted.
	Former bool `json:"Former,omitempty"`
	// Host is nil if the source has no profile.
	Host *SavedHost `json:"Host,omitempty"`
}

// SavedHost is a source's profile and its findings. The numbers count sessions, and Given and
// Suppressed count their events; see profile.
type SavedHost struct {
	Memory     detect.Saved   `json:"Memory"`
	Findings   []SavedFinding `json:"Findings,omitempty"`
	Given      int            `json:"Given"`
	Suppressed uint64         `json:"Suppressed"`
	Opaque     uint32         `json:"Opaque"`
	OneWay     uint32         `json:"OneWay"`
	Doubtful   uint32         `json:"Doubtful"`
	Foreign    uint32         `json:"Foreign"`
	// Since and Before describe the address's former machine; see profile.
	Since  int64            `json:"Since,omitempty"`
	Before *detect.Counters `json:"Before,omitempty"`
}

// SavedFinding is a finding, open or closed: a closed finding may be reopened. Times are in ns
// since 1970.
type SavedFinding struct {
	ID       string           `json:"ID"`
	Seq      int              `json:"Seq"`
	Class    verdict.Class    `json:"Class"`
	Level    verdict.Level    `json:"Level"`
	Open     bool             `json:"Open"`
	Updated  int64            `json:"Updated"`
	Closed   int64            `json:"Closed,omitempty"`
	Clean    int64            `json:"Clean,omitempty"`
	Reopened uint32           `json:"Reopened,omitempty"`
	Lists    int              `json:"Lists,omitempty"`
	Decided  verdict.Decision `json:"Decided"`
}

// Replay adds to d what a finding left behind (see Output.Keep) that was emitted after d was saved;
// after says that it was, by the clock. Replay reports whether that was new. Of two entries the
// later one is replayed last.
func (d *Saved) Replay(kept *Saved, after bool) (fresh bool) {
	if d.Seed == nil { // nothing was saved yet
		d.Seed = kept.Seed
	}
	// With another seed the hashes of the two do not match.
	if !bytes.Equal(d.Seed, kept.Seed) {
		return false
	}
	for i := range kept.Sources {
		k := &kept.Sources[i]
		// The sequence numbers of the findings say which copy of a source is newer. The clock need
		// not be asked.
		at := slices.IndexFunc(d.Sources, func(s SavedSource) bool {
			return s.Addr == k.Addr && s.Scope == k.Scope
		})
		switch {
		case at < 0:
			d.Sources = slices.Insert(d.Sources, 0, *k) // at the limit the last ones are dropped
			fresh = true
		case k.Host.knowsMore(d.Sources[at].Host):
			d.Sources[at] = *k
			fresh = true
		}
	}
	for i := range kept.Servers {
		k := &kept.Servers[i]
		at := slices.IndexFunc(d.Servers, func(s servers.Saved) bool { return s.Addr == k.Addr })
		switch {
		// A server's findings have no such order, so the clock decides.
		case !after:
		case at < 0:
			d.Servers = append(d.Servers, *k)
			fresh = true
		default:
			// The server's state stays the one of the checkpoint: Keep does not save it.
			d.Servers[at].Findings = k.Findings
			fresh = true
		}
	}
	return fresh
}

// knowsMore reports whether h has a finding, or a later event of one, that another copy of the host
// does not have.
func (h *SavedHost) knowsMore(than *SavedHost) bool {
	if h == nil {
		return false
	}
	return than == nil || slices.ContainsFunc(h.Findings, func(f SavedFinding) bool {
		return !slices.ContainsFunc(than.Findings, func(g SavedFinding) bool {
			return g.ID == f.ID && g.Seq >= f.Seq
		})
	})
}

// maxSaved bounds Saved.Sources; the sources of most worth are kept.
const maxSaved = 8192

// Save copies the state that is to survive, nil after a panic. It may be called while workers run;
// each shard's part is a snapshot.
func (e *Engine) Save() (saved *Saved) {
	if !e.guarded(func() { saved = e.save() }) {
		return nil
	}
	return saved
}

// save copies the state that is to survive.
func (e *Engine) save() *Saved {
	saved := &Saved{Seed: e.cfg.Seed}
	e.saveShared(saved)
	// First pass: rank the sources, without copying them.
	type ranked struct { // copies of all sources at once would take much memory
		shard    int
		key      flowtable.HostKey
		priority int64
	}
	var list []ranked
	for i := range e.shards {
		s := &e.shards[i]
		s.locked(func() {
			s.t.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *source) {
				if src.facts.Attempts > 0 && (src.flags&(home|serving) != 0 || src.profile != 0) {
					list = append(list, ranked{i, *k, src.keepPriority()})
				}
			})
		})
	}
	// The order is total, so that the same state gives the same bytes.
	slices.SortFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), bytes.Compare(a.key.Addr[:],
			b.key.Addr[:]),
			cmp.Compare(a.key.Scope, b.key.Scope))
	})
	list = list[:min(len(list), maxSaved)]
	// Second pass: copy the best of them, shard by shard.
	saved.Sources = make([]SavedSource, len(list))
	for i := range e.shards {
		s := &e.shards[i]
		s.locked(func() { // a shard's sources are a snapshot
			for n, l := range list {
				if l.shard != i {
					continue
				}
				if r := s.t.Sources.Find(e.table.Secret.HashHost(&l.key), &l.key); r != 0 {
					saved.Sources[n] = s.sources.saveSource(&l.key, s.t.Sources.At(r))
				}
			}
		})
	}
	// Sources that were evicted meanwhile are left out.
	saved.Sources = slices.DeleteFunc(saved.Sources, func(d SavedSource) bool {
		return d.Facts.Attempts == 0
	})
	return saved
}

// locked calls f with the shard's lock, which is released after a panic, too.
func (s *shard) locked(f func()) {
	s.t.Lock()
	defer s.t.Unlock()
	f()
}

// saveSource copies a source. The caller holds the shard's lock.
func (s *sourceObserver) saveSource(k *flowtable.HostKey, src *source) SavedSource {
	d := SavedSource{Addr: peer.NetIP(k.Addr, k.Scope.V6()), Scope: uint32(k.Scope), MAC: src.mac,
		VLAN: slices.Clone(src.vlan[:src.tags]), Facts: src.facts,
		Outside: src.flags&triedOutside != 0, Former: src.flags&former != 0}
	prof := s.profiles.At(src.profile)
	// the former profile has the evidence; the other one's behaviour is found again
	if prof != nil && prof.former != nil {
		d.MAC, prof = prof.former.mac, prof.former.profile
	}
	if prof != nil {
		d.Host = &SavedHost{Memory: prof.Save(&src.facts), Given: prof.sessionsEmitted,
			Suppressed: prof.suppressed, Opaque: prof.opaque, OneWay: prof.oneWay,
			Doubtful: prof.doubtful, Foreign: prof.foreign, Since: prof.since, Before: prof.before}
		for _, f := range prof.findings {
			if f != nil {
				d.Host.Findings = append(d.Host.Findings, SavedFinding{f.ID, f.Seq, f.Class,
					f.Level, f.Open, f.Updated, f.Closed, f.Clean, f.Reopened, f.Lists, f.Decided})
			}
		}
	}
	return d
}

// Restore restores the state that Save copied. It must be called before the first frame. Invalid
// entries are left out, and entries beyond the limits, which may be smaller than they were.
func (e *Engine) Restore(saved *Saved) {
	e.restoreShared(saved)
	// Activity reports differences. The history before the restart has these counts.
	e.activityReported = map[flowtable.HostKey]Counts{}
	e.servers.Counts(func(k flowtable.HostKey, c *mailserver.Counts) {
		e.activityReported[k] = countsIn(c)
	})
	for i := range saved.Sources {
		d := &saved.Sources[i]
		// Half of the table stays free for sources of this run.
		if !d.Addr.IsValid() || d.Facts.Attempts == 0 || e.cfg.Limits.Sources/2 <= i {
			continue
		}
		k := flowtable.HostKey{Addr: d.Addr.As16(), Scope: flowtable.Scope(d.Scope)}
		hash := e.table.Secret.HashHost(&k)
		s := &e.shards[e.table.ShardOf(hash)]
		e.guarded(func() { s.locked(func() { s.sources.restoreSource(hash, &k, d) }) })
		// the history has counted these
		e.activityReported[k] = countsOf(&d.Facts).and(e.activityReported[k])
	}
}

// restoreSource restores a source. The caller holds the shard's lock.
func (s *sourceObserver) restoreSource(hash uint64, k *flowtable.HostKey, d *SavedSource) {
	if s.t.Sources.Find(hash, k) != 0 {
		return
	}
	r := s.t.Sources.Add(hash, k)
	src := s.t.Sources.At(r)
	s.e.describeSource(src, k)
	src.facts = d.Facts
	// Flows of before the restart are not known any more.
	src.facts.Concurrent = 0
	src.mac = d.MAC
	src.tags = uint8(copy(src.vlan[:], d.VLAN))
	if d.Outside {
		src.flags |= triedOutside
	}
	if d.Former {
		src.flags |= former
	}
	if d.Host == nil || s.profiles.Len() >= s.maxProfiles {
		return
	}
	prof := s.newProfile(r, src)
	prof.sessionsEmitted, prof.suppressed = d.Host.Given, d.Host.Suppressed
	prof.opaque, prof.oneWay = d.Host.Opaque, d.Host.OneWay
	prof.doubtful, prof.foreign = d.Host.Doubtful, d.Host.Foreign
	prof.since, prof.before = d.Host.Since, d.Host.Before
	for _, f := range d.Host.Findings {
		// The classes from OpenRelay on belong to servers.
		if f.Class < verdict.OpenRelay && prof.findings[f.Class] == nil {
			prof.findings[f.Class] = &finding.Entry{ID: f.ID, Seq: f.Seq, Class: f.Class,
				Level: min(f.Level, verdict.Confirmed), Open: f.Open,
				Updated: f.Updated, Closed: f.Closed, Clean: f.Clean, Reopened: f.Reopened,
				Lists: f.Lists, Decided: f.Decided}
		}
	}
	if prof.anyOpen() {
		s.openFindings = append(s.openFindings, r)
	}
	// The shutdown closed the finding of this verdict: the next observation publishes it again.
	prof.condemned = d.Host.Memory.Verdict.Level > verdict.NoLevel && prof.findings.Main() == nil
	if src.flags&(triedOutside|home) == triedOutside|home && s.eligible(src) {
		// its finding may have been closed because the sensor stopped
		s.pendingDirect = append(s.pendingDirect, r)
	}
	prof.Restore(&d.Host.Memory, prof.findings.Main() != nil)
}

// saveShared copies what belongs to no shard: the mail servers, and the knowledge about the site.
func (e *Engine) saveShared(saved *Saved) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	saved.Servers, saved.Site = e.servers.Save(), e.site.Save()
}

// restoreShared restores what saveShared copied. It is not emitted before it changes.
func (e *Engine) restoreShared(saved *Saved) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.servers.Restore(saved.Servers)
	e.site.Restore(&saved.Site)
}
