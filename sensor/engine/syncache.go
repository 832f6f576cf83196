package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// newcomer is what is kept of a stranger's first SYN beside its addresses.
type synDetails struct {
	MAC     [6]byte
	VLAN    [2]uint16
	Input   uint16
	Tags    uint8
	TTL     uint8
	hint    uint8 // see hint
	Emitted bool  // as a source, since it came
}

// stranger reports whether a packet's client is neither ours nor declared. Anybody can
// send a SYN in the name of strangers, and there are four thousand million of them.
func (s *shard) isExternal(k *flowtable.Key) bool {
	return !s.e.home.has(k.Client, k.Scope.V6()) && !s.e.isDeclared(k.Client) && s.e.watchedServer(k.Client) == nil
}

// newcomer takes in a first SYN of an unknown source, if it is enough to remember it as
// a newcomer. Otherwise it is to be handled like the SYN of a source.
func (s *shard) cacheSYN(p *packet, payload []byte) bool {
	if len(payload) > 0 || !s.isExternal(&p.Key) || s.flowBeforeSYN(p) != nil {
		return false
	}
	n := s.t.SYNs.Find(p.ClientHash, &p.Key)
	if n == nil {
		n = s.t.SYNs.Add(p.ClientHash, &p.Key, p.Seq, p.Time)
		v := &n.Value
		v.MAC, v.VLAN, v.Input, v.Tags, v.TTL, v.hint = p.MAC, p.VLAN, p.Input, p.Tags, p.TTL, p.hint()
		s.count.attempts++
		s.homeServer(&p.Key)
		return true
	}
	if n.ISN == p.Seq && n.Key == p.Key && p.Time >= n.Time && p.Time-n.Time < duplicateWindow {
		s.count.duplicates++
		return true
	}
	s.promote(p.ClientHash, n)
	return false
}

// attemptOf is the attempt of a packet's flow with this initial sequence number, nil if there was
// none or it is forgotten. A newcomer whose SYN is answered becomes a source.
func (s *shard) attemptOf(p *packet, isn uint32) *flowtable.Attempt {
	if a := s.t.Attempts.Find(p.FlowHash, &p.Key, isn); a != nil {
		return a
	}
	if n := s.synEntryOf(p, isn); n != nil {
		return s.promote(p.ClientHash, n)
	}
	return nil
}

// newcomerOf is the newcomer whose only SYN was that of a packet's flow, with this initial sequence
// number; nil if there is none.
func (s *shard) synEntryOf(p *packet, isn uint32) *flowtable.SYNEntry[synDetails] {
	if n := s.t.SYNs.Find(p.ClientHash, &p.Key); n != nil && n.ISN == isn && n.Key == p.Key {
		return n
	}
	return nil
}

// promote makes a source and an attempt of a newcomer.
func (s *shard) promote(host uint64, n *flowtable.SYNEntry[synDetails]) *flowtable.Attempt {
	s.t.SYNs.Remove(host, n)
	return s.sourceFromSYN(host, n)
}

// adopt makes a source and an attempt of one who is a newcomer no more.
func (s *shard) sourceFromSYN(host uint64, n *flowtable.SYNEntry[synDetails]) *flowtable.Attempt {
	k := n.Key
	ref, src := s.addSource(host, &k, n.Value.Input)
	n.Value.describe(src)
	a := s.t.Attempts.Add(s.e.table.Secret.HashFlow(host, &k), &k, n.ISN, n.Time, ref, s.t.Sources.Gen(ref))
	a.Outcome = n.Outcome
	a.SetHint(n.Value.hint)
	s.attempt(n.Time, ref, src, &k, n.Value.TTL)
	src.countOutcome(n.Outcome)
	return a
}

// describe copies what was kept.
func (n *synDetails) describe(src *source) { src.mac, src.tags, src.vlan = n.MAC, n.Tags, n.VLAN }

// settled counts the outcome of an attempt that did not come to a connection.
func (s *source) countOutcome(o flowtable.Outcome) {
	switch o {
	case flowtable.Refused:
		s.facts.Refused++
	case flowtable.Unreachable:
		s.facts.Unreachable++
	default:
		return
	}
	s.facts.Closed()
}

// newcomerRecord is what is known of a newcomer.
func (s *shard) synRecord(n *flowtable.SYNEntry[synDetails], now int64) detect.SourceRecord {
	src := source{input: n.Value.Input}
	n.Value.describe(&src)
	a := s.e.attempted(&n.Key, n.Time, n.Value.TTL)
	src.facts.Attempted(&a)
	src.countOutcome(n.Outcome)
	if n.Outcome == flowtable.Waiting && now-n.Time >= forgetAttempt {
		src.facts.Closed()
	}
	return s.sourceRecord(&src, nil, n.Key.ClientKey(), now)
}

// newcomerGone is a newcomer that was overwritten. As long as there is room, its attempt is
// remembered among the sources.
func (s *shard) synEvicted(n *flowtable.SYNEntry[synDetails]) {
	if s.t.Sources.Len() < s.t.Sources.Cap()/2 {
		h := n.Key.ClientKey()
		s.sourceFromSYN(s.e.table.Secret.HashHost(&h), n)
		return
	}
	s.count.sourcesEvicted++
}

// forgotten is how many attempts of a source may have been counted and forgotten before it
// was made: one for each time that the newcomers were all replaced, and as many as
// any source had that had to make room.
func (s *shard) forgotten() uint32 {
	laps := uint64(0)
	if n := s.t.SYNs.Evicted; n > 0 && s.t.Sources.Len() >= s.t.Sources.Cap()/2 {
		laps = n/uint64(s.t.SYNs.Cap()) + 1
	}
	return uint32(laps) + s.evictedAttempts
}
