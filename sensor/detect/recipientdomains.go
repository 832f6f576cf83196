package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// observeRecipientDomains counts the domains of recipients within an hour, of mail to external
// servers. The threshold is Config.RecipientDomains. A host that takes mail in and returns it does
// not choose where it goes.
func observeRecipientDomains(p *Profile, c *Config, o *Observation) {
	// A source with many recipients need not be counted again within the minute.
	if !o.External || o.Returned && p.has(Serves) || p.foundLately(RecipientDomains, o.Time) {
		return
	}
	n, _ := sketch.AddRecent(p.envelope.recipients[:], o.Hash, sketch.Stamp(o.Time), 3600)
	p.judgeRecipientDomains(c, n, o.Time)
}

// judgeRecipientDomains is for n domains within an hour.
func (p *Profile) judgeRecipientDomains(c *Config, n int, now int64) {
	if n >= c.RecipientDomains {
		p.raise(RecipientDomains, now, float64(n), float64(c.RecipientDomains), 2.3)
	}
}

// textRecipientDomains has the number of domains, r.Value, as far as they are kept apart.
func textRecipientDomains(_ *Profile, n *Counters, r *verdict.Reason) string {
	format := tries(n, "It mails to recipients in %s domains within an hour.",
		"It tries to mail to recipients in %s domains within an hour.")
	return fmt.Sprintf(format, atLeast(r, 2.3, maxWindow))
}
