package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[Refusals] = detector{"refusals", Replies, func(h *Profile, f *Counters, r *verdict.Reason) string {
		t := h.refusalTestInForce()
		if t.refused == t.sessions {
			return fmt.Sprintf("Receiving servers refused something in all of its first %s with a decision.", verdict.Plural(t.sessions, "session"))
		}
		return fmt.Sprintf("Receiving servers refused something in %d of its first %s with a decision.", t.refused, verdict.Plural(t.sessions, "session"))
	}}
	detectors[UnknownUsers] = detector{"unknown_users", Replies, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("%d of the %s that servers decided about do not exist there: it works off a list of addresses.", h.unknownUsers.unknown, verdict.Plural(h.unknownUsers.recipients, "recipient"))
	}}
	detectors[RelayDenials] = detector{"strangers", Replies, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("%s servers told it that they do not relay for strangers, or want a login; a client that knows its server never hears that from two: it tries other people's servers.", orMore(r.Value, len(h.relayDenied)))
	}}
}

// refusalTest is Wald's sequential test on the share of sessions that are refused. The unit is
// a session: it is refused when a refusal comes before a message is taken.
type refusalTest struct {
	llr               float64
	sessions, refused int
	accepted          uint32 // sessions in which a message was taken first
	total             uint32
}

// bounds are between which a test has not decided.
func (c *Config) bounds() (upper, lower float64) {
	return math.Log((1 - missRate) / c.Alpha), math.Log(missRate / (1 - c.Alpha))
}

// step moves the test on, unless it has decided.
func (t *refusalTest) step(c *Config, refused, decided bool) {
	inc(&t.total)
	if !refused {
		inc(&t.accepted)
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
func (h *Profile) SessionDecided(c *Config, refused, listed bool, now int64) {
	decided := h.reasons[Refusals].Weight >= 4.6
	h.refusalTest.step(c, refused, decided)
	if !listed {
		h.refusalTestUnlisted.step(c, refused, decided && h.has(Serves))
	}
	if refused && !(listed && h.has(Serves)) {
		h.judgeRefusals(c, now)
		h.judgeSenders(c, sketch.CountRecent(h.envelope.senders[:], sketch.Stamp(now), 86400), now)
	}
	if !refused && h.has(Refusals) && !decided && h.refusalTestInForce().llr < partialLLR {
		h.reasons[Refusals] = verdict.Reason{} // the test was on its way, and is not any more
		h.changed = true
	}
}

// WasRefused reports whether a server refused what the host had, or named a blocklist.
func (h *Profile) WasRefused() bool { return h.refusalTest.refused > 0 || h.blocklists.n > 0 }

// partialLLR is how far on the way a test must be to count at all: twenty to one, which is two refused in a row, or three of six.
const partialLLR = 3.0

// judgeRefusals is called when a session was refused.
func (h *Profile) judgeRefusals(c *Config, now int64) {
	t := h.refusalTestInForce()
	switch upper, _ := c.bounds(); {
	case t.llr >= upper-1e-9:
		h.raise(Refusals, now, float64(t.refused), 6, 4.6)
	case t.llr >= partialLLR && (h.nets.Len() > 1 || h.envelope.distinct.Len() >= c.MassSenderDomains) && !h.has(Serves): // part of the way counts for as much, unless one server is the trouble of a few senders, or mail that others brought
		h.raise(Refusals, now, float64(t.refused), 2, math.Round(46*t.llr/upper)/10)
	}
}

// refusalTestInForce is the test that holds. A mail server that takes mail in for people stays one when its address comes on a
// blocklist, be it for what a stolen account or another machine behind the same address did: then refusals that name
// a list say that it is listed, and not that it is a bot. Nobody delivers mail to a bot.
func (h *Profile) refusalTestInForce() *refusalTest {
	if h.has(Serves) {
		return &h.refusalTestUnlisted
	}
	return &h.refusalTest
}

// unknownUsers counts recipients that servers decided about. That a share of them is unknown weighs what it weighs: two of the
// first ten happen to one honest server in fifty. That no honest server is like that is for Wald's test to say.
type unknownUsers struct {
	recipients, unknown uint32
	llr                 float64
	proved              bool // the test has decided so
}

// The test's assumptions: the share of recipients that do not exist for an honest server, and for who works off a
// list. Providers of newsletters tell customers to clean their lists from 2 to 5 % on.
const unknownToHonest, unknownToBot = 0.05, 0.3

// RecipientAnswered is the observation of the reply to a recipient.
func (h *Profile) RecipientAnswered(c *Config, unknown bool, now int64) {
	t := &h.unknownUsers
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
func (h *Profile) judgeUnknown(c *Config, now int64) {
	if t := &h.unknownUsers; int(t.recipients) >= c.UnknownRecipients && float64(t.unknown) >= c.UnknownShare*float64(t.recipients) {
		h.raise(UnknownUsers, now, float64(t.unknown)/float64(t.recipients), c.UnknownShare, 2.3)
	}
}

// RelayDenied is the observation that a server refused because it does not know the client. Two servers that do
// are one too many.
func (h *Profile) RelayDenied(server uint32, now int64) {
	if n, _ := sketch.AddRecent(h.relayDenied[:], server, sketch.Stamp(now), 86400); n >= 2 {
		h.raise(RelayDenials, now, float64(n), 2, 4.6)
	}
}
