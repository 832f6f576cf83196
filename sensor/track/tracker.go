package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/smtpsniff"
)

type (
	// Table is the flow table of all trackers. S is the observer's value of a source.
	Table[S any] = flowtable.Table[Flow, S, SYNDetails]
	// Shard is the part of the table that one tracker has.
	Shard[S any] = flowtable.Shard[Flow, S, SYNDetails]
	// SYNEntry is an entry of the SYN cache.
	SYNEntry = flowtable.SYNEntry[SYNDetails]
)

// Config sets up a Tracker.
type Config[S any] struct {
	// Table holds the tracker's attempts, flows, sources and single SYNs. Whoever calls the tracker
	// holds its lock.
	Table *Shard[S]
	// Secret is the secret of the whole table.
	Secret *flowtable.Secret
	// MaxSessions is how many dialogues are followed at a time, MaxSessionBytes how many bytes they
	// may take together. MaxHeldBytes bounds the segments that wait for missing ones.
	MaxSessions, MaxSessionBytes, MaxHeldBytes int
	// Sides says whether the capture shows one side of the connections alone.
	Sides *Sides
	// External reports whether the client of a key is a host that nobody knows and everybody can
	// forge: one SYN of it goes into the SYN cache.
	External func(*flowtable.Key) bool
	// Observe is called for each event, at once. It must not call the tracker, and must not keep
	// the event.
	Observe func(*Event)
	// Fault is called with the value of a panic that closing a flow caused; the flow is dropped.
	Fault func(reason any)
}

// Tracker follows the connections of one shard of the table. Init makes it ready.
type Tracker[S any] struct {
	// Listener hears the dialogues. Its settings belong to the owner.
	Listener smtpsniff.Listener
	// Count is what the tracker counted.
	Count Counters

	table         *Shard[S]
	secret        *flowtable.Secret
	stream        tcp.Stream
	sessions      flowtable.Objects[smtpsniff.Session]
	current       flowtable.Ref // the flow in hand
	segmentInHand tcp.Segment
	scratch       Event // see event
	sides         *Sides
	seen          [2]int64 // see TakeSides

	// clockJumpAt is when the clock was set, or another capture began: idle times count from there.
	clockJumpAt int64

	maxSessions, maxSessionBytes int

	external func(*flowtable.Key) bool
	observe  func(*Event)
	fault    func(reason any)
}

// Init makes a tracker ready.
func (t *Tracker[S]) Init(cfg Config[S]) {
	t.table, t.secret, t.sides = cfg.Table, cfg.Secret, cfg.Sides
	t.maxSessions, t.maxSessionBytes = cfg.MaxSessions, cfg.MaxSessionBytes
	t.stream.MaxBytes = cfg.MaxHeldBytes
	t.external, t.observe, t.fault = cfg.External, cfg.Observe, cfg.Fault
}

// Unreachable works on an ICMP error that quotes a SYN.
func (t *Tracker[S]) Unreachable(p *Packet) {
	t.resolveAttempt(p, p.Seq, flowtable.Unreachable)
}

// Tick expires attempts and closes flows whose time is over. All packets that came before now have
// been worked on. jump says that the clock did not get to now by the passing of time.
func (t *Tracker[S]) Tick(now int64, jump bool) {
	if jump { // no time has passed for a connection
		t.clockJumpAt = now
	}
	t.table.Attempts.Expire(now - AttemptTime)
	t.table.Flows.Expire(now, func(r flowtable.Ref, k *flowtable.Key, f *Flow) {
		t.due(now, r, k, f)
	})
}

// CloseAll closes all flows, for example at the end of a capture.
func (t *Tracker[S]) CloseAll(reason string) {
	t.table.Flows.All(func(r flowtable.Ref, k *flowtable.Key, f *Flow) {
		t.closeFlow(r, k, f, reason)
	})
}

// Sessions is how many dialogues are followed now.
func (t *Tracker[S]) Sessions() int { return t.sessions.Len() }

// Overflows counts the segments for which MaxHeldBytes left no room.
func (t *Tracker[S]) Overflows() uint64 { return t.stream.Overflows }

// source finds the entry of a packet's client, or makes it.
func (t *Tracker[S]) source(p *Packet) flowtable.Ref {
	h := p.Key.ClientKey()
	r := t.table.Sources.Find(p.ClientHash, &h)
	if r == 0 {
		r = t.table.Sources.Add(p.ClientHash, &h)
		t.scratch.SYN = nil
		t.packetEvent(NewSource, r, p, nil)
	}
	return r
}

// sourceOf is the entry that an attempt or a flow refers to, zero if it was evicted.
func (t *Tracker[S]) sourceOf(r flowtable.Ref, gen uint16) flowtable.Ref {
	if r == 0 || !t.table.Sources.Used(r, gen) {
		return 0
	}
	return r
}

// sourceEvent emits an event about a source that may have been evicted.
func (t *Tracker[S]) sourceEvent(kind Kind, r flowtable.Ref, gen uint16) {
	if source := t.sourceOf(r, gen); source != 0 {
		t.observe(t.event(kind, source, nil))
	}
}
