package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// maxSubmit is how many networks are kept apart on the ports of submission within an hour.
const maxSubmit = 16

// observeSubmitSpread counts different providers or networks within an hour on the ports of
// submission (RFC 6409, RFC 8314), where a mail client connects to its few providers only. The ones
// that let it submit do not count, as long as a person may have as many accounts. A bot with stolen
// accounts connects to more. Several machines behind NAT have many providers together:
// BehindNAT lowers the reason.
func observeSubmitSpread(p *Profile, c *Config, o *Observation) {
	if o.Port == 25 || o.excused || p.foundLately(SubmitSpread, o.Time) {
		return
	}
	n, _ := sketch.AddRecent(p.submit[:], o.unit, sketch.Stamp(o.Time), 3600)
	p.judgeSubmitSpread(c, n, o.Time)
}

// judgeSubmitSpread is for n networks within an hour.
func (p *Profile) judgeSubmitSpread(c *Config, n int, now int64) {
	if n >= c.SubmitNetworks {
		p.raise(SubmitSpread, now, float64(n), float64(c.SubmitNetworks), 4.6)
	}
}

// textSubmitSpread has the number of networks, r.Value; it is not counted beyond the threshold.
func textSubmitSpread(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It contacted %s different %s within an hour to submit mail (ports "+
		"465, 587, 2525); a mail client has one to three providers.",
		bounded(r.Value, int(r.Threshold)), p.unit()+"s")
}
