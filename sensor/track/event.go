package track

import (
	"spamsensor/flowtable"
	"spamsensor/smtpsniff"
)

// Kind is what happened.
type Kind uint8

// The kinds of events. Beside each: the fields of Event that it sets, besides Kind, Key and Source;
// the other fields mean nothing.
// A kind whose Source can be zero says so; the others are emitted only while the source has an
// entry.
const (
	// NewSource: an entry was made for a source. SYN if it was in the SYN cache before; else SYN is
	// nil, and Packet.
	NewSource Kind = iota
	// CachedSYN: a SYN of an unknown external host went into the SYN cache. Source is zero.
	CachedSYN
	// CachedOutcome: the attempt of a source that was in the SYN cache had failed. Outcome.
	CachedOutcome
	// FirstSYN: the first SYN of an attempt, before the attempt is logged. Packet.
	FirstSYN
	// Attempt: an attempt was logged. Time, TTL (zero if its SYN was not seen).
	Attempt
	// SYNRetransmit: another SYN of an attempt. Packet, After.
	SYNRetransmit
	// SYNACK: a server answered an attempt. Packet.
	SYNACK
	// AttemptFailed: an attempt without a flow was refused, or is unreachable. Packet, Outcome.
	AttemptFailed
	// FlowBegan: a flow was made. Flow. Source may be zero.
	FlowBegan
	// ServerAnswered: the first packet of a flow's server that is no reset. Packet, Flow. Source
	// may be zero.
	ServerAnswered
	// Conflict: the client sent other bytes in the place of earlier ones. Packet, Flow. Source may
	// be zero.
	Conflict
	// FlowReset: the server reset a flow before its handshake was complete. Packet, Flow.
	FlowReset
	// Established: the handshake of a flow is complete and believed. Packet, Flow.
	Established
	// BothSides: the missing side of an established flow was seen. Packet, Flow.
	BothSides
	// Said: the listener heard something in a session. Flow, Session, SMTP. Source may be zero.
	Said
	// ConnectionOver: a counted attempt or connection of a source is over.
	ConnectionOver
	// ConnectionRevived: a connection that was over goes on: its reset was not believed.
	ConnectionRevived
	// SessionEnded: the dialogue of a flow is over. Flow, Session, Reason. Source may be zero.
	SessionEnded
	// SessionDropped: a flow was dropped together with its session: what was noted of it is void.
	// Flow. Source is zero.
	SessionDropped
)

// Event is something that happened to a connection. It is borrowed: the tracker writes the next
// event to the same place. All that it points to is valid until the observer returns.
type Event struct {
	Kind    Kind
	Outcome flowtable.Outcome
	TTL     uint8
	Source  flowtable.Ref // the entry of the client, zero if it has none
	Time    int64         // nanoseconds since 1970
	After   int64         // nanoseconds since the SYN before
	Key     *flowtable.Key
	Packet  *Packet
	Flow    *Flow
	SYN     *SYNEntry
	Session *smtpsniff.Session // nil if the flow has none
	SMTP    []smtpsniff.Event
	Reason  string // why a flow was closed, unless the connection itself ended
}

// event is the tracker's only Event, set up for the next one. Fields that the kind does not name
// keep what an earlier event wrote: to clear them would cost as much as the rest of an event.
func (t *Tracker[S]) event(kind Kind, source flowtable.Ref, k *flowtable.Key) *Event {
	ev := &t.scratch
	ev.Kind, ev.Source, ev.Key = kind, source, k
	return ev
}

// Event is where the tracker writes its events, always the same: during a call of Config.Observe
// the event in hand.
func (t *Tracker[S]) Event() *Event { return &t.scratch }

// packetEvent emits an event that a packet caused.
func (t *Tracker[S]) packetEvent(kind Kind, source flowtable.Ref, p *Packet, f *Flow) {
	ev := t.event(kind, source, &p.Key)
	ev.Time, ev.Packet, ev.Flow = p.Time, p, f
	t.observe(ev)
}
