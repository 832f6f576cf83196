package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// contacts is threshold random walk (Jung, Paxson, Berger and Balakrishnan, "Fast Portscan
// Detection Using Sequential Hypothesis Testing", 2004) on the first contacts with networks. Most
// first contacts of a host that has mail to deliver succeed, because the DNS named the servers.
// Those of a host that works off a list fail.
//
// An attempt without an answer fails when its SYN is sent again: a TCP that does so has had no
// answer for a second, and waiting for the RST would take 75.7 s with a real bot's traffic. A
// SYN-ACK that comes later takes the failure back. A SYN without an answer that is not sent again
// says nothing: another machine may have sent it with the source's address. Where no answer is ever
// seen the mirror port may show one direction alone, or first SYNs only: there such a contact
// counts as answered.
type contacts struct {
	pending    [16]contact
	llr        float64
	failed     int
	worked     int
	unresolved int     // of pending: waiting, or silent and perhaps answered late
	accuse     float64 // the bound at which the test accuses, as of the latest result
}

// contact is the first attempt at a network.
type contact struct {
	addr, at uint32
	state    contactState
}

type contactState uint8

const (
	resolved contactState = iota // and the place is free
	waiting
	silent
)

// The test's assumptions, from the paper: the share of first contacts that work.
const (
	worksForHonest, worksForBot = 0.8, 0.2
	missRate                    = 0.01
)

// maxResults is how many results are looked at. A test that has not decided by then will not: the
// source is neither a bot nor an honest host, as the test assumes them.
const maxResults = 256

// contactStep is what one result adds or takes away.
var contactStep = math.Log(worksForHonest / worksForBot)

// failuresPerSuccess is how many first contacts of a bot fail for each that works, at least.
const failuresPerSuccess = 3

// partialShare is the part of the way to a decision that counts half: five failures of seven. At
// four failures, setting up a mail account would be enough.
const partialShare = 0.75

// lateTime is how long an answer may still come. A SYN is sent again for two minutes, but no
// program waits for an answer after 20 s.
const lateTime = 20 * second

// contactKinds are the kinds that begin or end a first contact.
var contactKinds = sees(KindSYN, KindRetransmit, KindSYNACK, KindRefused, KindUnreachable,
	KindEstablished)

// observeContacts begins a first contact with a SYN to a new network, and ends it with what comes
// next for that server: a retransmission or an error is a failure, an answer a success.
func observeContacts(p *Profile, c *Config, _ *Counters, o Observation) {
	switch o.Kind {
	case KindSYN:
		if o.newNet && p.reasons[Failures].Weight < 4.6 {
			p.contacts.begin(o.Addr, o.Time)
		}
	case KindRetransmit:
		p.contactSilent(c, o.Addr, o.Time)
	case KindSYNACK, KindEstablished:
		p.contactSucceeded(c, o.Addr, o.Time)
	case KindRefused, KindUnreachable:
		p.contactFailed(c, o.Addr, o.Time)
	}
}

// begin records a first contact. If too many are unresolved this one is left out: a handful
// decides.
func (t *contacts) begin(addr uint32, now int64) {
	if t.failed+t.worked >= maxResults {
		return
	}
	for i := range t.pending {
		if w := &t.pending[i]; w.state == resolved {
			*w = contact{addr: addr, at: sketch.Stamp(now), state: waiting}
			t.unresolved++
			return
		}
	}
}

// find is the unresolved contact with a server, nil if there is none.
func (t *contacts) find(addr uint32) *contact {
	if t.unresolved == 0 {
		return nil
	}
	for i := range t.pending {
		if w := &t.pending[i]; w.addr == addr && (w.state == waiting || w.state == silent) {
			return w
		}
	}
	return nil
}

// contactSilent counts a contact as failed whose SYN was sent again: the TCP has had no answer for
// a second, and there is no need to wait longer.
func (p *Profile) contactSilent(c *Config, addr uint32, now int64) {
	if w := p.contacts.find(addr); w != nil && w.state == waiting {
		w.state = silent
		p.contactResult(c, true, now)
	}
}

// contactSucceeded counts a contact as one that works, also if it had counted as failed.
func (p *Profile) contactSucceeded(c *Config, addr uint32, now int64) {
	w := p.contacts.find(addr)
	if w == nil {
		return
	}
	if w.state == silent {
		p.contacts.llr -= contactStep
		p.contacts.failed--
	}
	w.state = resolved
	p.contacts.unresolved--
	p.contactResult(c, false, now)
}

// contactFailed counts a contact as failed, unless it has counted already.
func (p *Profile) contactFailed(c *Config, addr uint32, now int64) {
	w := p.contacts.find(addr)
	if w == nil {
		return
	}
	if w.state == waiting {
		p.contactResult(c, true, now)
	}
	w.state = resolved
	p.contacts.unresolved--
}

// contactResult moves the test on by one result.
func (p *Profile) contactResult(c *Config, failed bool, now int64) {
	t := &p.contacts
	step := -contactStep
	if failed {
		step = contactStep
		t.failed++
	} else {
		t.worked++
	}
	lower := math.Log(missRate / (1 - c.Alpha))
	t.accuse = math.Log((1 - missRate) / c.Alpha)
	t.llr = math.Max(lower, t.llr+step)
	upper := t.accuse // infinite if too many contacts work
	if t.mostlyWorks() {
		upper = math.Inf(1)
	}
	switch {
	case t.llr >= upper:
		p.raise(Failures, now, float64(t.failed), math.Ceil(upper/contactStep), 4.6)
	case t.llr >= upper*partialShare && failed: // most of the way counts half
		p.raise(Failures, now, float64(t.failed), math.Ceil(upper*partialShare/contactStep), 2.3)
	default:
		p.weaken(&lateAnswers)
	}
}

// mostlyWorks reports whether too many contacts work for a bot. A walk without end crosses any
// bound: a server that empties its queue after an outage meets as many servers that are gone as
// others.
func (t *contacts) mostlyWorks() bool { return t.failed < failuresPerSuccess*t.worked }

// contactsRecovered reports whether the test has turned back since it found Failures.
func (p *Profile) contactsRecovered() bool {
	t := &p.contacts
	return p.has(Failures) && (t.llr < t.accuse/2 || t.mostlyWorks())
}

// HasPending reports whether ExpireContacts has something to do.
func (p *Profile) HasPending() bool { return p.contacts.unresolved > 0 }

// ExpireContacts resolves first contacts that got no answer in time. The caller calls it every
// second or so while HasPending.
func (p *Profile) ExpireContacts(c *Config, now int64) {
	t := &p.contacts
	if t.unresolved == 0 {
		return
	}
	for i := range t.pending {
		w := &t.pending[i]
		// Without any SYN-ACK in the capture a silent contact counts as one that works.
		switch age := now - int64(w.at)*second; {
		case w.state == waiting && age >= answerTime:
			w.state = resolved
			t.unresolved--
			if p.answered == 0 {
				p.contactResult(c, false, now)
			}
		case w.state == silent && age >= lateTime:
			w.state = resolved
			t.unresolved--
		}
	}
}

// textFailures explains the failures by blocked egress if no attempt was ever answered. Else
// r.Value is the number of failures.
func textFailures(p *Profile, n *Counters, r *verdict.Reason) string {
	if e := p.Egress(); e.Blocked() {
		at := &p.ports[p.busiest()]
		text := fmt.Sprintf("It tried one new mail network after the other although none of its "+
			"%s on port %d was answered: %s.",
			verdict.Plural(max(at.Attempts, n.attemptsBefore(at.Port)), "attempt"), at.Port,
			e.text())
		if p.level >= verdict.Likely {
			text += " The machine is infected although its mail is blocked."
		}
		return text
	}
	if p.contacts.worked == 0 {
		return fmt.Sprintf("All first contacts with %d new mail networks failed; a real sender "+
			"knows working servers.", int(r.Value))
	}
	return fmt.Sprintf("%d of the first contacts with %d new mail networks failed; a real "+
		"sender knows working servers.", int(r.Value), p.contacts.failed+p.contacts.worked)
}

// merge adds the contacts of o, which came later.
func (t *contacts) merge(c *Config, o *contacts) {
	_, lower := c.bounds()
	t.llr = math.Max(lower, t.llr+o.llr)
	t.failed += o.failed
	t.worked += o.worked
	free := 0
	for _, w := range o.pending {
		for w.state != resolved && free < len(t.pending) && t.pending[free].state != resolved {
			free++
		}
		if w.state != resolved && free < len(t.pending) {
			t.pending[free] = w
			t.unresolved++
		}
	}
}
