package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/smtpsniff"
)

// drain gives the bytes that a stream has in order to the listener, and emits what that heard.
func (t *Tracker[S]) drain(f *Flow) {
	var c tcp.Chunk
	for t.stream.Pop(&c) {
		side := smtpsniff.Side(c.Dir)
		session := t.sessions.At(f.Session)
		if session == nil {
			if c.Kind == tcp.End || f.has(sessionEmitted) {
				continue
			}
			session = t.newSession(f)
		}
		switch c.Kind {
		case tcp.Data:
			t.Count.Streamed += uint64(len(c.Bytes))
			t.Listener.Feed(session, side, c.Bytes)
		case tcp.Gap:
			t.Count.Gaps++
			t.Count.Missing += uint64(c.Len)
			t.Listener.Gap(session, side, c.Len)
		case tcp.End:
			t.Listener.End(session, side)
		}
		if len(t.Listener.Events) > 0 {
			t.said(t.table.Flows.KeyOf(t.current), f, session)
		}
	}
}

// newSession begins a dialogue.
func (t *Tracker[S]) newSession(f *Flow) *smtpsniff.Session {
	session := t.Listener.New(f.has(midstream), !f.Conn.Seen(tcp.Server))
	f.Session = t.sessions.Add(session, t.current)
	return session
}

// said emits what the listener heard.
func (t *Tracker[S]) said(k *flowtable.Key, f *Flow, session *smtpsniff.Session) {
	ev := t.event(Said, t.sourceOf(f.Source, f.sourceGen), k)
	ev.Time, ev.Flow, ev.Session, ev.SMTP = f.Last, f, session, t.Listener.Events
	t.observe(ev)
}

// closeSession ends the dialogue of a flow and emits its session.
func (t *Tracker[S]) closeSession(k *flowtable.Key, f *Flow, reason string) {
	f.flags |= sessionEmitted
	session := t.sessions.At(f.Session)
	if session != nil {
		t.Listener.Finish(session)
		if len(t.Listener.Events) > 0 {
			t.said(k, f, session)
		}
	}
	ev := t.event(SessionEnded, t.sourceOf(f.Source, f.sourceGen), k)
	ev.Time, ev.Flow, ev.Session, ev.Reason = f.Last, f, session, reason
	t.observe(ev)
	if session != nil {
		t.sessions.Remove(f.Session)
		t.Listener.Free(session)
		f.Session = 0
	}
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
