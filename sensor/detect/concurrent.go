package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// observeConcurrent looks at how many connections are open at a time, when a further one begins:
// those that wait for an answer, and sessions. A desktop has one or two. The thresholds are
// Config.Concurrent, with half the weight, and Config.MassConcurrent, the numbers in use on
// MikroTik routers. A source that mostly connects to internal servers is left out: an application
// server has pools of connections.
func observeConcurrent(p *Profile, c *Config, n *Counters, o *Observation) {
	if p.external*2 < n.Attempts {
		return
	}
	switch open := int(n.Concurrent); {
	case open >= c.MassConcurrent:
		p.raise(Concurrent, o.Time, float64(open), float64(c.MassConcurrent), 4.6)
	case open >= c.Concurrent:
		p.raise(Concurrent, o.Time, float64(open), float64(c.Concurrent), 2.3)
	}
}

// textConcurrent has the largest number of open connections, r.Value.
func textConcurrent(_ *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It had up to %d connections to mail servers open or half open at a time; "+
		"a desktop has one or two.", int(r.Value))
}
