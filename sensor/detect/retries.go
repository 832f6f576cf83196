package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// A queue tries again after minutes: Postfix after 300 to 4,000 s; RFC 5321, section 4.5.4.1,
// recommends 30 minutes.
const retryFrom, retryTo = 240, 4 * 3600 // seconds

// observeDeferral counts a deferral. A connection that a firewall or a provider rejects defers the
// mail, too.
func observeDeferral(p *Profile, o *Observation) {
	if o.Kind != KindDeferred && o.Port != 25 {
		return
	}
	s := &p.mta
	sketch.Increment(&s.Deferrals)
	sketch.AddRecent(s.deferred[:], o.Addr, sketch.Stamp(o.Time), retryTo)
	s.deferredBits |= 1 << (o.Addr % 64)
}

// observeRetries counts attempts at servers that deferred when a queue would come back. Bots rarely
// have a queue: greylisting works because of that (RFC 6647).
func observeRetries(p *Profile, o *Observation) {
	if p.mta.deferredBits>>(o.Addr%64)&1 != 0 {
		p.mta.retried(o.Addr, o.Time)
	}
}

// retried is for an attempt at a server that may have deferred.
func (s *mtaLike) retried(addr uint32, now int64) {
	at := sketch.Stamp(now)
	for i := range s.deferred {
		d := &s.deferred[i]
		if age := at - d.At; d.Hash == addr && d.At != 0 && age >= retryFrom && age <= retryTo {
			sketch.Increment(&s.Retried)
			d.Hash = ^addr // a deferral counts as retried once
			s.deferredBits |= 1 << (d.Hash % 64)
		}
	}
}

// holdsRetries is for three deferrals or more of which 60 % were followed by another attempt.
func holdsRetries(p *Profile) (holds bool, value, threshold float64) {
	s := &p.mta
	share := float64(s.Retried) / float64(max(1, s.Deferrals))
	return s.Deferrals >= 3 && s.Retried*10 >= s.Deferrals*6, share, 0.6
}

// textRetries has the deferrals and the retries.
func textRetries(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("In its favour: it retried after %d of %d deferrals and rejected "+
		"connections, as a mail queue does.", p.mta.Retried, p.mta.Deferrals)
}
