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
