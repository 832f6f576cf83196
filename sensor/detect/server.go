package detect

import "fmt"

func init() {
	detectors[OneName] = detector{"one_name", Favour, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("In its favour: it always gave the same full name (%s), as a mail server does.", h.names.name[0])
	}}
	detectors[Welcome] = detector{"welcome", Favour, func(h *Host, f *Facts, r *Reason) string {
		t := h.refusals()
		return fmt.Sprintf("In its favour: %d of %s with a decision were accepted by the receiving servers.", t.taken, Plural(t.all, "session"))
	}}
	detectors[Retries] = detector{"retries", Favour, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("In its favour: it tried again after %d of %s, as a queue does.", h.server.retried, Plural(h.server.deferrals, "deferral"))
	}}
	detectors[Serves] = detector{"serves", Favour, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("In its favour: %s from outside bring it mail.", Plural(h.server.served, "host"))
	}}
}

// serverLike is what tells a mail server from a bot.
type serverLike struct {
	name      uint32 // the one HELO name; see named
	sessions  uint32 // in which it was given
	several   bool
	deferred  [8]Slot // servers that said "later"
	deferrals uint32
	retried   uint32
	clients   [2]Slot // hosts from outside that it serves
	served    uint32
}

// named notes a HELO name.
func (s *serverLike) named(hash uint32, name []byte) {
	switch {
	case s.sessions == 0:
		class := ClassifyHelo(string(name))
		s.name, s.several = hash, class != HeloProper && class != HeloHome // servers of small offices call themselves srv.firm.local
	case s.name != hash:
		s.several = true
	}
	inc(&s.sessions)
}

// Deferred is the observation that a server asked to come back later.
func (h *Host) Deferred(server uint32, now int64) {
	inc(&h.server.deferrals)
	Recently(h.server.deferred[:], server, Stamp(now), 4*3600)
}

// A queue tries again after minutes: Postfix between 300 s and 4,000 s, RFC 5321 (section
// 4.5.4.1) recommends 30 minutes.
const retryFrom, retryTo = 240, 4 * 3600

// tried notes an attempt at a server that had asked for it.
func (s *serverLike) tried(a *Attempt) {
	if s.deferrals == 0 {
		return
	}
	for i := range s.deferred {
		d := &s.deferred[i]
		if age := Stamp(a.Time) - d.At; d.hash == a.Addr && d.At != 0 && age >= retryFrom && age <= retryTo {
			inc(&s.retried)
			d.hash = ^a.Addr // counted
		}
	}
}

// Disown forgets what speaks for the host: it may be what it said to itself.
func (h *Host) Disown() {
	h.server, h.refusal, h.unlisted = serverLike{}, refusal{}, refusal{}
	h.changed = true
}

// Served is the observation that the host took a message from a client outside.
func (h *Host) Served(client uint32, now int64) {
	n, _ := Recently(h.server.clients[:], client, Stamp(now), 30*86400)
	h.server.served = max(h.server.served, uint32(n))
	h.changed = true
}

// favour judges what speaks for a host. What does not hold any more is forgotten.
func (h *Host) favour(f *Facts, now int64) {
	s, served := &h.server, h.has(Serves)
	h.holds(Serves, s.served >= 2, now, float64(s.served), 2)
	t := h.refusals()
	if h.has(Serves) && !served && (t.refused*5 <= t.sessions || h.reasons[Refusals].Weight < 4.6) { // it was refused because of a list alone, or the test was on its way
		h.reasons[Refusals] = Reason{}
	}
	h.holds(OneName, !s.several && s.sessions >= 20, now, float64(s.sessions), 20)
	h.holds(Welcome, t.all >= 10 && t.taken*20 >= t.all*19, now, float64(t.taken)/float64(max(1, t.all)), 0.95)
	h.holds(Retries, s.deferrals >= 3 && s.retried*10 >= s.deferrals*6, now, float64(s.retried)/float64(max(1, s.deferrals)), 0.6)
}

func (h *Host) holds(code Code, holds bool, now int64, value, threshold float64) {
	if !holds {
		h.reasons[code] = Reason{}
		return
	}
	r := &h.reasons[code]
	if r.First == 0 {
		r.First = now
	}
	*r = Reason{First: r.First, Last: now, Value: value, Threshold: threshold, Weight: -2.3}
}

// oneName reports whether the host has always given the same full name.
func (h *Host) oneName() bool { return h.server.sessions > 0 && !h.server.several }

// maybeServer reports whether nothing of what a host said tells it from a mail server: it
// has one full name, and is not refused much. That it asks the DNS for mail servers then is what a mail
// server does.
func (h *Host) maybeServer() bool {
	t := h.refusals()
	// Two unknown recipients happen to everybody, but hardly in a row; more to who has one name for many sessions, of which
	// those in TLS are not decided, and to who passes on what others bring.
	few := t.refused*5 <= t.sessions || t.llr < 0 || (t.refused < 3 || h.has(OneName) || h.has(Serves)) && !h.has(Refusals)
	return h.oneName() && few
}

// lineDown reports whether first contacts that fail are better explained by a line that is down, or servers that are, than by
// a list of addresses: the host has introduced itself to three servers or more by one full name, was let in by
// as many, and is not refused. A small server that has delivered little when the line goes down has not yet
// shown more.
func (h *Host) lineDown() bool {
	return h.maybeServer() && h.server.sessions >= 3 && h.outcome.worked >= 3
}

// hostile are the reasons that no honest mail server gives, beside many unknown recipients.
var hostile = []Code{SubmitSpread, Refusals, Strangers, HeloNames, ListLookups}

func (h *Host) hostile() bool {
	for _, code := range hostile {
		if h.has(code) {
			return true
		}
	}
	return h.has(UnknownUsers) && h.unknown.proved
}

// actsAsServer reports whether a host sends as a mail server does: in one full name, and
// what it sends is mostly taken. That many first contacts fail is no contrary proof: a queue that
// is flushed after an outage has that, too. Who speaks oddly in more than one way is no mail server, unless others bring it
// mail.
func (h *Host) actsAsServer() bool {
	if h.manner.verifies() {
		return h.oneName() && !h.washes()
	}
	t := h.refusals()
	likes := t.taken >= 3 && t.taken*5 >= t.all*4 && !h.odd() || h.has(Serves)
	return !h.hostile() && h.maybeServer() && h.server.sessions >= 3 && likes
}
