package track

import (
	"spamsensor/smtpsniff"
)

// unsettled are the flags of a flow that Segment must look at.
const unsettled = portsReused | fastOpenPending | sessionEmitted | unanswered | claimed | oneSided |
	lingering

// Next takes a row if it is the segment that usually comes in an established connection, and gives
// its bytes to the listener. It reports false if it is another packet, and has done nothing then:
// Segment or SYN take it. The result is that of Segment (TestNextIsSegment). On a storm of mail it
// takes 83 instructions a packet, beside those of tcp.Stream.Next.
func (t *Tracker[S]) Next(row *Row, payload []byte, x *Found) bool {
	f := t.flow(x)
	if f == nil || row.Note&BadChecksum != 0 {
		return false
	}
	if f.has(unsettled) || !f.Trace.usual(row) {
		return false
	}
	var session *smtpsniff.Session
	if row.Len > 0 {
		session = t.sessions.At(f.Session)
		if session == nil || t.Listener.Bytes() > t.maxSessionBytes {
			return false
		}
	}
	if !t.stream.Next(&f.Conn, &row.Header, row.Time, payload) {
		return false
	}
	f.Last = max(f.Last, row.Time)
	if session == nil {
		return true
	}
	t.current = x.ref
	t.Count.Streamed += uint64(len(payload))
	t.Listener.Feed(session, smtpsniff.Side(row.Dir), payload)
	if len(t.Listener.Events) > 0 {
		t.said(t.table.Flows.KeyOf(x.ref), f, session)
	}
	return true
}
