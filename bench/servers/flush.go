package main

import (
	"math/rand/v2"
	"strings"

	"spamsensor/sensor/mailserver"
)

// flushResult is what servers gave that emptied their queue after an outage.
type flushResult struct {
	name          string
	tried, alarms int        // of volume, after the outage
	rise          riseResult // ten times the usual volume, from the end of the outage on
}

func (f *flushResult) good() bool {
	return f.alarms == 0 && len(f.rise.took) == f.rise.tried && f.rise.worst() <= 7200
}

// flushes has everybody refuse a server's mail for two to ten hours of a working day in the seventh
// week. Afterwards the queue is emptied; in half of the cases somebody sends ten times as much as
// usual from then on.
func flushes(seed uint64) (list []flushResult) {
	for i := range kinds {
		k := &kinds[i]
		if k.office < 5 || k.office >= 1000 {
			continue
		}
		r := flushResult{name: k.name, rise: riseResult{name: k.name, factor: 10}}
		for n := range 12 {
			rnd := rand.New(rand.NewPCG(seed+78, uint64(i*1000+n)))
			var s mailserver.Server
			k.run(&s, rnd, monday, 42, usual, func(mailserver.Verdict) {})
			begin := monday + 43*day + 7*hour + int64(rnd.Uint64N(uint64(3*hour)))/five*five
			end := begin + 2*hour + int64(rnd.Uint64N(uint64(5*hour)))/five*five
			rises := n%2 == 1
			alarm := int64(0)
			k.runDown(&s, rnd, monday+42*day, 2, func(t int64) float64 {
				if rises && t >= end && t < end+6*hour {
					return 10
				}
				return 1
			}, func(t int64) bool { return t >= begin && t < end }, func(v mailserver.Verdict) {
				if alarm == 0 && v.Time >= end &&
					(v.Code == "volume_burst" || v.Code == "volume_rise") &&
					!strings.Contains(v.Text, "refusals") {
					alarm = v.Time
				}
			})
			switch {
			case rises:
				r.rise.tried++
				if alarm != 0 {
					r.rise.took = append(r.rise.took, int((alarm-end)/second))
				}
			default:
				r.tried++
				if alarm != 0 {
					r.alarms++
				}
			}
		}
		list = append(list, r)
	}
	return list
}
