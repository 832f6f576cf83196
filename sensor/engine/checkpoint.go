package engine

import (
	"bytes"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/servers"
	"spamsensor/sensor/sources"
)

// Saved is the state of an engine that survives a restart: plain values, in the checkpoint's
// format. Flows and their dialogues are not saved: after a restart they are over, or begin in the
// middle.
//
// The json tags are the format. A field may be renamed, its tag may not; a new field is optional.
type Saved struct {
	// Seed is Config.Seed: the hashes below mean nothing without it.
	Seed    []byte                `json:"Seed"`
	Sources []sources.SavedSource `json:"Sources,omitempty"`
	Servers []servers.Saved       `json:"Servers,omitempty"`
	Site    finding.SavedSite     `json:"Site"`
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
		at := slices.IndexFunc(d.Sources, func(s sources.SavedSource) bool {
			return s.Addr == k.Addr && s.Scope == k.Scope
		})
		switch {
		case at < 0:
			d.Sources = slices.Insert(d.Sources, 0, *k) // at the limit the last ones are dropped
			fresh = true
		case k.Host.KnowsMore(d.Sources[at].Host):
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

// Save copies the state that is to survive, nil after a panic. It may be called while workers run;
// each shard's part is a snapshot.
func (e *Engine) Save() (saved *Saved) {
	if !e.guarded(func() { saved = e.save() }) {
		return nil
	}
	return saved
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
	e.sources.Restore(saved.Sources, e.cfg.Limits.Sources/2, func(k flowtable.HostKey,
		d *sources.SavedSource) {
		// the history has counted these
		e.activityReported[k] = countsOf(&d.Counters).and(e.activityReported[k])
	})
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

// save copies the state that is to survive.
func (e *Engine) save() *Saved {
	saved := &Saved{Seed: e.cfg.Seed}
	e.saveShared(saved)
	saved.Sources = e.sources.Save()
	return saved
}
