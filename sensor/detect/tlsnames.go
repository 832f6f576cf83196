package detect

import (
	"fmt"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// observeTLSNames counts the registered domains of server names in TLS handshakes (RFC 6066,
// section 3). They say what lookups say, and are seen where the DNS is not.
func observeTLSNames(p *Profile, c *Config, _ *Counters, o Observation) {
	p.tlsServers.Add(o.Hash, o.Time)
	p.judgeServerNames(c, TLSNames, &p.tlsServers, o.Time)
}

// textTLSNames has the number of domains, r.Value.
func textTLSNames(_ *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("In its TLS handshakes it asked for mail servers of %s domains within %s; "+
		"a mail client has one to three accounts.",
		orMore(r.Value, lookups.MaxDomains), namesSpan(r))
}
