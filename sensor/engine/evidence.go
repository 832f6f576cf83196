package engine

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/servers"
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
func (s *sourceObserver) emitOrKeepSession(k *flowtable.Key, f *track.Flow,
	session *smtpsniff.Session,
	src *source,
	prof *profile, reason string) {
	seen := [2]bool{f.Conn.Seen(tcp.Client), f.Conn.Seen(tcp.Server)}
	switch seen {
	case [2]bool{true, true}:
		s.count.seenBoth++
	case [2]bool{true, false}:
		s.count.seenClient++
	default:
		s.count.seenServer++
	}
	if prof != nil && !(seen[0] && seen[1]) {
		prof.oneWay++
	}
	if prof != nil && f.Conn.Anomalies() != 0 {
		prof.doubtful++
	}
	if s.e.out.Session == nil {
		return
	}
	open := prof != nil && prof.anyOpen()
	switch {
	case s.e.cfg.AllSessions, open && prof.sessionsEmitted < s.e.cfg.SessionsPerFinding:
		// A finding has at most SessionsPerFinding session events.
		s.journal.emitSession(s.sessionRecord(k, f, session, src, reason), prof)
	case open:
		prof.suppressed++
	case servers.MaybeEvidence(f, session):
		// Whether a finding about a server rests on this session is decided in packet order; see
		// outputSession.
		s.journal.addEntry(entry{session: s.sessionRecord(k, f, session, src, reason),
			onlyIfEvidence: true,
			time:           f.Last})
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

// emitSession emits a session as evidence of a source.
func (s *journal) emitSession(d *finding.Session, prof *profile) {
	if prof != nil {
		prof.sessionsEmitted++
	}
	s.addEntry(entry{session: d, profile: prof, time: d.End})
}
