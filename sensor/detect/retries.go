package detect

import (
	"fmt"
	"math"

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
	s, at := &p.mta, sketch.Stamp(o.Time)
	sketch.Increment(&s.Deferrals)
	if s.deferrers == 0 {
		s.firstDefer = at
	}
	sketch.AddRecent(s.deferred[:], o.Addr, at, retryTo)
	s.deferrers.Add(o.Addr)
	s.firstDefer = min(s.firstDefer, at)
}

// observeRetries counts attempts at servers that deferred when a queue would come back. Bots rarely
// have a queue: greylisting works because of that (RFC 6647).
func observeRetries(p *Profile, o *Observation) {
	s := &p.mta
	if s.deferrers.May(o.Addr) && sketch.Stamp(o.Time)-s.firstDefer >= retryFrom {
		s.retry(o.Addr, sketch.Stamp(o.Time))
	}
}

// retry is for an attempt at a server that may have deferred.
func (s *mtaLike) retry(addr, at uint32) {
	for i := range s.deferred {
		d := &s.deferred[i]
		if age := at - d.At; d.Hash == addr && d.At != 0 && age >= retryFrom && age <= retryTo {
			sketch.Increment(&s.Retried)
			d.Hash = ^addr // a deferral counts as retried once
		}
	}
	s.indexDeferred()
}

// indexDeferred makes the index of deferred anew.
func (s *mtaLike) indexDeferred() {
	s.deferrers, s.firstDefer = 0, math.MaxUint32
	for _, d := range s.deferred {
		if d.At != 0 {
			s.deferrers.Add(d.Hash)
			s.firstDefer = min(s.firstDefer, d.At)
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
