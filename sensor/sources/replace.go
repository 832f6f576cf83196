package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// Replace replaces the settings; see the fields of the same names of Config. The caller has locked
// all shards.
func (all *Set) Replace(cfg detect.Config, allSessions bool, sessionsPerFinding int) {
	all.cfg.Detect = cfg
	all.cfg.AllSessions, all.cfg.SessionsPerFinding = allSessions, sessionsPerFinding
	for i := range all.shards {
		clear(all.shards[i].notes.links[:]) // what was noted says what the source was
	}
}

// Reconsider takes each source as what it is since the configuration was replaced: a host of ours
// or not, with another role or none. What speaks against it was observed under the settings of that
// time and stays, so that a host that is no longer declared is judged by what it has done. now is
// the time in ns. The caller holds the shard's lock.
func (s *Observer) Reconsider(now int64) {
	s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
		was := src.flags
		src.flags &^= home | declared | configured | serving
		s.all.describeSource(src, k)
		if s.all.isLearned(src, k) {
			src.flags |= home
		}
		if src.flags != was {
			src.flags |= changed
		}
		prof := s.profiles.At(src.profile)
		if prof == nil {
			return
		}
		role := s.all.cfg.Peers.DetectRole(k.Addr)
		sameRole := role == prof.DeclaredRole()
		prof.SetRole(role)
		s.reconsiderFindings(r, src, prof, *k, now, sameRole && (src.flags^was)&home == 0)
	})
}

// reconsiderFindings has the findings of a source follow what it is now. The same says that it is
// what it was; thresholds alone then change its verdict.
func (s *Observer) reconsiderFindings(r flowtable.Ref, src *Source, prof *profile,
	k flowtable.HostKey, now int64, same bool) {
	if src.flags&home == 0 {
		s.commit(src, prof, k, prof.findings.CloseAll(finding.Withdrawn), now)
		return
	}
	if prof.isPart() {
		s.noteChanged(prof, k) // its machine is judged at the end of the next round
	}
	if direct := prof.findings[verdict.DirectSMTP]; src.flags&declared != 0 && direct != nil &&
		direct.Open {
		s.commit(src, prof, k, []finding.Change{{Class: verdict.DirectSMTP, Level: direct.Level,
			Action: finding.Closed, Reason: finding.Withdrawn}}, now)
	}
	if !same && src.flags&triedOutside != 0 && s.undeclared(src) {
		s.pendingDirect = append(s.pendingDirect, r)
	}
	s.judgeNow(src, prof, k, now)
	if prof.anyOpen() {
		s.follow(src) // the next tick shows an exception that began or ended
	}
}
