package detect

import (
	"fmt"
	"math/bits"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/verdict"
)

// maxFailuresWeight is the weight of Failures once a test has decided.
const maxFailuresWeight = 4.6

// observeFailures begins a first contact with a SYN to a new provider or network, which ends with
// what comes next for that one: a retransmission or an error is a failure, an answer a success. On
// port 25 the share of failures is tested too, of the source's own deliveries: a host to which
// others bring mail is a mail server, whose queue may hold what it has tried for days.
func observeFailures(p *Profile, o *Observation) {
	if o.newUnit && p.reasons[Failures].Weight < maxFailuresWeight {
		p.contacts.Begin(o.unit, o.Time)
	}
	if bits.OnesCount8(p.behaviour.Ports) > 1 { // of the server of this attempt
		p.contacts.Drop(o.unit)
	}
	switch {
	case o.newUnit && o.direct():
		p.share.Begin(o.unit, o.Time)
	case o.Port == 25:
		p.share.Again(o.unit, o.Time)
	}
}

// contactRetransmitted is for a SYN that was sent again.
func contactRetransmitted(p *Profile, c *Config, o *Observation) {
	p.judgeContacts(p.contacts.Retransmitted(p.providers.Unit(o.Net), c.Alpha), o.Time)
}

// contactAnswered is for a SYN-ACK or a handshake.
func contactAnswered(p *Profile, c *Config, o *Observation) {
	unit := p.providers.Unit(o.Net)
	p.judgeContacts(p.contacts.Answered(unit, c.Alpha), o.Time)
	if p.share.Answered(unit, c.Alpha, o.Time) && !p.has(Serves) {
		p.raise(Failures, o.Time, float64(p.share.Failed()), 0, maxFailuresWeight)
	}
}

// contactRefused is for an error that answers a SYN.
func contactRefused(p *Profile, c *Config, o *Observation) {
	p.judgeContacts(p.contacts.Refused(p.providers.Unit(o.Net), c.Alpha), o.Time)
}

// judgeContacts is for a decision of the test. Most of the way to Fails counts half.
func (p *Profile) judgeContacts(d contacts.Decision, now int64) {
	t := &p.contacts
	switch d {
	case contacts.Fails:
		p.raise(Failures, now, float64(t.Failed()), t.Threshold(d), maxFailuresWeight)
	case contacts.Partial:
		p.raise(Failures, now, float64(t.Failed()), t.Threshold(d), 2.3)
	case contacts.Undecided:
		p.weaken(&lateAnswers)
	}
}

// contactsRecovered reports whether the tests have turned back since one found Failures.
func (p *Profile) contactsRecovered() bool {
	return p.has(Failures) && p.contacts.Recovered() && !p.share.Fails()
}

// HasPending reports whether ExpireContacts has something to do.
func (p *Profile) HasPending() bool { return p.contacts.HasPending() }

// ExpireContacts resolves first contacts that got no answer in time. The caller calls it every
// second or so while HasPending.
func (p *Profile) ExpireContacts(c *Config, now int64) {
	if !p.contacts.HasPending() {
		return
	}
	for d := range p.contacts.Expire(c.Alpha, p.answered > 0, now) {
		p.judgeContacts(d, now)
	}
}

// Egress is the state of egress on the port with the most attempts.
func (p *Profile) Egress() contacts.Egress {
	return p.ports.Egress(contacts.Attempts{Networks: p.nets.Len(), Answered: p.answered,
		Retransmitted: p.retransmitted})
}

// textFailures explains the failures by blocked egress if no attempt was ever answered. Else
// r.Value is the number of failures.
func textFailures(p *Profile, n *Counters, r *verdict.Reason) string {
	if e := p.Egress(); e.Blocked() {
		at := p.ports.Busiest()
		text := fmt.Sprintf("It tried one new mail network after the other although none of its "+
			"%s on port %d was answered: %s.",
			verdict.Plural(max(at.Attempts, n.attemptsBefore(at.Port)), "attempt"), at.Port,
			e.Cause())
		if p.level >= verdict.Likely {
			text += " The machine is infected although its mail is blocked."
		}
		return text
	}
	if p.share.Fails() {
		return fmt.Sprintf("%d of its first contacts with %d mail providers on port 25 failed "+
			"while others worked, and it did not try them again; of a mail server's about 3 in "+
			"100 fail, and it tries them again.", p.share.Failed(),
			p.share.Failed()+p.share.Worked())
	}
	if p.contacts.Worked() == 0 {
		return fmt.Sprintf("All first contacts with %d new mail networks failed; a real sender "+
			"knows working servers.", int(r.Value))
	}
	return fmt.Sprintf("%d of the first contacts with %d new mail networks failed; a real "+
		"sender knows working servers.", int(r.Value), p.contacts.Failed()+p.contacts.Worked())
}
