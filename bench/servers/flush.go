package main

import (
	"math/rand/v2"
	"strings"

	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// flushResult is the result of servers that empty their queue after an outage.
type flushResult struct {
	name          string
	tried, alarms int        // servers without a rise; volume alarms after the outage
	rise          riseResult // servers with a rise to ten times the usual volume
}

// good reports whether the goal is reached.
func (f *flushResult) good() bool {
	return f.alarms == 0 && len(f.rise.seconds) == f.rise.tried && f.rise.worst() <= 7200
}

// queueFlushes simulates an outage of all receiving servers for two to seven hours of a working day
// in the seventh week, after which the server empties its queue. In half of the cases the volume
// rises to ten times the usual volume at the end of the outage, for six hours.
func queueFlushes(seed uint64) (list []flushResult) {
	for i := range serverKinds {
		k := &serverKinds[i]
		if k.office < 5 || k.office >= 1000 {
			continue
		}
		r := flushResult{name: k.name, rise: riseResult{name: k.name, factor: 10}}
		for n := range 12 {
			rnd := rand.New(rand.NewPCG(seed+78, uint64(i*1000+n)))
			var s mailserver.Server
			k.simulate(&s, rnd, monday, 42, usualVolume, func(verdict.Verdict) {})
			begin := monday + 43*day + 7*hour +
				int64(rnd.Uint64N(uint64(3*hour)))/fiveMinutes*fiveMinutes
			end := begin + 2*hour + int64(rnd.Uint64N(uint64(5*hour)))/fiveMinutes*fiveMinutes
			rises := n%2 == 1
			alarm := int64(0)
			k.simulateOutage(&s, rnd, monday+42*day, 2, func(t int64) float64 {
				if rises && t >= end && t < end+6*hour {
					return 10
				}
				return 1
			}, func(t int64) bool { return t >= begin && t < end }, func(v verdict.Verdict) {
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
					r.rise.seconds = append(r.rise.seconds, int((alarm-end)/second))
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
