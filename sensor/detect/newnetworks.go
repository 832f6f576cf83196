package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[NewNetworks] = detector{"new_networks", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It tried %s to %s in %s; a workstation normally uses one or two.",
			verdict.Plural(h.attempts(f), "connection"), verdict.Plural(h.nets.Len(), "different mail network"), verdict.Span(f.Last-h.since(f)))
	}}
	detectors[ManyNetworks] = detector{"many_networks", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It contacted %s different mail networks within one hour.", many(r))
	}}
	detectors[SubmitSpread] = detector{"submission_spread", Volume, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It contacted %s different networks within an hour to submit mail (ports 465, 587, 2525); a mail client has one to three providers.", orMore(r.Value, int(r.Threshold)))
	}}
}

// spread is a sequential test on the rate of networks that the host never contacted
// before: a CUSUM of the log-likelihood ratio of two Poisson processes, at three time
// scales. Old destinations, and with them the retries of a mail server, do not count.
//
//	S <- max(0, S - dt (l1 - l0)) + ln(l1/l0) at each new network; found when S >= h
//
// Simulated benign hosts with up to 0.5 new networks a day: no alarm in 1,000 host-years.
type newNetworksTest struct {
	s  [len(scales)]float64
	at int64 // of the latest new network
}

// failOver reports whether all there was is one burst: a mail that was tried at up to five
// servers of its recipient's provider, and nothing new for an hour since.
func (h *Profile) failOver(now int64) bool {
	return h.nets.Len() <= 5 && now-h.newNetworks.at > hour
}

// scales are the rates per second of a benign host and of a bot: 1 and 30 an hour, 0.25
// and 6 an hour, 1 and 12 a day. They fire at the fourth, fourth and fifth contact.
var scales = [...]scale{newScale(1./3600, 30./3600), newScale(.25/3600, 6./3600), newScale(1./86400, 12./86400)}

// scale holds what a second takes away and a contact adds.
type scale struct{ fall, step float64 }

func newScale(l0, l1 float64) scale { return scale{l1 - l0, math.Log(l1 / l0)} }

func (s *newNetworksTest) contact(c *Config, h *Profile, now int64) {
	dt := math.Max(0, float64(now-s.at)/float64(second))
	s.at = max(s.at, now)
	for i, r := range scales {
		s.s[i] = max(0, s.s[i]-dt*r.fall) + r.step
		if s.s[i] >= c.NewNetworksThreshold {
			h.raise(NewNetworks, now, float64(h.nets.Len()), 4, 6.9)
		}
	}
}

// maxWindow and maxSubmit are how many networks are told apart within an hour.
const (
	maxWindow = 32
	maxSubmit = 16
)

// many is a number of networks; at the higher threshold nobody counts on.
func many(r *verdict.Reason) string {
	if r.Weight >= massWeight {
		return fmt.Sprintf("%d or more", int(r.Value))
	}
	return fmt.Sprint(int(r.Value))
}

const massWeight = 4.6

// judgeWindow is for different networks within the hour, new or not.
func judgeWindow(c *Config, h *Profile, a *Attempt) {
	if h.reasons[ManyNetworks].Weight >= massWeight && h.FoundLately(ManyNetworks, a.Time) {
		return
	}
	n, _ := sketch.AddRecent(h.hour[:], a.Net, sketch.Stamp(a.Time), 3600)
	switch {
	case n >= c.MassNetworks:
		h.raise(ManyNetworks, a.Time, float64(n), float64(c.MassNetworks), massWeight)
	case n >= c.ManyNetworks:
		h.raise(ManyNetworks, a.Time, float64(n), float64(c.ManyNetworks), 2.3)
	}
}

// judgeSubmit is for the same on the ports of submission, where a mail client talks to
// its providers and to nobody else.
func judgeSubmit(c *Config, h *Profile, a *Attempt) {
	if a.Port == 25 || h.FoundLately(SubmitSpread, a.Time) {
		return
	}
	if n, _ := sketch.AddRecent(h.submit[:], a.Net, sketch.Stamp(a.Time), 3600); n >= c.SubmitNetworks {
		h.raise(SubmitSpread, a.Time, float64(n), float64(c.SubmitNetworks), 4.6)
	}
}
