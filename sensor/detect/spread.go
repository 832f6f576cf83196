package detect

import (
	"fmt"
	"math"
)

func init() {
	detectors[NewNetworks] = detector{"new_networks", Volume, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("It opened %s to %s in %s; a workstation normally uses one or two.",
			count(f.Attempts, "connection"), count(h.nets.len(), "different mail network"), span(f.Last-f.First))
	}}
	detectors[ManyNetworks] = detector{"many_networks", Volume, func(h *Host, f *Facts, r *Reason) string {
		more := ""
		if r.Value >= maxWindow {
			more = " or more"
		}
		return fmt.Sprintf("It contacted %d%s different mail networks within one hour.", int(r.Value), more)
	}}
	detectors[SubmitSpread] = detector{"submission_spread", Volume, func(h *Host, f *Facts, r *Reason) string {
		return fmt.Sprintf("It contacted %d different networks within an hour to submit mail (ports 465, 587, 2525); a mail client has one to three providers.", int(r.Value))
	}}
}

// spread is a sequential test on the rate of networks that the host never contacted
// before: a CUSUM of the log-likelihood ratio of two Poisson processes, at three time
// scales. Old destinations, and with them the retries of a mail server, do not count.
//
//	S <- max(0, S - dt (l1 - l0)) + ln(l1/l0) at each new network; found when S >= h
//
// Simulated benign hosts with up to 0.5 new networks a day: no alarm in 1,000 host-years.
type spread struct {
	s  [len(scales)]float64
	at int64
}

// scales are the rates per second of a benign host and of a bot: 1 and 30 an hour, 0.25
// and 6 an hour, 1 and 12 a day. They fire at the fourth, fourth and fifth contact.
var scales = [...]struct{ l0, l1 float64 }{{1. / 3600, 30. / 3600}, {.25 / 3600, 6. / 3600}, {1. / 86400, 12. / 86400}}

func (s *spread) contact(c *Config, h *Host, now int64) {
	dt := math.Max(0, float64(now-s.at)/float64(second))
	s.at = max(s.at, now)
	for i, r := range scales {
		s.s[i] = math.Max(0, s.s[i]-dt*(r.l1-r.l0)) + math.Log(r.l1/r.l0)
		if s.s[i] >= c.NewNetworksThreshold {
			h.found(NewNetworks, now, float64(h.nets.len()), 4, 6.9)
		}
	}
}

// maxWindow is how many networks a window tells apart; a higher count makes no
// difference to any detector.
const maxWindow = 32

// window holds the networks that were contacted lately.
type window struct {
	nets [maxWindow]uint32
	at   [maxWindow]int64
	n    int
}

// contact notes one and returns how many different ones there were within the hour.
func (w *window) contact(net uint32, now int64) (distinct int) {
	slot, oldest := -1, 0
	for i := range w.nets[:w.n] {
		if w.nets[i] == net {
			slot = i
		}
		if w.at[i] > now-hour {
			distinct++
		}
		if w.at[i] < w.at[oldest] {
			oldest = i
		}
	}
	switch {
	case slot >= 0:
		if w.at[slot] <= now-hour {
			distinct++
		}
	case w.n < maxWindow:
		slot = w.n
		w.n++
		distinct++
	default:
		slot = oldest
		if w.at[slot] <= now-hour {
			distinct++
		}
	}
	w.nets[slot], w.at[slot] = net, now
	return distinct
}

// judgeWindow is for different networks within the hour, new or not.
func judgeWindow(c *Config, h *Host, a *Attempt) {
	n := h.window.contact(a.Net, a.Time)
	switch {
	case n >= c.MassNetworks:
		h.found(ManyNetworks, a.Time, float64(n), float64(c.MassNetworks), 4.6)
	case n >= c.ManyNetworks:
		h.found(ManyNetworks, a.Time, float64(n), float64(c.ManyNetworks), 2.3)
	}
}

// judgeSubmit is for the same on the ports of submission, where a mail client talks to
// its providers and to nobody else.
func judgeSubmit(c *Config, h *Host, a *Attempt) {
	if a.Port == 25 {
		return
	}
	if n := h.submit.contact(a.Net, a.Time); n >= c.SubmitNetworks {
		h.found(SubmitSpread, a.Time, float64(n), float64(c.SubmitNetworks), 4.6)
	}
}
