package detect

import (
	"fmt"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// observeHostLookups counts the domains with a mail host (mail., smtp., mx. ...) that the source
// looked up, within ten minutes or in a burst. Bots guess such names, and follow MX records to
// them. A source that looks like a mail server is left out.
func observeHostLookups(p *Profile, c *Config, o *Observation) {
	if !p.isResolver() && !p.maybeMTA() {
		p.judgeServerNames(c, HostLookups, &p.lookups.Hosts, o.Time)
	}
}

// textHostLookups has the number of domains, r.Value, and a lookup that led to an attempt, unless
// another reason has the same one.
func textHostLookups(p *Profile, _ *Counters, r *verdict.Reason) string {
	example := ""
	if !p.has(MXLookups) {
		example = lookupExample(p.lookups)
	}
	return fmt.Sprintf("It looked up mail servers by name (mail., smtp., mx. ...) in %s domains "+
		"within %s.%s", bounded(r.Value, lookups.MaxDomains), namesSpan(r), example)
}
