package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// A queue tries again after minutes: Postfix after 300 to 4,000 s; RFC 5321, section 4.5.4.1,
// recommends 30 minutes.
const retryFrom, retryTo = 240, 4 * 3600 // seconds

// observeRetries counts deferrals, and attempts at servers that deferred when a queue would come
// back. Bots rarely have a queue: greylisting works because of that (RFC 6647). A connection that a
// firewall or a provider rejects defers the mail, too.
func observeRetries(p *Profile, _ *Config, _ *Counters, o Observation) {
	s := &p.mta
	if o.Kind != KindSYN {
		if o.Kind != KindDeferred && o.Port != 25 {
			return
		}
		sketch.Increment(&s.Deferrals)
		sketch.AddRecent(s.deferred[:], o.Addr, sketch.Stamp(o.Time), retryTo)
		return
	}
	if s.Deferrals == 0 {
		return
	}
	// A deferral counts as retried once: its slot is spoilt then.
	for i := range s.deferred {
		d := &s.deferred[i]
		age := sketch.Stamp(o.Time) - d.At
		if d.Hash == o.Addr && d.At != 0 && age >= retryFrom && age <= retryTo {
			sketch.Increment(&s.Retried)
			d.Hash = ^o.Addr // counted
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
