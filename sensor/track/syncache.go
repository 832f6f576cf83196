package track

import "spamsensor/flowtable"

// SYNDetails is what the SYN cache keeps of a SYN beside its addresses.
type SYNDetails struct {
	MAC   [6]byte
	VLAN  [2]uint16
	Input uint16
	Tags  uint8
	TTL   uint8
	hint  uint8 // see Packet.hint
	// Emitted is the observer's: the entry was given out as a source.
	Emitted bool
}

// cacheSYN puts a SYN of an unknown source into the SYN cache, if that is enough to remember: one
// SYN without data of an external host. Anybody can send a SYN in the name of external hosts, and
// there are 2^32 of them. It reports false if the SYN is to be handled like the SYN of a source.
func (t *Tracker[S]) cacheSYN(p *Packet, payload []byte) bool {
	if len(payload) > 0 || !t.external(&p.Key) || t.flowBeforeSYN(p) != nil {
		return false
	}
	n := t.table.SYNs.Find(p.ClientHash, &p.Key)
	if n == nil {
		n = t.table.SYNs.Add(p.ClientHash, &p.Key, p.Seq, p.Time)
		v := &n.Value
		v.MAC, v.VLAN, v.Input, v.Tags = p.MAC, p.VLAN, p.Input, p.Tags
		v.TTL, v.hint = p.TTL, p.hint()
		t.Count.Attempts++
		t.observe(t.event(CachedSYN, 0, &p.Key))
		return true
	}
	if n.ISN == p.Seq && n.Key == p.Key && p.Time >= n.Time && p.Time-n.Time < duplicateWindow {
		t.Count.Duplicates++
		return true
	}
	t.promote(p.ClientHash, n)
	return false
}

// cachedSYN is the entry of the SYN cache for the SYN of a packet's flow with an initial sequence
// number, nil if there is none.
func (t *Tracker[S]) cachedSYN(p *Packet, isn uint32) *SYNEntry {
	if n := t.table.SYNs.Find(p.ClientHash, &p.Key); n != nil && n.ISN == isn && n.Key == p.Key {
		return n
	}
	return nil
}

// promote takes an entry out of the SYN cache and makes a source and an attempt of it.
func (t *Tracker[S]) promote(host uint64, n *SYNEntry) *flowtable.Attempt {
	t.table.SYNs.Remove(host, n)
	return t.promoteEvicted(host, n)
}

// promoteEvicted makes a source and an attempt of an entry that is in the SYN cache no more. The
// attempt was counted when it was cached.
func (t *Tracker[S]) promoteEvicted(host uint64, n *SYNEntry) *flowtable.Attempt {
	h := n.Key.ClientKey()
	source := t.table.Sources.Add(host, &h)
	ev := t.event(NewSource, source, &n.Key)
	ev.Time, ev.SYN = n.Time, n
	t.observe(ev)
	flow, gen := t.secret.HashFlow(host, &n.Key), t.table.Sources.Gen(source)
	a := t.table.Attempts.Add(flow, &n.Key, n.ISN, n.Time, source, gen)
	a.Outcome = n.Outcome
	a.SetHint(n.Value.hint)
	t.attempt(n.Time, source, &n.Key, n.Value.TTL)
	if n.Outcome == flowtable.Refused || n.Outcome == flowtable.Unreachable {
		ev := t.event(CachedOutcome, source, &n.Key)
		ev.Time, ev.Outcome = n.Time, n.Outcome
		t.observe(ev)
	}
	return a
}

// SYNEvicted is for flowtable.Callbacks: an entry of the SYN cache is overwritten. As long as the
// table of sources is less than half full, the attempt is kept there.
func (t *Tracker[S]) SYNEvicted(n *SYNEntry) {
	if t.table.Sources.Len() < t.table.Sources.Cap()/2 {
		h := n.Key.ClientKey()
		t.promoteEvicted(t.secret.HashHost(&h), n)
		return
	}
	t.Count.SYNsEvicted++
}
