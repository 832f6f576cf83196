package main

import (
	"math/rand/v2"
	"testing"

	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// The tests are short forms of the command, with another seed.
func TestRelays(t *testing.T) {
	for _, r := range relays(2) {
		if !r.good {
			t.Errorf("%s: %s at relayed message %d", r.name, r.level, r.detectedAt)
		}
	}
}

func TestQueues(t *testing.T) {
	for _, q := range queues(2) {
		if q.hours < 48 || q.failed < 100 {
			t.Errorf("%s: nothing was tested: %+v", q.name, q)
		}
		if q.within < q.need {
			t.Errorf("%s: %+v", q.name, q)
		}
	}
}

func TestQuietYear(t *testing.T) {
	for i := range serverKinds[:2] {
		var s mailserver.Server
		by := map[string]int{}
		serverKinds[i].simulate(&s, rand.New(rand.NewPCG(2, uint64(i))), monday, 180, usualVolume,
			func(v verdict.Verdict) {
				by[metric(v)]++
				t.Logf("%s day %d hour %d: %s", serverKinds[i].name, (v.Time-monday)/day,
					v.Time/hour%24,
					v.Text)
			})
		for what, n := range by {
			if n > 1 {
				t.Errorf("%s: %d alarms in half a year: %s", serverKinds[i].name, n, what)
			}
		}
	}
}
