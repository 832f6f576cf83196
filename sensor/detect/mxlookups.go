package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// setUp is how many more domains may be a mail client in which somebody sets up accounts, one after
// the other: that counts half.
const setUp = 2

// observeMXLookups counts the domains whose mail servers the source asked for within an hour.
func observeMXLookups(p *Profile, c *Config, _ *Counters, o Observation) {
	if p.isResolver() || p.maybeMTA() {
		return
	}
	if n := sketch.CountRecent(p.lookups.mx[:], sketch.Stamp(o.Time), 3600); n >= c.MXDomains {
		weight := 4.6
		if n < c.MXDomains+setUp {
			weight = 2.3
		}
		p.raise(MXLookups, o.Time, float64(n), float64(c.MXDomains), weight)
	}
}

func textMXLookups(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It asked the DNS for the mail servers of %s domains within an hour; only a mail server needs to know them.%s", orMore(r.Value, maxDomains), p.lookups.example())
}
