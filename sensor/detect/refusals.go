package detect

import (
	"fmt"
	"math"
	"sync/atomic"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// refusalTest is Wald's sequential probability ratio test (Wald 1945) on the share of mail
// transactions that are refused. A transaction is refused when none of its recipients, or not the
// message, is accepted; a connection that is refused before any mail counts as one.
//
// The test is for independent observations. Two refusals by one server are not: it may dislike the
// client's address, and then it refuses everything. So what repeats itself has a smaller weight,
// see refusers. Refusals by many servers, of many senders, or of many messages each say something
// new.
type refusalTest struct {
	LLR      float64 `json:"LLR"`
	Sessions int     `json:"Sessions"` // transactions until the decision
	Refused  int     `json:"Refused"`  // of these
	Accepted uint32  `json:"Taken"`    // transactions whose message was accepted
	Total    uint32  `json:"All"`
}

// decidedWeight is the weight of Refusals once the test has decided.
const decidedWeight = 4.6

// partialLLR is how far on the way a test must be to count at all: twenty to one, which is two
// refused transactions in a row, or three of six.
const partialLLR = 3.0

// refusers are the providers whose servers refused lately, to know what repeats itself: by the
// domain with which the server greets, else by its network.
type refusers [8]refuser

// refuser is a provider, and how often it refused.
type refuser struct {
	Net   uint32 `json:"Net"`
	At    uint32 `json:"At"` // stamp of the latest refusal; zero if the place is free
	Count uint32 `json:"Count"`
}

const (
	// refuserTime is how long refusals of one provider repeat each other, in seconds: 30 days. It
	// dislikes an address for as long as that has its reputation.
	refuserTime = 30 * 86400
	// freeRefusals is how many refusals of the client by one provider count at all.
	freeRefusals = 3
	// freeRecipients is how many refusals of recipients by one server count fully.
	freeRecipients = 3
	// repeatedRecipient is the weight of a further one. With it Wald's test does not move for a
	// sender of whose recipients four in ten are gone: a mailing list may have three in ten.
	repeatedRecipient = 0.5
)

// weigh counts a refusal, and returns its weight: how much it says beside what the same server has
// said before. The first mail of each sender domain is always new, and so is each message whose
// content is refused. A server that refuses the client or its address refuses all of its mail: the
// second and third refusal count half of the one before, further ones nothing. A client that comes
// back after a deferral, as it should, gets the same answer.
func (r *refusers) weigh(o *Observation) float64 {
	before := r.count(o)
	switch {
	case o.NewFrom || before == 0:
		return 1
	case o.Later:
		return 0
	case o.About == AboutContent:
		return 1
	case o.About == AboutRecipient:
		if before < freeRecipients {
			return 1
		}
		return repeatedRecipient
	}
	if before >= freeRefusals {
		return 0
	}
	return math.Pow(2, -float64(before))
}

// weighList is the weight of a refusal that names a blocklist. Servers that ask one list repeat
// what it says: for a source with the one full name of a mail server they are like one server. A
// mail server whose address has come on a list may send before it takes mail in.
func (p *Profile) weighList(o *Observation) float64 {
	if o.Hash == 0 || !p.oneName() {
		return 1
	}
	list := *o
	list.Net = o.Hash
	return p.refusers.weigh(&list)
}

// count counts a refusal, and returns how many the provider has said before.
func (r *refusers) count(o *Observation) (before uint32) {
	x := r.place(o.Net, sketch.Stamp(o.Time))
	x.Count++
	return x.Count - 1
}

// place is the place of a provider that refuses now, with its count so far. The provider that has
// not refused for longest makes room.
func (r *refusers) place(net, now uint32) *refuser {
	oldest := &r[0]
	for i := range r {
		x := &r[i]
		if x.At != 0 && x.Net == net {
			if now >= x.At+refuserTime {
				x.Count = 0
			}
			x.At = now
			return x
		}
		if x.At < oldest.At {
			oldest = x
		}
	}
	*oldest = refuser{Net: net, At: max(now, 1)}
	return oldest
}

// merge adds the providers of o, which refused later.
func (r *refusers) merge(o *refusers) {
	for _, x := range o {
		if x.At != 0 {
			r.place(x.Net, x.At).Count += x.Count
		}
	}
}

// saved are the providers as a checkpoint keeps them.
func (r *refusers) saved() (list []refuser) {
	for _, x := range r {
		if x.At != 0 {
			list = append(list, x)
		}
	}
	return list
}

// observeRefusals takes in that a transaction was refused, or its message accepted. A session that
// goes over to TLS first is neither, and so is a refusal that says nothing about the sender; see
// refusal.Reason.Neutral.
func observeRefusals(p *Profile, c *Config, o *Observation) {
	if o.OneSided {
		p.half.observe(o.Refused)
		return
	}
	weight := 1.0
	if o.Refused {
		if weight = p.refusers.weigh(o); weight == 0 {
			return
		}
		weight = min(weight, p.weighList(o))
	}
	decided := p.refusalsDecided()
	if o.Revoked {
		p.refusalTest.revoke(c, decided)
		if !o.Returned {
			p.refusalTestUnlisted.revoke(c, decided && p.has(Serves))
		}
	}
	p.refusalTest.step(c, o, weight, decided)
	if !o.Listed && !o.Returned {
		p.refusalTestUnlisted.step(c, o, weight, decided && p.has(Serves))
	}
	switch {
	case !o.Refused:
		p.weaken(&acceptedMail)
	case p.refusalCounts(o):
		p.judgeRefusals(c, o.Time)
	}
}

// refusalCounts reports whether a refusal counts against the source: one that names a blocklist, or
// is of returned mail, does not count against a mail server, see refusalTestInForce.
func (p *Profile) refusalCounts(o *Observation) bool {
	return o.Refused && !((o.Listed || o.Returned) && p.has(Serves))
}

// step moves the test on by a transaction. decided says that the test has decided: its counts stay.
// To be accepted by a server of ours is no welcome.
func (t *refusalTest) step(c *Config, o *Observation, weight float64, decided bool) {
	refused := o.Refused
	if !o.Own || refused {
		sketch.Increment(&t.Total)
	}
	if !refused && !o.Own {
		sketch.Increment(&t.Accepted)
	}
	if decided {
		return
	}
	t.Sessions++
	refusedStep, step := c.refusalSteps()
	if refused {
		t.Refused++
		step = refusedStep * weight
	}
	// An honest past must not count without end in favour of a host that was taken over.
	_, lower := contacts.Bounds(c.Alpha)
	t.LLR = max(lower, t.LLR+step)
}

// refusalSteps are what a refused and an accepted transaction add to the test. As contacts.Bounds,
// they are computed once.
func (c *Config) refusalSteps() (refused, accepted float64) {
	s := latestSteps.Load()
	if s == nil || s.low != c.RefusalLow || s.high != c.RefusalHigh {
		s = &refusalSteps{c.RefusalLow, c.RefusalHigh, math.Log(c.RefusalHigh / c.RefusalLow),
			math.Log((1 - c.RefusalHigh) / (1 - c.RefusalLow))}
		latestSteps.Store(s)
	}
	return s.refused, s.accepted
}

// refusalSteps are the steps of the two shares of a Config.
type refusalSteps struct{ low, high, refused, accepted float64 }

var latestSteps atomic.Pointer[refusalSteps]

// revoke takes back a refused transaction: its message was accepted for other recipients.
func (t *refusalTest) revoke(c *Config, decided bool) {
	t.Total -= min(t.Total, 1)
	if decided || t.Refused == 0 {
		return
	}
	t.Sessions--
	t.Refused--
	_, lower := contacts.Bounds(c.Alpha)
	refusedStep, _ := c.refusalSteps()
	t.LLR = max(lower, t.LLR-refusedStep)
}

// judgeRefusals is for a transaction that was refused. A test that is on its way counts in part,
// but not if one server refuses few senders, or if others brought the mail.
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

// IsMuchRefused reports whether servers refused one in five of the source's transactions, and at
// least three.
func (p *Profile) IsMuchRefused() bool {
	t := &p.refusalTest
	return t.Refused >= 3 && t.Refused*5 >= t.Sessions
}

// textRefusals has the transactions of the test in force.
func textRefusals(p *Profile, _ *Counters, _ *verdict.Reason) string {
	t := p.refusalTestInForce()
	if t.Refused == t.Sessions {
		return fmt.Sprintf("Receiving servers refused all of its first %s that they accepted or "+
			"refused.", verdict.Plural(t.Sessions, "mail"))
	}
	return fmt.Sprintf("Receiving servers refused %d of its first %s that they accepted or "+
		"refused.", t.Refused, verdict.Plural(t.Sessions, "mail"))
}

// merge adds the transactions of o.
func (t *refusalTest) merge(c *Config, o *refusalTest) {
	_, lower := contacts.Bounds(c.Alpha)
	t.LLR = max(lower, t.LLR+o.LLR)
	t.Sessions += o.Sessions
	t.Refused += o.Refused
	t.Accepted += o.Accepted
	t.Total += o.Total
}
