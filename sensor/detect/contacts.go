package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[Failures] = detector{"failed_contacts", Outcome, func(h *Profile, f *Counters, r *verdict.Reason) string {
		if e := h.Egress(); e.Blocked() {
			p := &h.ports[h.busiest()]
			text := fmt.Sprintf("It tried one new mail network after the other although none of its %s on port %d was answered: %s.", verdict.Plural(max(p.attempts, f.attemptsBefore(p.port)), "attempt"), p.port, e.text())
			if h.level >= verdict.Likely {
				text += " The machine is infected all the same."
			}
			return text
		}
		if h.contacts.worked == 0 {
			return fmt.Sprintf("None of the first %d new mail networks let it in; who has mail to deliver knows where to.", int(r.Value))
		}
		return fmt.Sprintf("%d of the first %d new mail networks did not let it in; who has mail to deliver knows where to.", int(r.Value), h.contacts.failed+h.contacts.worked)
	}}
}

// contacts is threshold random walk (Jung, Paxson, Berger and Balakrishnan 2004) on the
// first contacts with networks: a host that has mail to deliver is let in by most of the
// servers it was told of, a host that works off a list is not.
//
// An attempt that nobody answers fails when its SYN is sent again: a TCP that does so has had no answer for a second, and
// waiting for the RST would take 75.7 s on a real bot's traffic. A SYN-ACK that comes later takes it back. A SYN that nobody
// answers and that is not sent again says nothing: somebody else may have sent it in the host's name. Where no answer is ever
// seen the mirror may show one direction alone, or first SYNs: there it is taken for an answered one.
type contacts struct {
	pending    [16]contact
	llr        float64
	failed     int
	worked     int
	unresolved int // waiting, or silent and perhaps answered late
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

// begin notes a first contact. When too many are open already this one is left out: a
// handful decides.
func (o *contacts) begin(a *Attempt) {
	if o.failed+o.worked >= maxResults {
		return
	}
	for i := range o.pending {
		if w := &o.pending[i]; w.state == resolved {
			*w = contact{addr: a.Addr, at: sketch.Stamp(a.Time), state: waiting}
			o.unresolved++
			return
		}
	}
}

// maxResults is how many outcomes are looked at. A test that has not decided by then will
// not: the attempts are neither the one kind nor the other.
const maxResults = 256

func (o *contacts) find(addr uint32) *contact {
	if o.unresolved == 0 {
		return nil
	}
	for i := range o.pending {
		if w := &o.pending[i]; w.addr == addr && (w.state == waiting || w.state == silent) {
			return w
		}
	}
	return nil
}

// contactStep is what one outcome adds or takes away.
var contactStep = math.Log(worksForHonest / worksForBot)

// failuresPerSuccess is how many first contacts of a bot fail for each that works, at least.
const failuresPerSuccess = 3

// partialShare is how far on the way to a decision the test counts half: five failures of seven.
// At four, setting up a mail account is enough.
const partialShare = 0.75

// contactResult moves the test on.
func (h *Profile) contactResult(c *Config, failed bool, now int64) {
	o := &h.contacts
	s := -contactStep
	if failed {
		s = contactStep
		o.failed++
	} else {
		o.worked++
	}
	decided, lower := math.Log((1-missRate)/c.Alpha), math.Log(missRate/(1-c.Alpha))
	upper := decided
	o.llr = math.Max(lower, o.llr+s)
	if o.failed < failuresPerSuccess*o.worked {
		// A walk without end crosses any bound: a server that empties its queue after an outage meets
		// as many that are gone as such that are there.
		upper = math.Inf(1)
	}
	switch {
	case o.llr >= upper:
		h.raise(Failures, now, float64(o.failed), math.Ceil(upper/contactStep), 4.6)
	case o.llr >= upper*partialShare && failed: // most of the way counts half
		h.raise(Failures, now, float64(o.failed), math.Ceil(upper*partialShare/contactStep), 2.3)
	case h.has(Failures) && (o.llr < decided/2 || math.IsInf(upper, 1)):
		h.reasons[Failures] = verdict.Reason{} // answers came late
		h.changed = true
	}
}

// Repeated is the observation that the SYN of an attempt was sent again, after so long. net and isn, its initial sequence number,
// need to be known if the host is Unproved, addr also if it is Expecting.
func (h *Profile) SYNRetransmitted(c *Config, addr, net, isn uint32, after, now int64) {
	// Linux repeats a SYN after 1 s, 2 s, 4 s, Windows after 3 s, or half a second behind a RST.
	if after < second*4/10 || after > 10*second {
		return
	}
	inc(&h.retransmitted)
	h.confirmServer(addr, net, isn)
	// A TCP that sends a SYN again has had no answer for a second: no need to wait longer.
	if w := h.contacts.find(addr); w != nil && w.state == waiting {
		w.state = silent
		h.contactResult(c, true, now)
	}
}

// Answered is the observation of a SYN-ACK.
func (h *Profile) Answered(c *Config, addr uint32, port uint16, now int64) {
	inc(&h.answered)
	if p := h.port(port); p != nil {
		inc(&p.answered)
	}
	h.contactSucceeded(c, addr, now)
}

// contactSucceeded notes that a first contact works.
func (h *Profile) contactSucceeded(c *Config, addr uint32, now int64) {
	w := h.contacts.find(addr)
	if w == nil {
		return
	}
	if w.state == silent { // it counted as failed
		h.contacts.llr -= contactStep
		h.contacts.failed--
	}
	w.state = resolved
	h.contacts.unresolved--
	h.contactResult(c, false, now)
}

// Failed is the observation that an attempt was refused: by a RST, or by an ICMP error.
func (h *Profile) Failed(c *Config, addr uint32, port uint16, icmp bool, now int64) {
	if p := h.port(port); p != nil {
		if icmp {
			inc(&p.unreachable)
		} else {
			inc(&p.refused)
		}
	}
	w := h.contacts.find(addr)
	if w == nil {
		return
	}
	if w.state == waiting {
		h.contactResult(c, true, now)
	}
	w.state = resolved
	h.contacts.unresolved--
}

// Expecting reports whether Answered and Failed need to know the address.
func (h *Profile) Expecting() bool { return h.contacts.unresolved > 0 }

// lateTime is how long an answer may still come: a SYN is sent again for two minutes, but
// what comes after 20 s no program waits for.
const lateTime = 20 * second

// HasPending reports whether Settle will have something to do.
func (h *Profile) HasPending() bool { return h.contacts.unresolved > 0 }

// ExpireContacts takes first contacts that nobody answered for failed. It is to be called every
// second or so.
func (h *Profile) ExpireContacts(c *Config, now int64) {
	o := &h.contacts
	if o.unresolved == 0 {
		return
	}
	for i := range o.pending {
		w := &o.pending[i]
		switch age := now - int64(w.at)*second; {
		case w.state == waiting && age >= AnswerTime:
			w.state = resolved
			o.unresolved--
			if h.answered == 0 {
				h.contactResult(c, false, now)
			}
		case w.state == silent && age >= lateTime:
			w.state = resolved
			o.unresolved--
		}
	}
}

// portOutcome is what became of the attempts to a port.
type portOutcome struct {
	attempts, answered, opened, refused, unreachable uint32
	port                                             uint16
}

// port is nil for the fifth port and later.
func (h *Profile) port(p uint16) *portOutcome {
	for i := range h.ports {
		if o := &h.ports[i]; o.port == p || o.port == 0 {
			o.port = p
			return o
		}
	}
	return nil
}

// attemptsBefore is how many attempts to a port there were if none became a session: also those of the time
// when there was no Profile yet.
func (f *Counters) attemptsBefore(port uint16) uint32 {
	for _, p := range f.Ports {
		if p.Port == port && f.Sessions == 0 {
			return p.Count
		}
	}
	return 0
}

// busiest is the port with the most attempts.
func (h *Profile) busiest() (best int) {
	for i := range h.ports {
		if h.ports[i].attempts > h.ports[best].attempts {
			best = i
		}
	}
	return best
}

// Egress is what becomes of a host's connections on their way out.
type Egress uint8

// The states of egress.
const (
	UnknownEgress Egress = iota
	OpenEgress           // servers answer
	DropEgress           // nobody ever answers
	ResetEgress          // every attempt is answered with a RST
	ICMPEgress           // a router says that it is prohibited, or unreachable
)

// String is the name used in events.
func (e Egress) String() string { return [...]string{"unknown", "open", "drop", "reset", "icmp"}[e] }

// Blocked reports whether something stops the host's connections.
func (e Egress) Blocked() bool { return e >= DropEgress }

func (e Egress) text() string {
	return [...]string{DropEgress: "something on the way out drops them", ResetEgress: "something on the way out resets them",
		ICMPEgress: "a router on the way out refuses them"}[e]
}

// blockedAfter is how many attempts without a single answer mean that egress is blocked:
// had even one server in four answered, the chance of none in 16 were 1 %.
const blockedAfter = 16

// Egress is the state of egress on the port that the host tries most.
func (h *Profile) Egress() Egress {
	p := &h.ports[h.busiest()]
	switch {
	case p.answered+p.opened > 0:
		return OpenEgress
	case p.attempts < blockedAfter || h.nets.Len() < 4:
		return UnknownEgress
	case p.unreachable*2 > p.attempts:
		return ICMPEgress
	case p.refused*2 > p.attempts:
		return ResetEgress
	case h.answered == 0 && h.retransmitted*2 < p.attempts:
		// A TCP without an answer sends the SYN again. This one got answers that are not in
		// the capture, or it is no TCP.
		return UnknownEgress
	}
	return DropEgress
}
