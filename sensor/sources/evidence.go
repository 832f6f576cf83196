package sources

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// Session events are the evidence of findings. A session is emitted while a finding of its source
// is open. A few earlier sessions are kept, and are emitted if a finding is opened.

// maxRecent is the number of sessions of a source that are kept until a finding is opened.
const maxRecent = 3

// emitOrKeepSession emits a closed session if a finding of its source is open, and else keeps it if
// there may be a finding later. It also counts which sides of sessions were seen. session may be
// nil: the flow had no dialogue.
func (s *Observer) emitOrKeepSession(k *flowtable.Key, f *track.Flow,
	session *smtpsniff.Session,
	src *Source,
	prof *profile, reason string) {
	seen := [2]bool{f.Conn.Seen(tcp.Client), f.Conn.Seen(tcp.Server)}
	switch seen {
	case [2]bool{true, true}:
		s.count.SeenBoth++
	case [2]bool{true, false}:
		s.count.SeenClient++
	default:
		s.count.SeenServer++
	}
	if prof != nil && !(seen[0] && seen[1]) {
		prof.oneWay++
	}
	if prof != nil && f.Conn.Anomalies() != 0 {
		prof.doubtful++
	}
	if !s.all.cfg.Sessions() {
		return
	}
	open := prof != nil && (prof.anyOpen() || prof.isPart() && prof.joint.open)
	switch {
	case s.all.cfg.AllSessions, open && prof.sessionsEmitted < s.all.cfg.SessionsPerFinding:
		// A finding has at most SessionsPerFinding session events.
		s.emitSession(s.sessionRecord(k, f, session, src, reason), prof)
	case open:
		prof.suppressed++
	case s.all.cfg.MaybeEvidence(f, session):
		// Whether a finding about a server rests on this session is decided in packet order; see
		// SessionEvent.
		s.AddSession(&SessionEvent{Session: s.sessionRecord(k, f, session, src, reason),
			OnlyIfEvidence: true}, f.Last)
	case prof != nil && src.flags&home != 0 && prof.makeRoomForSession(session):
		prof.recent = append(prof.recent, s.sessionRecord(k, f, session, src, reason))
	}
}

// makeRoomForSession makes room among the kept sessions and reports whether there is any. A session
// with a MAIL command shows more than an encrypted one, which a mail client has all day.
func (h *profile) makeRoomForSession(session *smtpsniff.Session) bool {
	if len(h.recent) < maxRecent {
		return true
	}
	i := slices.IndexFunc(h.recent, func(d *finding.Session) bool { return d.Mails == 0 })
	if i < 0 || session == nil || session.Mails == 0 {
		return false
	}
	h.recent = slices.Delete(h.recent, i, i+1)
	return true
}

// SessionEvent is a session that may be emitted at the end of the round.
type SessionEvent struct {
	Session        *finding.Session
	OnlyIfEvidence bool // emitted only if a finding about a server rests on its client

	observer *Observer
	profile  *profile // the source whose evidence the session is; may be nil
}

// emitSession emits a session as evidence of a source.
func (s *Observer) emitSession(d *finding.Session, prof *profile) {
	if prof != nil {
		prof.sessionsEmitted++
	}
	s.AddSession(&SessionEvent{Session: d, observer: s, profile: prof}, d.End)
}

// AddEvidence adds the number of the session's event to the evidence of its source. The caller
// holds no shard's lock.
func (x *SessionEvent) AddEvidence(event uint64) {
	if x.profile == nil {
		return
	}
	x.observer.Table.Lock()
	defer x.observer.Table.Unlock()
	if len(x.profile.evidence) < finding.MaxEvidence {
		x.profile.evidence = append(x.profile.evidence, event)
	}
}
