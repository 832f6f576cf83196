package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
)

// Flow is a connection that got an answer, or that began before the capture. It is a value of the
// flow table and holds no pointers. Its size, 224 bytes, decides how many flows the memory limit
// allows.
//
// The fields of the usual segment come first, up to those of Conn: together with what a look-up by
// hash compares they are in one or two lines of the cache, whatever else an entry holds.
type Flow struct {
	Last    int64  // of the latest segment, nanoseconds
	Session uint32 // number of the dialogue, zero if there is none
	flags   flags
	Trace   HeaderTrace

	Conn      tcp.Conn
	Start     int64         // of the first SYN, or of the first segment that was seen; nanoseconds
	Source    flowtable.Ref // the client's entry, zero if it has none; it may have been evicted
	sourceGen uint16        // of Source
	Input     uint16        // number of the capture's interface
	VLAN      [2]uint16
	Tags      uint8 // how many of VLAN are set
	SYNs      uint8 // how many SYNs were seen, saturating
	Notes     Notes
}

// flags are the state of a flow.
type flags uint16

const (
	counted         flags = 1 << iota // its attempt was counted
	established                       // its handshake is complete and believed
	midstream                         // its beginning was not seen
	unanswered                        // no packet was seen from its server, or only resets
	refused                           // a RST answered the SYN
	lingering                         // it ended; late segments are waited for
	sessionEmitted                    // its SessionEnded was emitted
	portsReused                       // there is, or was, another flow with its ports
	reusesPorts                       // when it began there was another flow with its ports
	fastOpenPending                   // its SYN carried data; the outcome is not known yet
	claimed                           // one side says that its handshake is complete
	oneSided                          // one of its sides is missing
)

// Notes are flags of a flow that belong to the observer. They are zero at first.
type Notes uint16

// has reports whether a flow has one of the flags.
func (f *Flow) has(x flags) bool { return f.flags&x != 0 }

// Established reports whether the handshake of a flow is complete and believed: it is a session.
func (f *Flow) Established() bool { return f.has(established) }

// Midstream reports whether the beginning of a flow was not seen.
func (f *Flow) Midstream() bool { return f.has(midstream) }

// Counted reports whether the attempt of a flow was counted.
func (f *Flow) Counted() bool { return f.has(counted) }

// Answered reports whether a packet was seen from the server of a flow that is no reset.
func (f *Flow) Answered() bool { return !f.has(unanswered) }

// Noted reports whether a flow has one of the notes.
func (f *Flow) Noted(x Notes) bool { return f.Notes&x != 0 }

// SeenBothSides reports whether both sides of a flow were seen: the client, and an answer of the
// server.
func (f *Flow) SeenBothSides() bool { return !f.has(unanswered) && f.Conn.Seen(tcp.Client) }

const (
	second = int64(1e9)
	minute = 60 * second
)

// Times after which something is over, in nanoseconds.
const (
	// AttemptTime is how long an attempt without an answer is remembered: RSTs came 72.6 s after
	// the last SYN in a real capture, and Linux repeats a SYN for 127 s.
	AttemptTime = 150 * second
	// lingerTime is how long an ended connection is kept for segments that are still on their way.
	lingerTime = 5 * second
	// idleNew is for a handshake that does not go on, idleOpen for a session without a segment.
	// Servers wait 5 minutes for a command and 10 for the reply to a message (RFC 5321,
	// section 4.5.3.2).
	idleNew  = 75 * second
	idleOpen = 15 * minute
	// idleOneSide is for a session of which one side is seen: its end may be on the other side. No
	// side waits longer for the other.
	idleOneSide = 10 * minute
)

// idle is how long a session may be silent.
func (f *Flow) idle() int64 {
	if f.has(oneSided) {
		return idleOneSide
	}
	return idleOpen
}

// over reports whether the connection has ended as far as the capture shows: where it shows one
// side alone, no FIN comes behind that of this side.
func (f *Flow) over() bool {
	return f.Conn.Ended() || f.has(oneSided) && f.Conn.State() == tcp.Closing
}

// newFlow makes a flow for a packet.
func (t *Tracker[S]) newFlow(p *Packet, source flowtable.Ref) (flowtable.Ref, *Flow) {
	r := t.addFlow(p)
	f := t.table.Flows.At(r)
	t.Count.Flows++
	f.Start, f.Last, f.Input = p.Time, p.Time, p.Input
	f.Source = source
	if source != 0 {
		f.sourceGen = t.table.Sources.Gen(source)
	}
	f.Tags, f.VLAN = p.Tags, p.VLAN
	f.flags |= unanswered
	t.packetEvent(FlowBegan, source, p, f)
	t.table.Flows.Schedule(r, p.Time, p.Time+idleNew)
	return r, f
}

// due closes a flow whose time is over, or schedules it for when it will be.
func (t *Tracker[S]) due(now int64, r flowtable.Ref, k *flowtable.Key, f *Flow) {
	wait, reason := f.idle(), "timeout"
	f.Last = min(f.Last, now) // a frame of it may have had any time
	switch {
	case f.has(lingering) && !f.over(): // the reset was not believed, or the other side was seen
		f.flags &^= lingering
		if f.has(counted) {
			t.sourceEvent(ConnectionRevived, f.Source, f.sourceGen)
		}
	case f.has(lingering):
		if wait = lingerTime; !f.Conn.Ended() {
			reason = "fin" // of the side that is seen
		}
	case !f.has(established) && !f.has(midstream):
		wait = idleNew
	}
	if at := max(f.Last, t.clockJumpAt) + wait; at > now {
		t.table.Flows.Schedule(r, now, at)
		return
	}
	t.endReplaced(r, k, f)
	t.closeFlow(r, k, f, reason)
}

// closeFlow emits what a flow still holds and its session, and removes it. A panic costs the flow
// and no more.
func (t *Tracker[S]) closeFlow(r flowtable.Ref, k *flowtable.Key, f *Flow, reason string) {
	defer func() {
		if p := recover(); p != nil {
			t.fault(p)
			t.dropBroken(r, f)
			t.Listener.Events = t.Listener.Events[:0]
		}
	}()
	t.drainAndClose(r, k, f, reason)
}

// drainAndClose is closeFlow without a guard.
func (t *Tracker[S]) drainAndClose(r flowtable.Ref, k *flowtable.Key, f *Flow, reason string) {
	if !f.has(sessionEmitted) {
		was := t.current
		t.current = r
		t.stream.Flush(&f.Conn)
		t.drain(f)
		t.closeSession(k, f, reason)
		t.current = was
	}
	// The connection is over already if it lingers; with Fast Open it is when its attempt expires.
	if f.has(counted) && !f.has(lingering|fastOpenPending) {
		t.sourceEvent(ConnectionOver, f.Source, f.sourceGen)
	}
	t.removeFlow(r, k, f)
}

// dropFlow removes a flow of which nothing is emitted.
func (t *Tracker[S]) dropFlow(r flowtable.Ref, k *flowtable.Key, f *Flow) {
	t.stream.Abandon(&f.Conn)
	if session := t.sessions.At(f.Session); session != nil {
		t.sessionDropped(k, f)
		t.sessions.Remove(f.Session)
		t.Listener.Free(session)
	}
	t.removeFlow(r, k, f)
}

func (t *Tracker[S]) sessionDropped(k *flowtable.Key, f *Flow) {
	ev := t.event(SessionDropped, 0, k)
	ev.Flow = f
	t.observe(ev)
}

// dropBroken removes a flow after a panic, without looking at what is in it.
func (t *Tracker[S]) dropBroken(r flowtable.Ref, f *Flow) {
	t.Count.Broken++
	t.stream.Abandon(&f.Conn)
	if t.sessions.Valid(f.Session) {
		if session := t.sessions.At(f.Session); session != nil {
			t.Listener.Abandon(session)
		}
		t.sessions.Remove(f.Session)
		t.sessionDropped(t.table.Flows.KeyOf(r), f)
	}
	if f.has(counted) && !f.has(lingering) {
		t.sourceEvent(ConnectionOver, f.Source, f.sourceGen)
	}
	t.removeFlow(r, t.table.Flows.KeyOf(r), f)
}

// Quarantine drops the flow of a packet that caused a panic. The counts of its source stay.
func (t *Tracker[S]) Quarantine(p *Packet) {
	if r := t.table.Flows.Find(p.FlowHash, &p.Key); r != 0 {
		if t.table.Flows.At(r).has(portsReused) {
			r = t.matchFlow(p, r)
		}
		t.dropBroken(r, t.table.Flows.At(r))
	}
}
