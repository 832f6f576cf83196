package mailserver

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestBatches checks that a recurring batch is reported once, the first time, for any period.
func TestBatches(t *testing.T) {
	on := func(of int, f func(d time.Time) bool) func(time.Time) bool {
		return func(d time.Time) bool { return d.Hour() == of && f(d) }
	}
	workday := func(d time.Time) bool { return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday }
	for name, due := range map[string]func(d time.Time) bool{
		"every second week": on(15, func(d time.Time) bool {
			return d.Weekday() == time.Wednesday && (d.Unix()*second-monday)/(14*day)*14*day+9*day < d.Unix()*second-monday
		}),
		"the 15th":              on(11, func(d time.Time) bool { return d.Day() == 15 }),
		"the last of the month": on(22, func(d time.Time) bool { return d.AddDate(0, 0, 1).Day() == 1 }),
		"the second Tuesday":    on(9, func(d time.Time) bool { return d.Weekday() == time.Tuesday && d.Day() > 7 && d.Day() <= 14 }),
		"the last Friday":       on(16, func(d time.Time) bool { return d.Weekday() == time.Friday && d.AddDate(0, 0, 7).Month() != d.Month() }),
		"first working day": on(6, func(d time.Time) bool {
			return workday(d) && (d.Day() == 1 || d.Weekday() == time.Monday && d.Day() <= 3)
		}),
		"every quarter": on(8, func(d time.Time) bool { return d.Day() == 2 && d.Month()%3 == 1 }),
	} {
		var v Traffic
		rnd := rand.New(rand.NewPCG(4, 4))
		var at []time.Time
		alarm := func(a volumeAlarm) { at = append(at, time.Unix(0, a.Time).UTC()) }
		for h := monday; h < monday+365*day; h += hour {
			d := time.Unix(0, h).UTC()
			each(v.tick(h), alarm)
			rate := 2.0
			if workday(d) && d.Hour() >= 8 && d.Hour() < 18 {
				rate = 100
			}
			n := poisson(rnd, rate)
			if due(d) {
				n += 2000 + poisson(rnd, 500)
			}
			for i := range n {
				each(v.tick(h+int64(i)*hour/int64(n+1)), alarm)
				if a, ok := v.add(OutMessages, 1, h+int64(i)*hour/int64(n+1)); ok {
					alarm(a)
				}
			}
		}
		if len(at) != 1 {
			t.Errorf("%s: alarms at %v", name, at)
		}
	}
}

// TestNoBatch checks that a flood at another time than a batch is no batch, even on the same day of
// the week.
func TestNoBatch(t *testing.T) {
	var v Traffic
	rnd := rand.New(rand.NewPCG(6, 6))
	p := pace{office: 60, night: 2, letter: 6000, busy: 0.2}
	p.play(&v, rnd, monday, 60, usual, func(volumeAlarm) {})
	found := false
	p.play(&v, rnd, monday+60*day, 7, func(t int64) float64 {
		if slot := (t - monday) / hour % 168; slot == 6*24+14 { // Sunday, four hours after the message
			return 60
		}
		return 1
	}, func(volumeAlarm) { found = true })
	if !found {
		t.Error("a flood four hours after the weekly letter was taken for it")
	}
}

// TestDayOff checks that the first holiday is reported, the next ones are not, and two days of
// silence are.
func TestDayOff(t *testing.T) {
	var v Traffic
	rnd := rand.New(rand.NewPCG(8, 8))
	var at []int64
	alarm := func(a volumeAlarm) {
		if a.Kind == "stopped" {
			at = append(at, (a.Time-monday)/day)
		}
	}
	silent := map[int64]bool{28: true, 42: true, 57: true, 72: true, 73: true} // Mondays, a Tuesday; Wednesday and Thursday
	for h := monday; h < monday+90*day; h += five {
		each(v.tick(h), alarm)
		slot, d := (h-monday)/hour%168, (h-monday)/day
		if slot%24 >= 8 && slot%24 < 18 && slot < 120 && !silent[d] {
			v.add(OutSessions, uint64(poisson(rnd, 10)), h)
		}
	}
	if len(at) != 2 || at[0] != 28 || at[1] != 73 {
		t.Errorf("told on the days %v, want 28 and 73", at)
	}
}
