package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// fewConflicts is how many sessions with other bytes in the same place are no accident, if they are
// a quarter of all.
const fewConflicts = 3

// observeConflicts counts sessions in which the client sent bytes again, and others. No TCP does
// that (RFC 9293, section 3.7): a program that writes its own segments hides from a sensor what the
// server reads.
func observeConflicts(p *Profile, o *Observation) {
	// A few conflicts in many sessions are errors of the network.
	sketch.Increment(&p.conflicting)
	if p.conflicting >= fewConflicts && p.conflicting*4 >= p.sessions {
		p.raise(Conflicts, o.Time, float64(p.conflicting), fewConflicts, 4.6)
	}
}

// textConflicts has the number of sessions, r.Value.
func textConflicts(_ *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("In %s it sent a part of the stream twice, with different bytes. No TCP "+
		"does that; it hides from a listener what the servers read.",
		verdict.Plural(uint32(r.Value), "session"))
}
