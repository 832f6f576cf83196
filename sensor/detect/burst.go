package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// maxBurst bounds Config.FastAttempts.
const maxBurst = 32

// burst holds the times of the latest attempts to port 25. It finds a bot that makes many attempts
// at one provider, and so contacts few networks.
type burst struct {
	at   [maxBurst]int64
	next int
}

// observeBurst finds Config.FastAttempts attempts to port 25 within Config.FastTime: 20 in 5
// minutes, as BotFlex. Attempts at internal servers do not count: an application may send its
// reports through our own relay in one go. The detector alone makes a source suspect, see
// suspectByRate.
func observeBurst(p *Profile, c *Config, n *Counters, o *Observation) {
	if o.Port != 25 || !o.External {
		return
	}
	w := &p.burst
	if w.next == 0 && n.Attempts == 2 && n.Ports[0].Count == 2 {
		// The first attempt came before there was a profile.
		w.at[0], w.next = n.First, 1
	}
	// A ring of the latest maxBurst times: the one of FastAttempts ago is still in it.
	w.at[uint(w.next)%maxBurst] = o.Time
	w.next++
	if w.next < c.FastAttempts {
		return
	}
	first := w.at[uint(w.next-c.FastAttempts)%maxBurst]
	if took := o.Time - first; took <= int64(c.FastTime) {
		value := float64(max(took, 0)) / float64(second)
		// raise keeps the largest value, but the shortest time is the worst.
		if r := &p.reasons[Burst]; r.First != 0 {
			value = min(value, r.Value)
			r.Value = value
		}
		p.raise(Burst, o.Time, value, float64(c.FastAttempts), 3)
	}
}

// textBurst has the attempts, r.Threshold, and the shortest time in seconds that they took,
// r.Value.
func textBurst(_ *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It made %d attempts to connect to port 25 within %s.", int(r.Threshold),
		verdict.Span(int64(r.Value*float64(second))))
}
