package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// observeListLookups notices a source that asks blocklists about addresses. Bots ask about their
// own before they begin. One query is enough.
func observeListLookups(p *Profile, o *Observation) {
	if !p.isResolver() && p.lookups.Lists > 0 {
		p.raise(ListLookups, o.Time, float64(p.lookups.Lists), 1, 3.9)
	}
}

// textListLookups has the latest query.
func textListLookups(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("It asked blocklists about addresses (%s): a bot checks whether it is "+
		"listed already.", p.lookups.List)
}
