package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// servedTime is how long an external client that brought mail counts, in seconds: 30 days.
const servedTime = 30 * 86400

// observeServes counts external clients whose message the source accepted. Other servers bring mail
// to a mail server, and never to a bot, so this sign decides between refusal tests too.
func observeServes(p *Profile, o *Observation) {
	n, _ := sketch.AddRecent(p.mta.clients[:], o.Hash, sketch.Stamp(o.Time), servedTime)
	p.mta.Served = max(p.mta.Served, uint32(n))
	p.changed = true
}

// holdsServes is for two clients or more: one may be somebody who tries.
func holdsServes(p *Profile) (holds bool, value, threshold float64) {
	return p.mta.Served >= 2, float64(p.mta.Served), 2
}

// textServes has the number of clients.
func textServes(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("In its favour: %s from outside deliver mail to it.",
		verdict.Plural(p.mta.Served, "host"))
}
