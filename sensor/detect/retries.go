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
	s := &p.mta
	switch {
	case o.Kind == KindDeferred, o.Port == 25 && p.answered > 0:
		sketch.Increment(&s.Deferrals)
		s.noteDeferred(o.Addr, o.Time)
	case o.Port == 25:
		s.unanswered(p.providers.Unit(o.Net), o.Time)
	}
}

// observeSilence counts an attempt whose SYN was sent again as a deferral, while none was ever
// answered.
func observeSilence(p *Profile, o *Observation) {
	if p.answered == 0 && o.Port == 25 {
		p.mta.unanswered(p.providers.Unit(o.Net), o.Time)
	}
}

// unanswered counts a deferral where the way out may be closed. Then a queue comes back to the
// provider, by any of its servers. Failures of one provider that follow each other are one
// deferral: a queue tries the servers in turn.
func (s *mtaLike) unanswered(unit uint32, now int64) {
	for i := range s.deferred {
		d := &s.deferred[i]
		switch {
		case d.At == 0 || d.Hash != unit && d.Hash != ^unit:
			continue
		case d.Hash == ^unit || sketch.Stamp(now) >= d.At+retryFrom:
			sketch.Increment(&s.Deferrals)
		}
		*d = sketch.Slot{Hash: unit, At: sketch.Stamp(now)}
		s.deferrers.Add(unit)
		return
	}
	sketch.Increment(&s.Deferrals)
	s.noteDeferred(unit, now)
}

// noteDeferred keeps the hash of a server or provider that deferred.
func (s *mtaLike) noteDeferred(hash uint32, now int64) {
	at := sketch.Stamp(now)
	if s.deferrers == 0 {
		s.firstDefer = at
	}
	sketch.AddRecent(s.deferred[:], hash, at, retryTo)
	s.deferrers.Add(hash)
	s.firstDefer = min(s.firstDefer, at)
}

// observeRetries counts attempts at servers that deferred when a queue would come back. Bots rarely
// have a queue: greylisting works because of that (RFC 6647).
func observeRetries(p *Profile, o *Observation) {
	s := &p.mta
	if (s.deferrers.May(o.Addr) || s.deferrers.May(o.unit)) &&
		sketch.Stamp(o.Time)-s.firstDefer >= retryFrom {
		s.retry(o.Addr, o.unit, sketch.Stamp(o.Time))
	}
}

// retry is for an attempt at a server that may have deferred, or whose provider may have.
func (s *mtaLike) retry(addr, unit, at uint32) {
	for i := range s.deferred {
		d := &s.deferred[i]
		if d.Hash != addr && d.Hash != unit || d.At == 0 {
			continue
		}
		if age := at - d.At; age >= retryFrom && age <= retryTo {
			sketch.Increment(&s.Retried)
			d.Hash = ^d.Hash // a deferral counts as retried once
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
	return fmt.Sprintf("In its favour: it retried after %d of %d deferrals and failed "+
		"connections, as a mail queue does.", p.mta.Retried, p.mta.Deferrals)
}
