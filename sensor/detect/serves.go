package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// servedTime is how long an external client that brought mail counts, in seconds: 30 days.
const servedTime = 30 * 86400

// observeServes counts external clients whose message the source accepted.
func observeServes(p *Profile, _ *Config, _ *Counters, o Observation) {
	n, _ := sketch.AddRecent(p.mta.clients[:], o.Hash, sketch.Stamp(o.Time), servedTime)
	p.mta.served = max(p.mta.served, uint32(n))
	p.changed = true
}

func holdsServes(p *Profile) (holds bool, value, threshold float64) {
	return p.mta.served >= 2, float64(p.mta.served), 2
}

func textServes(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("In its favour: %s from outside bring it mail.", verdict.Plural(p.mta.served, "host"))
}
