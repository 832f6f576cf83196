package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// flood notices a source that keeps up the pace of mass mailing. CESNET's NEMEA reports more than
// 10 servers in 300 s as spam: the flood is three times as long. Or it is 100 attempts in that
// time, five times as many as BotFlex reports, at as many servers. Only servers that were never
// contacted before count, so that a queue that is flushed after an outage is no flood.
//
// Where dialogues are seen this adds nothing to what the family has found already. Where none is,
// all that could speak for or against the source is hidden, and the flood stands in for the second
// family, as 25 networks do for the third: only SYNs are seen, or connections on which nobody says
// a word, as behind a firewall that completes handshakes itself.
type flood struct {
	began    int64 // of the current period of floodTime
	attempts uint32
	servers  uint32
	rows     uint32 // periods in a row with many servers, without the current one
}

const (
	floodTime     = 5 * minute
	floodServers  = 12
	floodAttempts = 100
	floodRows     = 3
)

// floodWeight is the weight of a flood, and floodLift by how much it lifts the cap of the family
// where no dialogue is seen.
const floodWeight, floodLift = 4.6, 2.3

// observeFlood counts attempts at external servers in periods of floodTime, as long as no word was
// said in a session of the source. A period with enough servers raises the reason if it has
// floodAttempts, or if it is the third in a row.
func observeFlood(p *Profile, o *Observation) {
	if !o.External || p.heard() {
		return
	}
	w := &p.flood
	// A new period begins with the first attempt after the old one. The row of periods ends if the
	// old one had too few servers, if a whole period passed without an attempt, or if time went
	// back.
	if late := o.Time - w.began; late >= floodTime || late < 0 {
		w.rows++
		if w.servers < floodServers || late >= 2*floodTime || late < 0 {
			w.rows = 0
		}
		w.began, w.attempts, w.servers = o.Time, 0, 0
	}
	w.attempts++
	if o.newAddr {
		w.servers++
	}
	if w.servers < floodServers {
		return
	}
	if w.attempts >= floodAttempts {
		p.raise(Flood, o.Time, float64(w.attempts), floodAttempts, floodWeight)
	} else if w.rows >= floodRows-1 {
		p.raise(Flood, o.Time, floodServers, floodServers, floodWeight)
	}
}

// textFlood has the attempts, r.Value, if they were many within one period, else the three periods.
// r.Threshold separates the two.
func textFlood(_ *Profile, _ *Counters, r *verdict.Reason) string {
	if r.Threshold >= float64(floodAttempts) {
		return fmt.Sprintf("It made %d attempts to connect to at least %d servers that it had "+
			"not contacted before, within %s.", int(r.Value), floodServers, verdict.Span(floodTime))
	}
	return fmt.Sprintf("It contacted at least %d mail servers for the first time in %s, three "+
		"times in a row.", floodServers, verdict.Span(floodTime))
}
