package detect

import (
	"fmt"
	"math"
)

func init() {
	detectors[Refusals] = detector{"refusals", Replies, func(h *Host, f *Facts, r *Reason) string {
		t := h.refusals()
		if t.refused == t.sessions {
			return fmt.Sprintf("Receiving servers refused something in all of its first %s with a decision.", Plural(t.sessions, "session"))
		}
		return fmt.Sprintf("Receiving servers refused something in %d of its first %s with a decision.", t.refused, Plural(t.sessions, "session"))
	}}
	detectors[UnknownUsers] = detector{"unknown_users", Replies, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("%d of the %s that servers decided about do not exist there: it works off a list of addresses.", h.unknown.unknown, Plural(h.unknown.recipients, "recipient"))
	}}
	detectors[Strangers] = detector{"strangers", Replies, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("%s servers told it that they do not relay for strangers, or want a login; a client that knows its server never hears that from two: it tries other people's servers.", orMore(r.Value, len(h.denied)))
	}}
}

// refusal is Wald's sequential test on the share of sessions that are refused. The unit is
// a session: it is refused when a refusal comes before a message is taken.
type refusal struct {
	llr               float64
	sessions, refused int
	taken             uint32 // sessions in which a message was taken first
	all               uint32
}

// bounds are between which a test has not decided.
func (c *Config) bounds() (upper, lower float64) {
	return math.Log((1 - missRate) / c.Alpha), math.Log(missRate / (1 - c.Alpha))
}

// step moves the test on, unless it has decided.
func (t *refusal) step(c *Config, refused, decided bool) {
	inc(&t.all)
	if !refused {
		inc(&t.taken)
	}
	if decided {
		return
	}
	t.sessions++
	step := math.Log((1 - c.RefusalHigh) / (1 - c.RefusalLow))
	if refused {
		t.refused++
		step = math.Log(c.RefusalHigh / c.RefusalLow)
	}
	// An honest past must not count without end in favour of a host that was taken over.
	_, lower := c.bounds()
	t.llr = math.Max(lower, t.llr+step)
}

// SessionDecided is the observation that a session was refused, or that a message was
// taken in it. A session that goes into TLS first is neither, and so is one whose refusal
// says nothing about who sends; see Cause.Innocent. listed says that it was refused because of a blocklist.
func (h *Host) SessionDecided(c *Config, refused, listed bool, now int64) {
	decided := h.reasons[Refusals].Weight >= 4.6
	h.refusal.step(c, refused, decided)
	if !listed {
		h.unlisted.step(c, refused, decided && h.has(Serves))
	}
	if refused && !(listed && h.has(Serves)) {
		h.judgeRefusals(c, now)
		h.judgeSenders(c, within(h.envelope.senders[:], Stamp(now), 86400), now)
	}
	if !refused && h.has(Refusals) && !decided && h.refusals().llr < partly {
		h.reasons[Refusals] = Reason{} // the test was on its way, and is not any more
		h.changed = true
	}
}

// Unwelcome reports whether a server refused what the host had, or named a blocklist.
func (h *Host) Unwelcome() bool { return h.refusal.refused > 0 || h.lists.n > 0 }

// partly is how far on the way a test must be to count at all: twenty to one, which is two refused in a row, or three of six.
const partly = 3.0

// judgeRefusals is called when a session was refused.
func (h *Host) judgeRefusals(c *Config, now int64) {
	t := h.refusals()
	switch upper, _ := c.bounds(); {
	case t.llr >= upper-1e-9:
		h.found(Refusals, now, float64(t.refused), 6, 4.6)
	case t.llr >= partly && (h.nets.len() > 1 || h.envelope.distinct.len() >= c.MassSenderDomains) && !h.has(Serves): // part of the way counts for as much, unless one server is the trouble of a few senders, or mail that others brought
		h.found(Refusals, now, float64(t.refused), 2, math.Round(46*t.llr/upper)/10)
	}
}

// refusals is the test that holds. A mail server that takes mail in for people stays one when its address comes on a
// blocklist, be it for what a stolen account or another machine behind the same address did: then refusals that name
// a list say that it is listed, and not that it is a bot. Nobody delivers mail to a bot.
func (h *Host) refusals() *refusal {
	if h.has(Serves) {
		return &h.unlisted
	}
	return &h.refusal
}

// unknown counts recipients that servers decided about. That a share of them is unknown weighs what it weighs: two of the
// first ten happen to one honest server in fifty. That no honest server is like that is for Wald's test to say.
type unknown struct {
	recipients, unknown uint32
	llr                 float64
	proved              bool // the test has decided so
}

// The test's assumptions: the share of recipients that do not exist for an honest server, and for who works off a
// list. Providers of newsletters tell customers to clean their lists from 2 to 5 % on.
const unknownToHonest, unknownToBot = 0.05, 0.3

// RecipientAnswered is the observation of the reply to a recipient.
func (h *Host) RecipientAnswered(c *Config, unknown bool, now int64) {
	t := &h.unknown
	inc(&t.recipients)
	step := math.Log((1 - unknownToBot) / (1 - unknownToHonest))
	if unknown {
		inc(&t.unknown)
		step = math.Log(unknownToBot / unknownToHonest)
	}
	upper, lower := c.bounds()
	t.llr = math.Max(lower, t.llr+step)
	t.proved = t.llr >= upper || t.proved && t.llr > lower
	if unknown {
		h.judgeUnknown(c, now)
	}
}

// judgeUnknown is called when a recipient was unknown.
func (h *Host) judgeUnknown(c *Config, now int64) {
	if t := &h.unknown; int(t.recipients) >= c.UnknownRecipients && float64(t.unknown) >= c.UnknownShare*float64(t.recipients) {
		h.found(UnknownUsers, now, float64(t.unknown)/float64(t.recipients), c.UnknownShare, 2.3)
	}
}

// Denied is the observation that a server refused because it does not know the client. Two servers that do
// are one too many.
func (h *Host) Denied(server uint32, now int64) {
	if n, _ := Recently(h.denied[:], server, Stamp(now), 86400); n >= 2 {
		h.found(Strangers, now, float64(n), 2, 4.6)
	}
}
