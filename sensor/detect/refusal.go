package detect

import (
	"fmt"
	"math"
)

func init() {
	detectors[Refusals] = detector{"refusals", Replies, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("%d of the first %s with a decision were refused by the receiving servers.", h.refusal.refused, count(h.refusal.sessions, "session"))
	}}
}

// refusal is Wald's sequential test on the share of sessions that are refused. The unit is
// a session: it is refused when a refusal comes before a message is taken.
type refusal struct {
	llr               float64
	sessions, refused int
}

// SessionDecided is the observation that a session was refused, or that a message was
// taken in it. A session that goes into TLS first is neither.
func (h *Host) SessionDecided(c *Config, refused bool, now int64) {
	t := &h.refusal
	if h.has(Refusals) {
		h.reasons[Refusals].Last = now
		return
	}
	t.sessions++
	step := math.Log((1 - c.RefusalHigh) / (1 - c.RefusalLow))
	if refused {
		t.refused++
		step = math.Log(c.RefusalHigh / c.RefusalLow)
	}
	const beta = 0.01 // of missing a spammer before the test starts over
	upper, lower := math.Log((1-beta)/c.Alpha), math.Log(beta/(1-c.Alpha))
	// An honest past must not count without end in favour of a host that was taken over.
	t.llr = math.Max(lower, t.llr+step)
	if t.llr >= upper-1e-9 {
		h.found(Refusals, now, float64(t.refused), 6, 4.6)
	}
}
