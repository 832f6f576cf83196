package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/verdict"
)

// CloseAll judges the sources of a shard for the last time and closes their findings. In a live
// capture it suspends them: the sensor stops, and nothing says that they are over. The caller holds
// the shard's lock.
func (s *Observer) CloseAll(now int64, reason string) {
	// No reply comes any more: pending contacts are decided first.
	s.ExpireContacts(now)
	s.judgeAtEnd(now)
	if !s.all.cfg.Live && !s.all.homeSeen.Load() {
		s.judgeExternal()
	}
	s.TickFindings(now)
	s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
		switch prof := s.profiles.At(src.profile); {
		case prof == nil:
		case s.all.cfg.Live:
			s.suspendFindings(src, prof, *k, now, reason)
		default:
			s.closeFindings(src, prof, *k, now, reason)
		}
	})
}

// judgeExternal publishes the verdicts on external sources: a file without an internal address can
// only be about external hosts.
func (s *Observer) judgeExternal() {
	s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
		prof := s.profiles.At(src.profile)
		if prof != nil && prof.SetOneSided(s.all.acceptsOneSide(), s.all.oneSideSoFar()) {
			prof.Judge(&src.Counters, src.Counters.Last)
		}
		if prof != nil && prof.Level() > verdict.NoLevel {
			s.publish(src, prof, *k, prof.Verdict(), prof.Decided().At)
		}
	})
}

// judgeAtEnd judges all internal sources once more. Only at the end is it certain whether the
// capture shows one side of the connections alone.
func (s *Observer) judgeAtEnd(now int64) {
	s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
		if prof := s.profiles.At(src.profile); prof != nil && s.eligible(src) &&
			src.flags&home != 0 {
			s.judgeNow(src, prof, *k, now)
		}
	})
}
