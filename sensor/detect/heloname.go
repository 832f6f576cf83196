package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/heloname"
)

// heloWeights are the weights of the classes: ln(share in spam / share in ham) from SpamAssassin
// 4.0.1's published statistics (65,320 messages), capped at 3.9 because the corpora are old and
// hold inbound mail.
var heloWeights = [...]float64{heloname.Word: 3.9, heloname.BareAddress: 2.7,
	heloname.Localhost: 3.9, heloname.Home: 2.2, heloname.Dynamic: 3.9, heloname.Empty: 3.9}

// maxHeloWeight is the largest of them.
const maxHeloWeight = 3.9

// observeHeloName judges the kind of a name, from HELO or EHLO, that is new within the day. Only
// the worst kind counts: its weight and its name stay. Names that do not count are left out by
// recordHelo.
func observeHeloName(p *Profile, o *Observation) {
	if !o.newInDay || o.Relay {
		return
	}
	w := &p.heloNames
	w.remember(string(o.Text))
	class := heloname.Classify(string(o.Text))
	if weight := heloWeights[class]; weight > p.reasons[HeloName].Weight {
		w.worst = string(o.Text)
		// The value is a kind and not an amount: the larger one is not the worse one.
		p.reasons[HeloName].Value = 0
		p.raise(HeloName, o.Time, float64(class), 0, weight)
	} else if weight > 0 {
		p.reasons[HeloName].Last = o.Time
	}
}

// textHeloName has the worst name and its kind, r.Value.
func textHeloName(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It introduced itself as %q, which is %s; a mail server gives its full "+
		"name.", p.heloNames.worst, heloname.Class(r.Value))
}
