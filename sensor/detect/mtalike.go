package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[OneName] = detector{"one_name", Mitigating, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("In its favour: it always gave the same full name (%s), as a mail server does.", h.heloNames.name[0])
	}}
	detectors[Welcome] = detector{"welcome", Mitigating, func(h *Profile, f *Counters, r *verdict.Reason) string {
		t := h.refusalTestInForce()
		return fmt.Sprintf("In its favour: %d of %s with a decision were accepted by the receiving servers.", t.accepted, verdict.Plural(t.total, "session"))
	}}
	detectors[Retries] = detector{"retries", Mitigating, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("In its favour: it tried again after %d of %s, as a queue does.", h.mta.retried, verdict.Plural(h.mta.deferrals, "deferral"))
	}}
	detectors[Serves] = detector{"serves", Mitigating, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("In its favour: %s from outside bring it mail.", verdict.Plural(h.mta.served, "host"))
	}}
}

// mtaLike is what tells a mail server from a bot.
type mtaLike struct {
	name         uint32 // the one HELO name; see named
	sessions     uint32 // in which it was given
	severalNames bool
	deferred     [8]sketch.Slot // servers that said "later"
	deferrals    uint32
	retried      uint32
	clients      [2]sketch.Slot // hosts from outside that it serves
	served       uint32
}

// named notes a HELO name.
func (s *mtaLike) named(hash uint32, name []byte) {
	switch {
	case s.sessions == 0:
		class := ClassifyHelo(string(name))
		s.name, s.severalNames = hash, class != HeloProper && class != HeloHome // servers of small offices call themselves srv.firm.local
	case s.name != hash:
		s.severalNames = true
	}
	inc(&s.sessions)
}

// Deferred is the observation that a server asked to come back later.
func (h *Profile) Deferred(server uint32, now int64) {
	inc(&h.mta.deferrals)
	sketch.AddRecent(h.mta.deferred[:], server, sketch.Stamp(now), 4*3600)
}

// A queue tries again after minutes: Postfix between 300 s and 4,000 s, RFC 5321 (section
// 4.5.4.1) recommends 30 minutes.
const retryFrom, retryTo = 240, 4 * 3600

// tried notes an attempt at a server that had asked for it.
func (s *mtaLike) tried(a *Attempt) {
	if s.deferrals == 0 {
		return
	}
	for i := range s.deferred {
		d := &s.deferred[i]
		if age := sketch.Stamp(a.Time) - d.At; d.Hash == a.Addr && d.At != 0 && age >= retryFrom && age <= retryTo {
			inc(&s.retried)
			d.Hash = ^a.Addr // counted
		}
	}
}

// Disown forgets what speaks for the host: it may be what it said to itself.
func (h *Profile) Disown() {
	h.mta, h.refusalTest, h.refusalTestUnlisted = mtaLike{}, refusalTest{}, refusalTest{}
	h.changed = true
}

// Served is the observation that the host took a message from a client outside.
func (h *Profile) Served(client uint32, now int64) {
	n, _ := sketch.AddRecent(h.mta.clients[:], client, sketch.Stamp(now), 30*86400)
	h.mta.served = max(h.mta.served, uint32(n))
	h.changed = true
}

// judgeMitigating judges what speaks for a host. What does not hold any more is forgotten.
func (h *Profile) judgeMitigating(f *Counters, now int64) {
	s, served := &h.mta, h.has(Serves)
	h.setMitigating(Serves, s.served >= 2, now, float64(s.served), 2)
	t := h.refusalTestInForce()
	if h.has(Serves) && !served && (t.refused*5 <= t.sessions || h.reasons[Refusals].Weight < 4.6) { // it was refused because of a list alone, or the test was on its way
		h.reasons[Refusals] = verdict.Reason{}
	}
	h.setMitigating(OneName, !s.severalNames && s.sessions >= 20, now, float64(s.sessions), 20)
	h.setMitigating(Welcome, t.total >= 10 && t.accepted*20 >= t.total*19, now, float64(t.accepted)/float64(max(1, t.total)), 0.95)
	h.setMitigating(Retries, s.deferrals >= 3 && s.retried*10 >= s.deferrals*6, now, float64(s.retried)/float64(max(1, s.deferrals)), 0.6)
}

func (h *Profile) setMitigating(code Code, holds bool, now int64, value, threshold float64) {
	if !holds {
		h.reasons[code] = verdict.Reason{}
		return
	}
	r := &h.reasons[code]
	if r.First == 0 {
		r.First = now
	}
	*r = verdict.Reason{First: r.First, Last: now, Value: value, Threshold: threshold, Weight: -2.3}
}

// oneName reports whether the host has always given the same full name.
func (h *Profile) oneName() bool { return h.mta.sessions > 0 && !h.mta.severalNames }

// maybeMTA reports whether nothing of what a host said tells it from a mail server: it
// has one full name, and is not refused much. That it asks the DNS for mail servers then is what a mail
// server does.
func (h *Profile) maybeMTA() bool {
	t := h.refusalTestInForce()
	// Two unknown recipients happen to everybody, but hardly in a row; more to who has one name for many sessions, of which
	// those in TLS are not decided, and to who passes on what others bring.
	few := t.refused*5 <= t.sessions || t.llr < 0 || (t.refused < 3 || h.has(OneName) || h.has(Serves)) && !h.has(Refusals)
	return h.oneName() && few
}

// uplinkOutage reports whether first contacts that fail are better explained by a line that is down, or servers that are, than by
// a list of addresses: the host has introduced itself to three servers or more by one full name, was let in by
// as many, and is not refused. A small server that has delivered little when the line goes down has not yet
// shown more.
func (h *Profile) uplinkOutage() bool {
	return h.maybeMTA() && h.mta.sessions >= 3 && h.contacts.worked >= 3
}

// hostile are the reasons that no honest mail server gives, beside many unknown recipients.
var disqualifying = []Code{SubmitSpread, Refusals, RelayDenials, HeloNames, ListLookups}

func (h *Profile) disqualified() bool {
	for _, code := range disqualifying {
		if h.has(code) {
			return true
		}
	}
	return h.has(UnknownUsers) && h.unknownUsers.proved
}

// actsAsMTA reports whether a host sends as a mail server does: in one full name, and
// what it sends is mostly taken. That many first contacts fail is no contrary proof: a queue that
// is flushed after an outage has that, too. Who speaks oddly in more than one way is no mail server, unless others bring it
// mail.
func (h *Profile) actsAsMTA() bool {
	if h.behaviour.isVerifier() {
		return h.oneName() && !h.isListWasher()
	}
	t := h.refusalTestInForce()
	likes := t.accepted >= 3 && t.accepted*5 >= t.total*4 && !h.speaksOddly() || h.has(Serves)
	return !h.disqualified() && h.maybeMTA() && h.mta.sessions >= 3 && likes
}
