package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

func init() {
	detectors[Burst] = detector{"fast_attempts", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It tried %d connections to port 25 within %s.", int(r.Threshold), verdict.Span(int64(r.Value*float64(second))))
	}}
	detectors[Concurrent] = detector{"concurrent", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It had up to %d connections to mail servers open or half open at a time; a desktop has one or two.", int(r.Value))
	}}
}

// maxBurst bounds Config.FastAttempts.
const maxBurst = 32

// burst holds the times of the last attempts to port 25: it finds the bot that hammers one
// provider and so contacts few networks.
type burst struct {
	at   [maxBurst]int64
	next int
}

func judgeBurst(c *Config, h *Profile, f *Counters, a *Attempt) {
	if a.Port != 25 || !a.External {
		return // an application may well send its reports through our own relay in one go
	}
	w := &h.burst
	if w.next == 0 && f.Attempts == 2 && f.Ports[0].Count == 2 { // the first was made before there was a Profile
		w.at[0], w.next = f.First, 1
	}
	w.at[w.next%maxBurst] = a.Time
	w.next++
	if w.next < c.FastAttempts {
		return
	}
	first := w.at[(w.next-c.FastAttempts)%maxBurst]
	if took := a.Time - first; took <= int64(c.FastTime) {
		value := float64(max(took, 0)) / float64(second)
		if r := &h.reasons[Burst]; r.First != 0 {
			value = min(value, r.Value)
			r.Value = value
		}
		h.raise(Burst, a.Time, value, float64(c.FastAttempts), 3)
	}
}

// suspectByRate reports whether the rate alone is enough to be suspect: who tries a single provider contacts no new networks, and in TLS
// nothing else of it is seen. To accuse it more is needed, as of everybody. A printer or a job that sends its reports has the same few
// servers, and one to which others bring mail may have a queue.
func (h *Profile) suspectByRate() bool {
	return h.has(Burst) && !h.has(Serves) && h.addrs.Len() > probeTargets
}

// judgeConcurrent is for connections that are open at a time. What goes to our own
// servers does not count: an application server has pools.
func judgeConcurrent(c *Config, h *Profile, f *Counters, now int64) {
	if h.external*2 < f.Attempts {
		return
	}
	switch n := int(f.Concurrent); {
	case n >= c.MassConcurrent:
		h.raise(Concurrent, now, float64(n), float64(c.MassConcurrent), 4.6)
	case n >= c.Concurrent:
		h.raise(Concurrent, now, float64(n), float64(c.Concurrent), 2.3)
	}
}
