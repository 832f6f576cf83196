package track

import "spamsensor/flowtable"

// A full table evicts the flow of the lowest priority near the place that it needs
// (flowtable.Pool.Add chooses the flow), and a full list of dialogues the one of the lowest
// priority among a few. An evicted flow is closed like any other: its session is emitted with the
// reason "evicted".

// KeepPriority ranks flows when one is evicted, the lowest first: those that ended, then those that
// were never established, then the one that was silent longest.
func (f *Flow) KeepPriority() int64 {
	switch {
	case f.has(lingering):
		return f.Last/second - 3<<32
	case f.has(midstream) || !f.has(established):
		return f.Last/second - 2<<32
	}
	return f.Last / second
}

// FlowEvicted is for flowtable.Callbacks: a flow is evicted.
func (t *Tracker[S]) FlowEvicted(r flowtable.Ref, k *flowtable.Key, f *Flow) {
	t.closeFlow(r, k, f, "evicted")
}

// sampled is how many sessions are compared when one is evicted.
const sampled = 16

// makeRoom makes room for what a flow's next segment says. Each round evicts what an earlier
// segment had stored, and there are only as many rounds as bytes are too many.
func (t *Tracker[S]) makeRoom(f *Flow) {
	if f.Session == 0 && t.sessions.Len() >= t.maxSessions {
		t.evictSession(f)
	}
	for t.Listener.Bytes() > t.maxSessionBytes && (t.Listener.DropOldest() || t.evictSession(f)) {
	}
}

// evictSession closes the flow of the lowest priority among a few with sessions. It reports false
// if there is none but the exception.
func (t *Tracker[S]) evictSession(except *Flow) bool {
	var least flowtable.Ref
	flows := &t.table.Flows
	for range min(sampled, t.sessions.Len()) {
		r := t.sessions.Sample()
		f := flows.At(r)
		if f != except && (least == 0 || f.KeepPriority() < flows.At(least).KeepPriority()) {
			least = r
		}
	}
	if least != 0 {
		t.Count.SessionsEvicted++
		t.closeFlow(least, flows.KeyOf(least), flows.At(least), "evicted")
	}
	return least != 0
}
