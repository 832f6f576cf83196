package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// refusalTest is Wald's sequential probability ratio test (Wald 1945) on the share of sessions that
// are refused. A session is refused when a refusal comes before a message is accepted.
type refusalTest struct {
	LLR      float64 `json:"LLR"`
	Sessions int     `json:"Sessions"`
	Refused  int     `json:"Refused"`
	Accepted uint32  `json:"Taken"` // sessions in which a message was accepted first
	Total    uint32  `json:"All"`
}

// decidedWeight is the weight of Refusals once the test has decided.
const decidedWeight = 4.6

// partialLLR is how far on the way a test must be to count at all: twenty to one, which is two
// refused sessions in a row, or three of six.
const partialLLR = 3.0

// observeRefusals takes in that a session was refused, or that a message was accepted in it. A
// session that goes over to TLS first is neither, and so is one whose refusal says nothing about
// the sender; see refusal.Reason.Neutral.
func observeRefusals(p *Profile, c *Config, _ *Counters, o Observation) {
	decided := p.refusalsDecided()
	p.refusalTest.step(c, o.Refused, decided)
	if !o.Listed {
		p.refusalTestUnlisted.step(c, o.Refused, decided && p.has(Serves))
	}
	switch {
	case !o.Refused:
		p.weaken(&acceptedMail)
	case p.refusalCounts(&o):
		p.judgeRefusals(c, o.Time)
	}
}

// refusalCounts reports whether a refusal counts against the source: one that names a blocklist
// does not count against a mail server, see refusalTestInForce.
func (p *Profile) refusalCounts(o *Observation) bool {
	return o.Refused && !(o.Listed && p.has(Serves))
}

// step moves the test on by a session. decided says that the test has decided: its counts stay.
func (t *refusalTest) step(c *Config, refused, decided bool) {
	sketch.Increment(&t.Total)
	if !refused {
		sketch.Increment(&t.Accepted)
	}
	if decided {
		return
	}
	t.Sessions++
	step := math.Log((1 - c.RefusalHigh) / (1 - c.RefusalLow))
	if refused {
		t.Refused++
		step = math.Log(c.RefusalHigh / c.RefusalLow)
	}
	// An honest past must not count without end in favour of a host that was taken over.
	_, lower := contacts.Bounds(c.Alpha)
	t.LLR = math.Max(lower, t.LLR+step)
}

// judgeRefusals is for a session that was refused. A test that is on its way counts in part, but
// not if one server refuses few senders, or if others brought the mail.
func (p *Profile) judgeRefusals(c *Config, now int64) {
	t := p.refusalTestInForce()
	switch upper, _ := contacts.Bounds(c.Alpha); {
	case t.LLR >= upper-1e-9:
		p.raise(Refusals, now, float64(t.Refused), 6, decidedWeight)
	case t.LLR >= partialLLR && !p.has(Serves) &&
		(p.nets.Len() > 1 || p.envelope.distinct.Len() >= c.MassSenderDomains):
		p.raise(Refusals, now, float64(t.Refused), 2, math.Round(46*t.LLR/upper)/10)
	}
}

// refusalsDecided reports whether the test has decided against the source.
func (p *Profile) refusalsDecided() bool { return p.reasons[Refusals].Weight >= decidedWeight }

// refusalsRecovered reports whether the test was on its way to a decision and is not any more.
func (p *Profile) refusalsRecovered() bool {
	return p.has(Refusals) && !p.refusalsDecided() && p.refusalTestInForce().LLR < partialLLR
}

// WasRefused reports whether a server refused the source's mail, or named a blocklist.
func (p *Profile) WasRefused() bool { return p.refusalTest.Refused > 0 || p.blocklists.n > 0 }

// textRefusals has the sessions of the test in force.
func textRefusals(p *Profile, _ *Counters, _ *verdict.Reason) string {
	t := p.refusalTestInForce()
	if t.Refused == t.Sessions {
		return fmt.Sprintf("Receiving servers refused mail in all of its first %s in which "+
			"they accepted or refused any.", verdict.Plural(t.Sessions, "session"))
	}
	return fmt.Sprintf("Receiving servers refused mail in %d of its first %s in which they "+
		"accepted or refused any.", t.Refused, verdict.Plural(t.Sessions, "session"))
}

// merge adds the sessions of o.
func (t *refusalTest) merge(c *Config, o *refusalTest) {
	_, lower := contacts.Bounds(c.Alpha)
	t.LLR = math.Max(lower, t.LLR+o.LLR)
	t.Sessions += o.Sessions
	t.Refused += o.Refused
	t.Accepted += o.Accepted
	t.Total += o.Total
}
