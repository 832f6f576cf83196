package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/verdict"
)

// newNetworksTest is a sequential test on the rate of networks that the source never contacted
// before: a CUSUM (Page 1954) of the log-likelihood ratio of two Poisson processes, at three time
// scales. Known destinations, and with them the retries of a mail server, do not count.
//
//	S <- max(0, S - dt (l1 - l0)) + ln(l1/l0) at each new network; found when S >= h
//
// Simulated benign hosts with up to 0.5 new networks a day raise no alarm in 1,000 host-years.
type newNetworksTest struct {
	Sums [len(scales)]float64 `json:"Sums"` // S of each time scale
	At   int64                `json:"At"`   // of the latest new network
}

// scales are the rates per second of a benign host and of a bot: 1 and 30 an hour, 0.25
// and 6 an hour, 1 and 12 a day. They fire at the fourth, fourth and fifth contact.
var scales = [...]scale{newScale(1./3600, 30./3600), newScale(.25/3600, 6./3600),
	newScale(1./86400, 12./86400)}

// scale holds what a second takes away and a contact adds.
type scale struct{ fall, step float64 }

// newScale is the scale of two rates per second: l0 of a benign host, l1 of a bot.
func newScale(l0, l1 float64) scale { return scale{l1 - l0, math.Log(l1 / l0)} }

// observeNewNetworks moves the test on when an attempt goes to a network that is new for the
// source. Attempts at declared relays never come here.
func observeNewNetworks(p *Profile, c *Config, _ *Counters, o Observation) {
	if o.newNet {
		p.newNetwork(c, o.Time)
	}
}

// newNetwork moves the test on by a network that the source contacts for the first time.
func (p *Profile) newNetwork(c *Config, now int64) {
	t := &p.newNetworks
	dt := math.Max(0, float64(now-t.At)/float64(second))
	t.At = max(t.At, now)
	for i, r := range scales {
		t.Sums[i] = max(0, t.Sums[i]-dt*r.fall) + r.step
		if t.Sums[i] >= c.NewNetworksThreshold {
			p.raise(NewNetworks, now, float64(p.nets.Len()), 4, 6.9)
		}
	}
}

// textNewNetworks has the attempts and networks of the machine since its first attempt.
func textNewNetworks(p *Profile, n *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("It tried %s to %s in %s; a workstation normally uses one or two.",
		verdict.Plural(p.attempts(n), "connection"),
		verdict.Plural(p.nets.Len(), "different mail network"), verdict.Span(n.Last-p.since(n)))
}
