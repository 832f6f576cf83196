package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// host is the profile of a source that is judged, and what was published of it.
type host struct {
	detect.Profile
	findings        finding.Book
	recent          []*finding.Session // a few sessions before a finding, as evidence
	evidence        []uint64           // numbers of session events
	sessionsEmitted int                // session events of the finding
	suppressed      uint64             // sessions that were not given out
	opaque          uint32             // sessions that were encrypted before anything was said
	oneWay          uint32
	doubtful        uint32           // sessions whose bytes a server may have read in another way
	foreign         uint32           // sessions that were neither SMTP nor TLS
	judged          int64            // when time alone was last asked to change the verdict
	since           int64            // when another machine took the address, zero if none did
	before          *detect.Counters // of the source at that time
	otherAddresses  *detect.Counters // of its machine under other addresses
	candidate       candidateMAC
	former          *formerAccount // the account of the link-layer address before, nil if there is none
	alternatesMACs  bool           // its link-layer addresses take turns
	contactsPending bool           // it is in shard.waiting
	withheld        bool           // a finding of it waits; see budget
	addressChanged  bool           // its machine has another address now: it is to be forgotten
	// condemned says that there was a verdict when the sensor stopped: what it does next publishes
	// that again, and until then nothing is said of its first contact.
	condemned bool
}

// judges reports whether a source can have a finding: it is ours and no mail server. A file that holds
// none of our addresses is judged as a whole at its end.
func (s *sourceObserver) judges(src *source) bool {
	return src.flags&declared == 0 && (src.flags&home != 0 || !s.e.cfg.Live)
}

// confirm marks a source as real: it sent a SYN again, or was answered; a single SYN may be spoofed.
// From then on the source has a profile and is judged.
func (s *sourceObserver) confirm(ref flowtable.Ref, src *source) {
	if src.host != 0 || !s.judges(src) || s.crowded(src) {
		return
	}
	s.newHost(ref, src)
	if src.flags&(outside|home) == outside|home {
		s.pendingDirect = append(s.pendingDirect, ref)
	}
}

// newHost gives a source a profile. When all places are taken, the profile of the lowest priority among
// a few makes room.
func (s *sourceObserver) newHost(ref flowtable.Ref, src *source) *host {
	if s.hosts.Len() >= s.maxHosts {
		s.dropHost(src)
	}
	hst := &host{}
	hst.Budget = &s.room
	s.applyRole(hst, s.t.Sources.KeyOf(ref))
	hst.Adopt(&s.e.cfg.Detect, &src.facts)
	s.notes.applyInbound(hst, s.t.Sources.KeyOf(ref))
	src.host = s.hosts.Add(hst, ref)
	return hst
}

// judge publishes a verdict that changed.
func (s *sourceObserver) judge(src *source, hst *host, now int64) {
	if hst.addressChanged || !s.judges(src) || !hst.SetOneSided(s.e.hearsay()) && !hst.Changed() {
		return
	}
	hst.condemned = false
	v := hst.Judge(&src.facts, now)
	if src.flags&home == 0 { // who is not ours waits for the end of the file
		return
	}
	s.publish(src, hst, *s.t.Sources.KeyOf(s.hosts.Owner(src.host)), v, now)
}

// crowded reports whether a source must do without a profile: all places are taken, and the source
// whose profile would make room is no less known. Otherwise many sources would take turns, and none
// would be known for long enough.
func (s *sourceObserver) crowded(src *source) bool {
	if s.hosts.Len() < s.maxHosts {
		return false
	}
	least := s.leastHost(src)
	if least == nil || src.facts.Last-least.facts.Last >= hour {
		return false
	}
	switch level := s.hosts.At(least.host).Level(); {
	case level >= verdict.Likely:
		return true
	case (least.facts.Sessions > 0) != (src.facts.Sessions > 0):
		return least.facts.Sessions > 0
	default:
		return least.facts.Attempts >= src.facts.Attempts/2
	}
}

// sampled is how many profiles are compared when one is evicted.
const sampled = 16

// dropHost evicts the profile of the lowest priority among a few. What was counted of its source
// stays.
func (s *sourceObserver) dropHost(except *source) {
	if src := s.leastHost(except); src != nil {
		s.count.hostsEvicted++
		if s.hosts.At(src.host).anyOpen() {
			src.flags |= again
		}
		s.forgetHost(src, *s.t.Sources.KeyOf(s.hosts.Owner(src.host)), src.facts.Last, "evicted")
	}
}

// leastHost is the source whose profile has the lowest priority among a few.
func (s *sourceObserver) leastHost(except *source) (least *source) {
	for range min(sampled, s.hosts.Len()) {
		src := s.t.Sources.At(s.hosts.Sample())
		if src != except && (least == nil || s.profilePriority(src) < s.profilePriority(least)) {
			least = src
		}
	}
	return least
}

// profilePriority ranks profiles when one is evicted, the lowest first.
func (s *sourceObserver) profilePriority(src *source) int64 {
	h := s.hosts.At(src.host)
	w := int64(h.Level())<<48 + int64(min(src.facts.Attempts, 1<<20))<<20
	if h.SeenBothSides() { // that cannot be forged as SYNs can
		w += 1 << 51
	}
	if src.flags&home != 0 {
		w += 1 << 46
	}
	return w + src.facts.Last/minute&0xfffff
}

// forgetHost closes the findings of a source and drops its profile.
func (s *sourceObserver) forgetHost(src *source, k flowtable.HostKey, now int64, reason string) {
	s.closeFindings(src, s.hosts.At(src.host), k, now, reason)
	s.hosts.At(src.host).Release()
	s.hosts.Remove(src.host)
	src.host = 0
	src.flags |= former
}

// hostAt is the source at r and its profile, nil if it has none any more.
func (s *sourceObserver) hostAt(r flowtable.Ref) (*source, *host) {
	src := s.t.Sources.At(r)
	return src, s.hosts.At(src.host)
}
