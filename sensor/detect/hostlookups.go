package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// observeHostLookups counts the domains with a mail host that the source looked up.
func observeHostLookups(p *Profile, c *Config, _ *Counters, o Observation) {
	if !p.isResolver() && !p.maybeMTA() {
		p.judgeServerNames(c, HostLookups, p.lookups.hosts[:], o.Time)
	}
}

func textHostLookups(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It looked up mail servers by name (mail., smtp., mx. ...) in %s domains within %s.%s", orMore(r.Value, maxDomains), namesSpan(r), p.lookups.example())
}
