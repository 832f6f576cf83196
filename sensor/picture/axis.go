package picture

import (
	"math"
	"slices"
	"time"

	"spamsensor/sensor/lang"
)

// tick is a line of the grid with its label. Dense ones are shown only where there is room.
type tick struct {
	X     string // of a vertical line
	Y     int    // of a horizontal line
	Label string
	Dense bool
	Day   bool // a day begins
}

// yTicks are the round numbers from zero to at least max, and the number at the top.
func niceTop(most float64, whole bool) (step, top float64) {
	if most <= 0 {
		most = 1
	}
	step = math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2} {
		if s := step * f; most/s <= 4 && (!whole || s == math.Trunc(s) && s >= 1) {
			step = s
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	return step, step * math.Ceil(most/step)
}

// linear are the ticks of a vertical axis from zero, which has its zero at y = bottom.
func linear(p *lang.Printer, most float64, topY, bottom int) (list []tick, top float64) {
	step, top := niceTop(most, true)
	for v := 0.0; v <= top; v += step {
		y := bottom - int(math.Round(v/top*float64(bottom-topY)))
		list = append(list, tick{Y: y, Label: compact(p, v)})
	}
	return list, top
}

// timeSteps are the distances of ticks in seconds, each with the denser one.
var timeSteps = []struct{ step, dense int }{{1, 1}, {2, 1}, {5, 5}, {10, 5}, {30, 15}, {60, 30},
	{120, 60}, {300, 300}, {600, 300}, {900, 300}, {1800, 600}, {3600, 1800}, {7200, 3600},
	{10800, 3600},
	{21600, 7200}, {43200, 21600}, {86400, 43200}, {2 * 86400, 86400}, {4 * 86400, 2 * 86400},
	{7 * 86400, 7 * 86400}, {14 * 86400, 7 * 86400}, {28 * 86400, 14 * 86400}}

// maxTicks are labelled at every width.
const maxTicks = 5

// timeline are the ticks of a horizontal axis between two times.
func timeline(p *lang.Printer, zone *time.Location, from, to time.Time) (list []tick) {
	seconds := to.Sub(from).Seconds()
	choice := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if seconds/float64(s.step) <= maxTicks {
			choice = s
			break
		}
	}
	for seconds/float64(choice.step) > maxTicks { // years
		choice.step, choice.dense = 2*choice.step, choice.step
	}
	from, to = from.In(zone), to.In(zone)
	y, m, d := from.Date()
	first := time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday
	for ; ; d++ {
		midnight := time.Date(y, m, d, 0, 0, 0, 0, zone)
		if midnight.After(to) {
			return list
		}
		days := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(first).Hours()) / 24
		if every := choice.dense / 86400; every > 1 && days%every != 0 {
			d += (every-days%every)%every - 1
			continue
		}
		for s := 0; s < 86400; s += choice.dense {
			t := time.Date(y, m, d, 0, 0, s, 0, zone)
			if t.Before(from) || t.After(to) {
				continue
			}
			x := tick{X: percent(t.Sub(from).Seconds() / max(seconds, 1e-9)), Day: s == 0}
			x.Dense = s%choice.step != 0 || choice.step > 86400 && days%(choice.step/86400) != 0
			switch {
			case s == 0:
				x.Label = day(p, t)
			case choice.dense < 60:
				x.Label = t.Format("15:04:05")
			default:
				x.Label = t.Format("15:04")
			}
			if !slices.ContainsFunc(list, func(o tick) bool { return o.X == x.X }) {
				list = append(list, x)
			}
		}
	}
}

// rounds are round numbers of a logarithmic axis up to most: powers of ten, and what is between
// them if there are few.
func rounds(most float64) (list []float64) {
	for v := 1.0; v <= most; v *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if f*v <= most && (f == 1 || most < 300) {
				list = append(list, f*v)
			}
		}
	}
	return list
}
