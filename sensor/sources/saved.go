package sources

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
)

// SavedSource is an internal host, or an external one with a finding.
type SavedSource struct {
	// Addr and Scope identify the source; see flowtable.HostKey.
	Addr  netip.Addr `json:"Addr"`
	Scope uint32     `json:"Scope"`
	// MAC and VLAN are from its frames.
	MAC      [6]byte         `json:"MAC"`
	VLAN     []uint16        `json:"VLAN,omitempty"`
	Counters detect.Counters `json:"Facts"`
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
	ID    string        `json:"ID"`
	Seq   int           `json:"Seq"`
	Class verdict.Class `json:"Class"`
	Level verdict.Level `json:"Level"`
	Open  bool          `json:"Open"`
	// Suspended says that the sensor's stop suspended it.
	Suspended bool             `json:"Suspended,omitempty"`
	Updated   int64            `json:"Updated"`
	Closed    int64            `json:"Closed,omitempty"`
	Clean     int64            `json:"Clean,omitempty"`
	Reopened  uint32           `json:"Reopened,omitempty"`
	Lists     int              `json:"Lists,omitempty"`
	Decided   verdict.Decision `json:"Decided"`
	Peak      finding.Peak     `json:"Peak,omitzero"`
}

// maxSaved bounds Saved.Sources; the sources of most worth are kept.
const maxSaved = 8192

// KnowsMore reports whether h has a finding, or a later event of one, that another copy of the host
// does not have.
func (h *SavedHost) KnowsMore(than *SavedHost) bool {
	if h == nil {
		return false
	}
	return than == nil || slices.ContainsFunc(h.Findings, func(f SavedFinding) bool {
		return !slices.ContainsFunc(than.Findings, func(g SavedFinding) bool {
			return g.ID == f.ID && g.Seq >= f.Seq
		})
	})
}

// Save copies the sources of most worth, at most maxSaved. It may be called while workers run; each
// shard's part is a snapshot.
func (all *Set) Save() (saved []SavedSource) {
	// First pass: rank the sources, without copying them.
	type ranked struct { // copies of all sources at once would take much memory
		shard    int
		key      flowtable.HostKey
		priority int64
	}
	var list []ranked
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
				if src.Counters.Attempts > 0 &&
					(src.flags&(home|serving) != 0 || src.profile != 0) {
					list = append(list, ranked{i, *k, src.KeepPriority()})
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
	saved = make([]SavedSource, len(list))
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() { // a shard's sources are a snapshot
			for n, l := range list {
				if l.shard != i {
					continue
				}
				if r := s.Table.Sources.Find(all.cfg.Table.Secret.HashHost(&l.key),
					&l.key); r != 0 {
					saved[n] = s.saveSource(&l.key, s.Table.Sources.At(r))
				}
			}
		})
	}
	// Sources that were evicted meanwhile are left out.
	return slices.DeleteFunc(saved, func(d SavedSource) bool { return d.Counters.Attempts == 0 })
}

// saveSource copies a source. The caller holds the shard's lock.
func (s *Observer) saveSource(k *flowtable.HostKey, src *Source) SavedSource {
	d := SavedSource{Addr: peer.NetIP(k.Addr, k.Scope.V6()), Scope: uint32(k.Scope), MAC: src.mac,
		VLAN: slices.Clone(src.vlan[:src.tags]), Counters: src.Counters,
		Outside: src.flags&triedOutside != 0, Former: src.flags&former != 0}
	prof := s.profiles.At(src.profile)
	// the former profile has the evidence; the other one's behaviour is found again
	if prof != nil && prof.former != nil {
		d.MAC, prof = prof.former.mac, prof.former.profile
	}
	if prof != nil {
		own := &prof.Profile
		if prof.joint != nil && prof.joint.own != nil { // others are saved for themselves
			own = prof.joint.own
		}
		d.Host = &SavedHost{Memory: own.Save(&src.Counters), Given: prof.sessionsEmitted,
			Suppressed: prof.suppressed, Opaque: prof.opaque, OneWay: prof.oneWay,
			Doubtful: prof.doubtful, Foreign: prof.foreign, Since: prof.since, Before: prof.before}
		for _, f := range prof.findings {
			if f != nil {
				d.Host.Findings = append(d.Host.Findings, SavedFinding{f.ID, f.Seq, f.Class,
					f.Level, f.Open, f.Suspended, f.Updated, f.Closed, f.Clean, f.Reopened,
					f.Lists, f.Decided, f.Peak})
			}
		}
	}
	return d
}

// Restore restores the sources that save copied, at most limit: half of the table stays free for
// sources of this run. It calls restored for each.
func (all *Set) Restore(list []SavedSource, limit int,
	restored func(k flowtable.HostKey, d *SavedSource)) {
	for i := range list {
		d := &list[i]
		if !d.Addr.IsValid() || d.Counters.Attempts == 0 || limit <= i {
			continue
		}
		k := flowtable.HostKey{Addr: d.Addr.As16(), Scope: flowtable.Scope(d.Scope)}
		hash := all.cfg.Table.Secret.HashHost(&k)
		s := all.shards[all.cfg.Table.ShardOf(hash)]
		all.cfg.Guarded(func() { s.locked(func() { s.restoreSource(hash, &k, d) }) })
		restored(k, d)
	}
}

// restoreSource restores a source. The caller holds the shard's lock.
func (s *Observer) restoreSource(hash uint64, k *flowtable.HostKey, d *SavedSource) {
	if s.Table.Sources.Find(hash, k) != 0 {
		return
	}
	r := s.Table.Sources.Add(hash, k)
	src := s.Table.Sources.At(r)
	s.all.describeSource(src, k)
	src.Counters = d.Counters
	// Flows of before the restart are not known any more.
	src.Counters.Concurrent = 0
	src.mac = d.MAC
	src.tags = uint8(copy(src.vlan[:], d.VLAN))
	if d.Outside {
		src.flags |= triedOutside
	}
	if d.Former {
		src.flags |= former
	}
	if d.Host == nil || s.profiles.Len() >= s.MaxProfiles {
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
				Suspended: f.Suspended && f.Open, Restored: f.Open, Updated: f.Updated,
				Closed: f.Closed, Clean: f.Clean, Reopened: f.Reopened, Lists: f.Lists,
				Decided: f.Decided, Peak: f.Peak.Restored()}
		}
	}
	if prof.anyOpen() {
		s.openFindings = append(s.openFindings, r)
	}
	if src.flags&(triedOutside|home) == triedOutside|home && s.undeclared(src) {
		// its finding may not have been opened yet
		s.pendingDirect = append(s.pendingDirect, r)
	}
	prof.Restore(&d.Host.Memory, prof.findings.Main() != nil)
}
