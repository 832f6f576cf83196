package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/smtpsniff"
)

// unsettled are the flags of a flow that anySegment must look at.
const unsettled = portsReused | fastOpenPending | sessionEmitted | unanswered | claimed | oneSided |
	lingering

// next takes the segment that usually comes in an established connection, and gives its bytes to
// the listener. It reports false where it is another segment, and has done nothing then. The result
// is that of anySegment (TestNextIsAnySegment), for 60 instructions with those of tcp.Stream.Next
// apart, instead of 350.
func (t *Tracker[S]) next(p *Packet, payload []byte, r flowtable.Ref, f *Flow) bool {
	if f.has(unsettled) || !f.Trace.usual(p) {
		return false
	}
	var session *smtpsniff.Session
	if p.Len > 0 {
		session = t.sessions.At(f.Session)
		if session == nil || t.Listener.Bytes() > t.maxSessionBytes {
			return false
		}
	}
	h := &t.header
	h.Seq, h.Ack, h.Len = tcp.Seq(p.Seq), tcp.Seq(p.Ack), p.Len
	h.Sum, h.Stamp, h.Stamped = p.Sum, p.Stamp, p.Stamped
	h.Flags, h.Dir = tcp.Flags(p.Flags), p.Dir()
	if !t.stream.Next(&f.Conn, h, p.Time, payload) {
		return false
	}
	f.Last = max(f.Last, p.Time)
	if session == nil {
		return true
	}
	t.current = r
	t.Count.Streamed += uint64(len(payload))
	t.Listener.Feed(session, smtpsniff.Side(h.Dir), payload)
	if len(t.Listener.Events) > 0 {
		t.said(t.table.Flows.KeyOf(r), f, session)
	}
	return true
}
