package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// holdsWelcome is for the share of mails that receiving servers accepted: 95 % of ten or more. The
// test of refusals has the counts.
func holdsWelcome(p *Profile) (holds bool, value, threshold float64) {
	t := p.refusalTestInForce()
	share := float64(t.Accepted) / float64(max(1, t.Total))
	return t.Total >= 10 && t.Accepted*20 >= t.Total*19, share, 0.95
}

// textWelcome has the mails of the test in force.
func textWelcome(p *Profile, _ *Counters, _ *verdict.Reason) string {
	t := p.refusalTestInForce()
	return fmt.Sprintf("In its favour: receiving servers accepted %d of %s that they accepted or "+
		"refused.", t.Accepted, verdict.Plural(t.Total, "mail"))
}
