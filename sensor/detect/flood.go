package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

func init() {
	detectors[Flood] = detector{"flood", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		if r.Threshold >= float64(floodAttempts) {
			return fmt.Sprintf("It tried %d connections to %d or more servers that it had not contacted before, within %s.", int(r.Value), floodServers, verdict.Span(floodTime))
		}
		return fmt.Sprintf("It contacted %d or more mail servers for the first time in %s, three times in a row.", floodServers, verdict.Span(floodTime))
	}}
}

// flood notices who goes on at the pace of mass mailing: that CESNET's NEMEA calls spam, more than 10 servers
// in 300 s, if it lasts for three times as long; or 100 attempts in that time, five times what BotFlex calls
// spam, at as many servers. Only servers that were never contacted before count, so that a queue that is emptied
// after an outage is none.
//
// Where sessions are seen this adds nothing to what the family has found already. Where nothing but SYNs is, all that
// could speak for or against the host is hidden, and this stands in for the second family: as the 25 networks do
// for the third.
type flood struct {
	began    int64 // the stretch of floodTime
	attempts uint32
	servers  uint32
	rows     uint32 // stretches in a row with many servers, this one left out
}

const (
	floodTime     = 5 * minute
	floodServers  = 12
	floodAttempts = 100
	floodRows     = 3
)

// floodWeight is what it weighs, and by how much it lifts the family's limit where nothing but SYNs is seen.
const floodWeight, floodLift = 4.6, 2.3

// attempted takes in an attempt; fresh says that the server was never contacted before.
func (w *flood) attempted(h *Profile, a *Attempt, fresh bool) {
	if late := a.Time - w.began; late >= floodTime || late < 0 {
		w.rows++
		if w.servers < floodServers || late >= 2*floodTime || late < 0 {
			w.rows = 0
		}
		w.began, w.attempts, w.servers = a.Time, 0, 0
	}
	w.attempts++
	if fresh {
		w.servers++
	}
	if w.servers < floodServers {
		return
	}
	if w.attempts >= floodAttempts {
		h.raise(Flood, a.Time, float64(w.attempts), floodAttempts, floodWeight)
	} else if w.rows >= floodRows-1 {
		h.raise(Flood, a.Time, floodServers, floodServers, floodWeight)
	}
}

// synOnlyFlood reports whether no session of the host was seen although it floods: whatever else could be judged is hidden.
func (h *Profile) synOnlyFlood() bool { return h.has(Flood) && h.sessions == 0 && !h.BehindNAT() }
