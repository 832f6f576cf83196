package detect

import (
	"fmt"

	"spamsensor/sensor/handover"
	"spamsensor/sensor/verdict"
)

// massReach is how many domains of recipients within a day have the weight of new networks: the
// server contacts their networks, and the host does not.
const massReach = 25

// observeForeignMail sees how many domains of strangers the source reaches through a server of
// ours, in the name of strangers: what counts, is decided by package handover. Domains weigh less
// if it is not configured which ones are ours.
func observeForeignMail(p *Profile, o *Observation) {
	p.through = string(o.Text)
	switch {
	case o.Reach == 0:
	case o.Reach >= massReach && o.Certain:
		p.raise(ForeignMail, o.Time, float64(o.Reach), massReach, 6.9)
	default:
		p.raise(ForeignMail, o.Time, float64(o.Reach), handover.ManyRecipients, 5.3)
	}
}

// Through is the address of the server of ours to which the source hands mail of strangers, empty
// if there is none.
func (p *Profile) Through() string { return p.through }

// textForeignMail has the number of domains, r.Value, and the server.
func textForeignMail(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It handed mail of strangers for recipients in %s foreign domains to your "+
		"own server %s within a day; mail that a host of yours sends is from you or to you.",
		bounded(r.Value, 32), p.through)
}
