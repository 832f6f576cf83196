package detect

import (
	"fmt"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// setUp is how many more domains may be a mail client in which somebody sets up accounts, one after
// the other: that counts half.
const setUp = 2

// observeMXLookups counts the domains whose mail servers the source asked for within an hour. Only
// a mail server needs MX records (RFC 5321, section 5.1): a source that looks like one is left out.
// A mail client asks for its own domain when an account is set up. The threshold is
// Config.MXDomains.
func observeMXLookups(p *Profile, c *Config, o *Observation) {
	if p.isResolver() || p.maybeMTA() {
		return
	}
	if n := p.lookups.MXDomains(o.Time); n >= c.MXDomains {
		weight := 4.6
		if n < c.MXDomains+setUp {
			weight = 2.3
		}
		p.raise(MXLookups, o.Time, float64(n), float64(c.MXDomains), weight)
	}
}

// textMXLookups has the number of domains, r.Value, and a lookup that led to an attempt.
func textMXLookups(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It asked the DNS for the mail servers of %s domains within an hour; only "+
		"a mail server needs to know them.%s", bounded(r.Value, lookups.MaxDomains),
		lookupExample(p.lookups))
}
