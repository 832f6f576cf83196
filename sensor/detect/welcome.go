package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// holdsWelcome is for the share of mails that receiving servers accepted: 95 % of ten or more. The
// test of refusals has the counts. That a relay accepts everything says nothing for a source that
// has another sender for each mail.
func holdsWelcome(p *Profile) (holds bool, value, threshold float64) {
	accepted, total := p.acceptance()
	share := float64(accepted) / float64(max(1, total))
	return total >= 10 && !p.newSenderEachTime() && accepted*20 >= total*19, share, 0.95
}

// textWelcome has the mails of the test in force.
func textWelcome(p *Profile, _ *Counters, _ *verdict.Reason) string {
	accepted, total := p.acceptance()
	return fmt.Sprintf("In its favour: receiving servers accepted %d of %s that they accepted or "+
		"refused.", accepted, verdict.Plural(total, "mail"))
}
