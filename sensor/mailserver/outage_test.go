package mailserver

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
)

// TestFlush checks that the mail that waited during an outage is no alarm when it is sent
// afterwards, that ten times the usual volume from then on is one, and soon, and that retries on a
// holiday do not count as an outage.
func TestFlush(t *testing.T) {
	for _, factor := range []int{1, 10} {
		rnd := rand.New(rand.NewPCG(5, uint64(factor)))
		var s Server
		var alarms []verdict.Verdict
		tell := func(v verdict.Verdict) {
			if (v.Code == "volume_burst" || v.Code == "volume_rise") && !strings.Contains(v.Text, "refusals") { // refusals are an alarm during the outage
				alarms = append(alarms, v)
			}
		}
		send := func(at int64, id uint64, code uint16) {
			m := Mail{Time: at, Net: uint32(id % 50), Host: uint32(id % 50), From: id, FromDomain: 1, Accepted: code == 250, Rcpts: []Recipient{{Hash: id, Domain: uint32(id % 50), Code: code}}}
			each(s.Observe(&Observation{Kind: OutboundMail, Mail: &m, Outside: true}), tell)
		}
		id := uint64(0)
		var waiting []uint64
		end := monday + 22*day + 15*hour
		for at := monday; at < end+3*hour; at += minute {
			each(s.Advance(at), tell)
			rate := 0.1
			if h := at / hour % 24; h >= 8 && h < 18 {
				rate = 2
			}
			down := at >= end-5*hour && at < end
			if at >= end {
				rate *= float64(factor)
			}
			for range poisson(rnd, rate) {
				id++
				if down {
					waiting = append(waiting, id)
					send(at, id, 451)
				} else {
					send(at, id, 250)
				}
			}
			switch {
			case down && at%(30*minute) == 0:
				for _, w := range waiting {
					send(at, w, 451)
				}
			case at >= end:
				for range min(len(waiting), 60) {
					send(at, waiting[0], 250)
					waiting = waiting[1:]
				}
			}
			if at == end-minute && (s.Queue.Outage.From == 0 || len(waiting) < 300) {
				t.Fatalf("nothing is tested: %d wait, %+v", len(waiting), s.Queue.Outage)
			}
		}
		switch {
		case factor == 1 && len(alarms) > 0:
			t.Errorf("the queue was emptied: %s at %d s", alarms[0].Text, (alarms[0].Time-end)/second)
		case factor == 10 && (len(alarms) == 0 || alarms[0].Time-end > hour):
			t.Errorf("ten times as much: %v", alarms)
		}
		if o := s.Queue.Outage; o.Waited < 300 || o.To < end || o.To > end+hour {
			t.Errorf("the outage: %+v", o)
		}
	}
	var o Outage
	for at := int64(0); at < 12*hour; at += minute {
		if at%(10*minute) == 0 {
			o.failed(uint32(at/minute%50), false, 0.01, monday+at)
		}
		if o.tick(monday+at, 10) {
			t.Fatal("letters that are tried again on a holiday are no outage")
		}
	}
	if a := (volumeAlarm{Kind: "burst", Value: 9, Flushing: true}); !strings.Contains(a.sentence(), "a backlog was expected") {
		t.Error(fmt.Sprint("it does not say that more was expected: ", a.sentence()))
	}
}

// TestFlushOnSlowDay checks that the volume of the day shows in the waiting mail: on a day with
// half of the usual mail, ten times as much is five times the usual, and only the mail that came
// during the outage shows that.
func TestFlushOnSlowDay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	var s Server
	found := int64(0)
	end := monday + 22*day + 14*hour
	tell := func(v verdict.Verdict) {
		if found == 0 && v.Time >= end && v.Code == "volume_burst" && !strings.Contains(v.Text, "refusals") {
			found = v.Time
		}
	}
	send := func(at int64, id uint64, code uint16) {
		m := Mail{Time: at, Net: uint32(id % 50), Host: uint32(id % 50), From: id, FromDomain: 1, Accepted: code == 250, Rcpts: []Recipient{{Hash: id, Domain: uint32(id % 50), Code: code}}}
		each(s.Observe(&Observation{Kind: OutboundMail, Mail: &m, Outside: true}), tell)
	}
	var waiting []uint64
	id := uint64(0)
	for at := monday; at < end+2*hour; at += minute {
		each(s.Advance(at), tell)
		rate := 0.1
		if h := at / hour % 24; h >= 8 && h < 18 {
			rate = 2
		}
		down := at >= end-6*hour && at < end // since the begin of working hours
		switch {
		case at >= end:
			rate = 2 * 0.5 * 7
		case down:
			rate *= 0.5
		}
		for range poisson(rnd, rate) {
			if id++; down {
				waiting = append(waiting, id)
				send(at, id, 451)
			} else {
				send(at, id, 250)
			}
		}
		for at >= end && len(waiting) > 0 {
			send(at, waiting[0], 250)
			waiting = waiting[1:]
		}
		if level := s.Traffic.Series[OutMessages].level; at == end-minute && level > 0.75 {
			t.Errorf("the day is taken for one with %.2f of the usual mail, and it has half of it", level)
		}
	}
	if found == 0 || found-end > 90*minute {
		t.Errorf("seven times the day's mail after the outage was found after %d minutes", (found-end)/minute)
	}
}
