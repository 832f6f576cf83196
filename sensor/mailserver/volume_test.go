package mailserver

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// monday is a Monday, 00:00 UTC.
const monday = int64(1700438400) * second

// pace is the messages of a server in each hour of the week: an office, with a batch every night
// and a newsletter on Sundays.
type pace struct {
	office, night float64
	batch, letter int
	busy          float64 // standard deviation of the logarithm of a day's factor
}

// play sends messages for some days, in steps of five minutes. extra multiplies the rate.
func (p pace) play(v *Traffic, rnd *rand.Rand, from int64, days int, extra func(t int64) float64, alarm func(volumeAlarm)) {
	day := 1.0
	for t := from; t < from+int64(days)*24*hour; t += five {
		slot := (t - monday) / hour % 168
		if t%(24*hour) == 0 {
			day = math.Exp(p.busy * rnd.NormFloat64())
		}
		rate := p.night
		if h := slot % 24; h >= 8 && h < 18 && slot < 120 {
			rate = p.office * day
		}
		n := poisson(rnd, rate/12*extra(t))
		if slot%24 == 2 && t/five%12 == 0 {
			n += p.batch + poisson(rnd, float64(p.batch)/10)
		}
		if slot == 6*24+10 && t/five%12 < 3 {
			n += p.letter/3 + poisson(rnd, float64(p.letter)/20)
		}
		each(v.tick(t), alarm)
		for i := range n {
			if a, ok := v.add(OutMessages, 1, t+int64(i)*five/int64(n+1)); ok {
				alarm(a)
			}
		}
	}
}

func poisson(rnd *rand.Rand, mean float64) (n int) {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rnd.NormFloat64())))
	}
	for t := rnd.ExpFloat64(); t < mean; t += rnd.ExpFloat64() {
		n++
	}
	return n
}

func usual(int64) float64 { return 1 }

var paces = map[string]pace{
	"small office": {office: 12, night: 0.2, busy: 0.2},
	"office":       {office: 300, night: 5, batch: 200, busy: 0.2},
	"newsletter":   {office: 60, night: 2, letter: 6000, busy: 0.3},
	"provider":     {office: 5000, night: 2000, batch: 3000, letter: 20000, busy: 0.1},
	"idle":         {office: 0.3, night: 0.1, busy: 0.5},
}

// TestQuietServers checks that there is at most one false alarm a year, the first year with its
// learning included.
func TestQuietServers(t *testing.T) {
	for name, p := range paces {
		for seed := range uint64(1) {
			var v Traffic
			var alarms []volumeAlarm
			p.play(&v, rand.New(rand.NewPCG(seed, 7)), monday+3*24*hour+1000*second, 365, usual, func(a volumeAlarm) { alarms = append(alarms, a) })
			if len(alarms) > 1 {
				t.Errorf("%s, seed %d: %d alarms", name, seed, len(alarms))
				for _, a := range alarms[:min(5, len(alarms))] {
					t.Logf("  day %d, hour %d: %s: %s", (a.Time-monday)/(24*hour), (a.Time-monday)/hour%168, a.Kind, a.sentence())
				}
			}
		}
	}
}

// TestRises checks that ten times the volume is found within an hour and fifty times within ten
// minutes, at any time of a working day, and that the end of the rise is reported.
func TestRises(t *testing.T) {
	for name, p := range paces {
		if p.office < 5 {
			continue // ten times almost no volume is still little
		}
		for _, factor := range []float64{10, 50} {
			for seed := range uint64(2) {
				var v Traffic
				rnd := rand.New(rand.NewPCG(seed, 9))
				p.play(&v, rnd, monday, 42, usual, func(volumeAlarm) {})
				begin := monday + 42*24*hour + 9*hour + int64(seed)*17*minute
				at := int64(0)
				p.play(&v, rnd, monday+42*24*hour, 1, func(t int64) float64 {
					if t >= begin && t < begin+2*hour {
						return factor
					}
					return 1
				}, func(a volumeAlarm) {
					if at == 0 && a.Time >= begin {
						at = a.Time
					}
				})
				limit := hour
				if factor == 50 {
					limit = 10 * minute
				}
				if took := at - begin; at == 0 || took > limit {
					t.Errorf("%s, %.0f times: found after %d s", name, factor, took/second)
				}
			}
		}
	}
}

// TestSlowRise checks that a rise by half for a week is found by the CUSUM, although no single hour
// is unusual.
func TestSlowRise(t *testing.T) {
	p := pace{office: 400, night: 200, busy: 0.02}
	var v Traffic
	rnd := rand.New(rand.NewPCG(3, 3))
	p.play(&v, rnd, monday, 42, usual, func(a volumeAlarm) { t.Errorf("before: %+v", a) })
	var kinds []string
	p.play(&v, rnd, monday+42*24*hour, 2, func(int64) float64 { return 1.35 }, func(a volumeAlarm) { kinds = append(kinds, a.Kind) })
	if len(kinds) == 0 || kinds[0] != "rise" {
		t.Errorf("found: %v", kinds)
	}
}

func TestStopped(t *testing.T) {
	p := pace{office: 100, night: 1}
	for _, row := range []struct {
		from, to int64 // hours of the Monday without traffic
		want     int
	}{{9, 13, 1}, {9, 10, 0}, {20, 30, 0}} {
		var v Traffic
		rnd := rand.New(rand.NewPCG(5, 5))
		begin := monday + 21*24*hour
		got, now := 0, int64(0)
		count := func(a volumeAlarm) {
			if a.Kind == "stopped" {
				got++
			}
			if a.Time > now {
				t.Errorf("an alarm of what has not happened yet: %+v, %d s ahead", a, (a.Time-now)/second)
			}
		}
		for t := monday; t < begin+48*hour; t += five {
			now = t
			each(v.tick(t), count)
			slot := (t - monday) / hour % 168
			if h := (t - begin) / hour; slot%24 < 8 || slot%24 >= 18 || slot >= 120 || t >= begin && h >= row.from && h < row.to {
				continue
			}
			v.add(OutSessions, uint64(poisson(rnd, p.office/12)), t)
		}
		if got != row.want {
			t.Errorf("silent from %d to %d: %d alarms, want %d", row.from, row.to, got, row.want)
		}
	}
}

// TestLearning checks that there is no verdict on the first day, and that no Monday is compared
// with a weekend.
func TestLearning(t *testing.T) {
	var v Traffic
	rnd := rand.New(rand.NewPCG(1, 1))
	saturday := monday + 5*24*hour
	p := pace{office: 500, night: 1}
	p.play(&v, rnd, saturday, 5, usual, func(a volumeAlarm) { t.Errorf("%s: %s", a.Kind, a.sentence()) })
	if v.learning(saturday+23*hour) != true || v.learning(saturday+25*hour) {
		t.Error("learning does not end after a day")
	}
}

// TestSpreadWhileLearning checks that on the first day submitting networks are compared with the
// hours before, and that the morning is no alarm.
func TestSpreadWhileLearning(t *testing.T) {
	for _, row := range []struct {
		name   string
		before []int // networks in the hours before
		now    int
		want   bool
	}{
		{"a few all night, then everywhere", []int{2, 3, 1, 0, 2, 3, 2, 1, 3, 2, 3}, 40, true},
		{"a morning", []int{0, 0, 0, 0, 0, 0, 0, 1, 3, 8, 20}, 40, false},
		{"a small firm", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}, 25, false},
		{"too early to say", []int{2, 3, 1, 0, 2}, 40, false},
	} {
		var v Traffic
		each(v.tick(monday), func(volumeAlarm) {})
		found, hash := false, uint32(0)
		hours := append(slices.Clone(row.before), row.now)
		for i, n := range hours {
			for range n {
				hash++
				if _, ok := v.submitNetwork(hash, monday+int64(i)*hour+minute); ok {
					found = true
					if i < len(row.before) {
						t.Errorf("%s: an alarm in hour %d", row.name, i)
					}
				}
			}
			each(v.tick(monday+int64(i+1)*hour), func(volumeAlarm) {})
		}
		if found != row.want {
			t.Errorf("%s: found %v", row.name, found)
		}
	}
}

// TestPause checks that hours in which the sensor did not run are neither empty nor usual, and that
// the baseline survives a checkpoint.
func TestPause(t *testing.T) {
	p := pace{office: 200, night: 40}
	var v Traffic
	rnd := rand.New(rand.NewPCG(2, 2))
	p.play(&v, rnd, monday, 28, usual, func(volumeAlarm) {})
	text, err := json.Marshal(&v)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 100<<10 {
		t.Errorf("%d bytes in a checkpoint", len(text))
	}
	var w Traffic
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	later := monday + 30*24*hour + 9*hour
	w.resume(later)
	if r := w.Series[OutMessages].Past[(later/hour-5)%pastHours]; r != 0 {
		t.Errorf("an hour of the pause has the count of four weeks before, %d", r-1)
	}
	p.play(&w, rnd, later, 5, usual, func(a volumeAlarm) { t.Errorf("%s: %s", a.Kind, a.sentence()) })
	found := false
	p.play(&w, rnd, later+5*24*hour, 1, func(int64) float64 { return 20 }, func(volumeAlarm) { found = true })
	if !found {
		t.Error("after a pause nothing is found any more")
	}
}

// TestDaysVary checks that the variance of days is known after four weeks. The usual volume of
// these weeks is the highest that was seen, and must not hide the variance: otherwise the first
// busy day after them is an alarm.
func TestDaysVary(t *testing.T) {
	p := pace{office: 3000, night: 1000, busy: 0.1}
	sum := 0.0
	const servers = 8
	for seed := range uint64(servers) {
		var v Traffic
		p.play(&v, rand.New(rand.NewPCG(seed, 3)), monday, 28, usual, func(volumeAlarm) {})
		sum += math.Sqrt(1 + v.Series[OutMessages].Days[0].F)
	}
	// Ten hours of 3000, each a tenth more: the sum of ten z of 5.35, divided by the root of 24.
	if got, want := sum/servers, 10.9; got < 0.6*want || got > 1.4*want {
		t.Errorf("days vary by %.1f, want about %.1f", got, want)
	}
}

// TestAlarmTime checks that a rise is reported at the end of the hour in which it shows.
func TestAlarmTime(t *testing.T) {
	p := pace{office: 300, night: 300}
	var v Traffic
	rnd := rand.New(rand.NewPCG(1, 1))
	p.play(&v, rnd, monday, 42, usual, func(volumeAlarm) {})
	rises := 0
	p.play(&v, rnd, monday+42*24*hour, 1, func(int64) float64 { return 1.6 }, func(a volumeAlarm) {
		rises++
		if a.Time >= v.Bin*five || a.Time < v.Bin*five-five {
			t.Errorf("%s: its time is %d s after the five minutes that ended began", a.Kind, (a.Time-v.Bin*five+five)/second)
		}
	})
	if rises != 1 {
		t.Errorf("%d alarms, want 1", rises)
	}
}
