package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/verdict"
)

// profile is what is known of a source that is judged, beside its counters in the table: the
// detectors' profile, and what was published. It takes a few kilobytes, so only sources that are
// real have one; see confirm.
type profile struct {
	detect.Profile
	findings        finding.Book
	recent          []*finding.Session // up to maxRecent sessions before a finding
	evidence        []uint64           // numbers of session events, for findings
	sessionsEmitted int                // session events of its findings
	suppressed      uint64             // sessions that were not emitted
	opaque          uint32             // sessions that were encrypted from the first byte
	oneWay          uint32             // sessions of which one side was seen
	doubtful        uint32             // sessions whose bytes a server may have read in another way
	foreign         uint32             // sessions that were neither SMTP nor TLS
	judged          int64              // when the tick last judged it
	since           int64              // when another machine took its address, zero if none did
	before          *detect.Counters   // its counters at that time
	otherAddresses  *detect.Counters   // counters of its machine under other addresses
	destinations    destinations
	candidate       candidateMAC
	accounts        accounts       // with which it sends
	handed          *handover.Log  // what it hands to servers of ours, nil if nothing
	brought         bringer        // who brings what it takes
	takenInAll      uint64         // messages that it took
	handedInAll     uint64         // mails that it handed to servers of ours without login
	former          *formerAccount // account of the link-layer address before, nil if there is none
	alternatesMACs  bool           // its link-layer addresses take turns
	contactsPending bool           // it is in Observer.pendingContacts
	withheld        bool           // a finding of it waits; see budget
	addressChanged  bool           // its machine has another address now: the tick drops it
	joint           *joint         // the other addresses of its machine, nil if there is none
}

// eligible reports whether a source can have a finding: it is ours, or may turn out to be. What its
// declared role explains is decided with its verdict; see detect.Role. A file that holds none of
// our addresses is judged as a whole at its end.
func (s *Observer) eligible(src *Source) bool {
	return src.flags&(home|within|nearer) != 0 || !s.all.cfg.Live
}

// undeclared reports whether a source can have a finding because it uses mail ports at all.
func (s *Observer) undeclared(src *Source) bool {
	return src.flags&declared == 0 && s.eligible(src)
}

// confirm marks a source as real: it retransmitted a SYN, or was answered; a single SYN may be
// spoofed. From then on the source has a profile and is judged.
func (s *Observer) confirm(ref flowtable.Ref, src *Source) {
	if src.profile != 0 || !s.eligible(src) || s.crowded(src) {
		return
	}
	s.newProfile(ref, src)
	if src.flags&(triedOutside|home) == triedOutside|home && s.undeclared(src) {
		s.pendingDirect = append(s.pendingDirect, ref)
	}
}

// newProfile gives a source a profile. When all places are taken, the profile of the lowest
// priority among a few is evicted.
func (s *Observer) newProfile(ref flowtable.Ref, src *Source) *profile {
	if s.profiles.Len() >= s.MaxProfiles {
		s.evictProfile(src)
	}
	prof := &profile{}
	prof.Budget, prof.Keep = &s.setBudget, !s.all.cfg.Live
	s.applyRole(prof, s.Table.Sources.KeyOf(ref))
	prof.Adopt(&s.all.cfg.Detect, &src.Counters)
	s.notes.applyInbound(prof, s.Table.Sources.KeyOf(ref))
	src.profile = s.profiles.Add(prof, ref)
	if src.flags&joined != 0 { // until the end of the round, when its machine takes it up
		prof.joint = &joint{}
		s.noteChanged(prof, *s.Table.Sources.KeyOf(ref))
	}
	return prof
}

// judge publishes a verdict that may have changed. Most observations change nothing, and nothing
// comes to be known of the sides: that takes 15 instructions.
func (s *Observer) judge(src *Source, prof *profile, now int64) {
	if !prof.Changed() {
		is, soFar := prof.Sides()
		if is == s.all.acceptsOneSide() && soFar == s.all.oneSideSoFar() {
			return
		}
	}
	s.judgeChanged(src, prof, now)
}

// judgeChanged publishes a verdict if it changed.
func (s *Observer) judgeChanged(src *Source, prof *profile, now int64) {
	if prof.addressChanged || !s.eligible(src) ||
		!prof.SetOneSided(s.all.acceptsOneSide(), s.all.oneSideSoFar()) &&
			!prof.Changed() {
		return
	}
	k := *s.Table.Sources.KeyOf(s.profiles.Owner(src.profile))
	if prof.isPart() {
		s.noteChanged(prof, k)
		return
	}
	if src.flags&home == 0 { // the verdict of an external source waits for the end of the file
		if v := prof.Judge(&src.Counters, now); v.Level > verdict.NoLevel {
			s.noteSuspicious(src, k, now)
		}
		return
	}
	s.judgeNow(src, prof, k, now)
}

// crowded reports whether a source must do without a profile: all places are taken, and the source
// whose profile would make room is no less known. Otherwise many sources would take turns, and none
// would be known for long enough.
func (s *Observer) crowded(src *Source) bool {
	if s.profiles.Len() < s.MaxProfiles {
		return false
	}
	least := s.leastProfile(src)
	if least == nil || src.Counters.Last-least.Counters.Last >= hour {
		return false
	}
	switch level := s.profiles.At(least.profile).Level(); {
	case level >= verdict.Likely:
		return true
	case (least.Counters.Sessions > 0) != (src.Counters.Sessions > 0):
		return least.Counters.Sessions > 0
	default:
		return least.Counters.Attempts >= src.Counters.Attempts/2
	}
}

// sampled is how many profiles are compared when one is evicted.
const sampled = 16

// evictProfile drops the profile of the lowest priority among a few. The counters of its source
// stay.
func (s *Observer) evictProfile(except *Source) {
	if src := s.leastProfile(except); src != nil {
		s.count.ProfilesEvicted++
		if s.profiles.At(src.profile).anyOpen() {
			src.flags |= evictedOpen
		}
		k := *s.Table.Sources.KeyOf(s.profiles.Owner(src.profile))
		s.dropProfile(src, k, src.Counters.Last, finding.Evicted)
	}
}

// leastHost is the source whose profile has the lowest priority among a few.
func (s *Observer) leastProfile(except *Source) (least *Source) {
	for range min(sampled, s.profiles.Len()) {
		src := s.Table.Sources.At(s.profiles.Sample())
		if src != except && (least == nil || s.profilePriority(src) < s.profilePriority(least)) {
			least = src
		}
	}
	return least
}

// profilePriority ranks profiles when one is evicted, the lowest first.
func (s *Observer) profilePriority(src *Source) int64 {
	h := s.profiles.At(src.profile)
	w := int64(h.Level())<<48 + int64(min(src.Counters.Attempts, 1<<20))<<20
	if h.SeenBothSides() { // that cannot be forged as SYNs can
		w += 1 << 51
	}
	if src.flags&home != 0 {
		w += 1 << 46
	}
	return w + src.Counters.Last/minute&0xfffff
}

// forgetHost closes the findings of a source and drops its profile.
func (s *Observer) dropProfile(src *Source, k flowtable.HostKey, now int64, reason string) {
	s.closeFindings(src, s.profiles.At(src.profile), k, now, reason)
	s.profiles.At(src.profile).Release()
	s.profiles.Remove(src.profile)
	src.profile = 0
	src.flags |= former
}

// profileAt is the source at r and its profile, nil if it has none any more.
func (s *Observer) profileAt(r flowtable.Ref) (*Source, *profile) {
	src := s.Table.Sources.At(r)
	return src, s.profiles.At(src.profile)
}

// applyRole sets up a new profile for the host's declared role and its DNS lookups so far.
func (s *Observer) applyRole(prof *profile, k *flowtable.HostKey) {
	prof.SetRole(s.all.cfg.Peers.DetectRole(k.Addr))
	if l := s.dnsLookups.of(*k); l != nil {
		prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{
			Kind: detect.KindLookups, Time: l.LastUsed,
			Lookups: l})
	}
}

// role returns a source's role: the declared one, or the one that its behaviour shows. Declared
// roles come first, because an administrator knows more.
func (s *Observer) role(src *Source, prof *profile, k *flowtable.HostKey) string {
	if declared := s.all.cfg.Peers.Role(k.Addr); declared != "" {
		return declared
	}
	switch {
	case src.flags&home == 0:
		return "external"
	case prof != nil:
		return prof.Role()
	}
	return "workstation"
}
