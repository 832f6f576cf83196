package detect

import (
	"fmt"
	"math"
)

func init() {
	detectors[Refusals] = detector{"refusals", Replies, func(h *Host, f *Facts, r *Reason) string {
		if h.refusal.refused == h.refusal.sessions {
			return fmt.Sprintf("Receiving servers refused something in all of its first %s with a decision.", count(h.refusal.sessions, "session"))
		}
		return fmt.Sprintf("Receiving servers refused something in %d of its first %s with a decision.", h.refusal.refused, count(h.refusal.sessions, "session"))
	}}
	detectors[UnknownUsers] = detector{"unknown_users", Replies, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("%d of the %s that servers decided about do not exist there: it works off a list of addresses.", h.unknown.unknown, count(h.unknown.recipients, "recipient"))
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

// SessionDecided is the observation that a session was refused, or that a message was
// taken in it. A session that goes into TLS first is neither, and so is one whose refusal
// says nothing about who sends; see Cause.Innocent.
func (h *Host) SessionDecided(c *Config, refused bool, now int64) {
	t := &h.refusal
	inc(&t.all)
	if !refused {
		inc(&t.taken)
	}
	if r := &h.reasons[Refusals]; r.Weight >= 4.6 {
		if refused {
			r.Last = now
		}
		return
	}
	t.sessions++
	step := math.Log((1 - c.RefusalHigh) / (1 - c.RefusalLow))
	if refused {
		t.refused++
		step = math.Log(c.RefusalHigh / c.RefusalLow)
	}
	upper, lower := math.Log((1-missRate)/c.Alpha), math.Log(missRate/(1-c.Alpha))
	// An honest past must not count without end in favour of a host that was taken over.
	t.llr = math.Max(lower, t.llr+step)
	switch {
	case t.llr >= upper-1e-9:
		h.found(Refusals, now, float64(t.refused), 6, 4.6)
	case t.llr >= upper/3 && refused && h.nets.len() > 1: // part of the way counts for as much, unless one server is the trouble
		h.found(Refusals, now, float64(t.refused), 2, math.Round(46*t.llr/upper)/10)
	}
	if refused {
		h.judgeSenders(c, within(h.envelope.senders[:], stamp(now), 86400), now)
	}
}

// unknown counts recipients that servers decided about.
type unknown struct{ recipients, unknown uint32 }

// RecipientAnswered is the observation of the reply to a recipient.
func (h *Host) RecipientAnswered(c *Config, unknown bool, now int64) {
	t := &h.unknown
	inc(&t.recipients)
	if !unknown {
		return
	}
	inc(&t.unknown)
	if int(t.recipients) >= c.UnknownRecipients && float64(t.unknown) >= c.UnknownShare*float64(t.recipients) {
		h.found(UnknownUsers, now, float64(t.unknown)/float64(t.recipients), c.UnknownShare, 2.3)
	}
}

// Denied is the observation that a server refused because it does not know the client. Two servers that do
// are one too many.
func (h *Host) Denied(server uint32, now int64) {
	if n, _ := recently(h.denied[:], server, stamp(now), 86400); n >= 2 {
		h.found(Strangers, now, float64(n), 2, 4.6)
	}
}
