package picture

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
)

// HoursData are the attempts of a host by hour. The report has them in Model.Findings: Name is the
// IP, the hours are Hours.
type HoursData struct {
	ID    string         // prefix of the ids
	Zone  *time.Location // nil is UTC
	Name  string
	Hours []HourCount
}

// HourCount is a count in an hour.
type HourCount struct {
	At time.Time
	N  uint64
}

const (
	maxDays   = 31
	dayHeight = 20
	levels    = 4
)

// Hours draws the attempts of a host by the hour of the day, a row for each day.
func Hours(p *lang.Printer, d HoursData) template.HTML {
	zone, id := location(d.Zone), prefix(d.ID)
	name := clean(d.Name)
	title := p.Sprintf("Hours of %s", cut(name, 40))
	days, left := byDay(d.Hours, zone)
	if len(days) == 0 {
		return empty(id, title, p.Text("No attempt of this host was counted by hour."))
	}
	v := &hoursView{Top: 4, Days: len(days)}
	v.Bottom = v.Top + dayHeight*len(days)
	v.Height, v.Foot = v.Bottom-v.Top, v.Bottom
	for h := range 25 {
		if h%3 == 0 {
			v.Columns = append(v.Columns, tick{X: percent(float64(h) / 24), Label: fmt.Sprint(h),
				Dense: h%6 != 0})
		}
	}
	var sum, most uint64
	used := map[int]bool{}
	at := ""
	for _, day := range days {
		for h, n := range day.counts {
			if sum += n; n > 0 {
				used[h] = true
			}
			if n > most {
				most = n
				at = weekday(p, day.at) + ", " + p.Sprintf("%d h", h)
			}
		}
	}
	bounds := v.cells(p, days, most)
	f := &figure{ID: id, Title: title, Height: v.Bottom + 18,
		Class: "labels",
		Unit: p.Sprintf("attempts by hour of the day; times are %s",
			zoneName(days[0].at, days[len(days)-1].at, zone))}
	f.Body = execute("hours", v)
	f.Says = p.Sprintf("%s on %s, in %d of the 24 hours of the day. Most are %s on %s.",
		p.Plural(sum, "attempt", "attempts"), p.Plural(uint64(len(days)), "day", "days"), len(used),
		p.Number(most), at)
	for i := range levels {
		if low, high := bounds[i], bounds[i+1]-1; high >= low {
			text := p.Sprintf("%s to %s attempts", p.Number(low), p.Number(high))
			if low == high {
				text = p.Plural(low, "attempt", "attempts")
			}
			f.Keys = append(f.Keys, key{fill{Class: fmt.Sprintf("heat%d", i+1)}, "", text})
		}
	}
	if left > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Not shown: %s.",
			p.Plural(uint64(left), "earlier day", "earlier days")))
	}
	f.Table.Heads = []head{{p.Text("Day"), true}, {p.Text("Attempts"), false},
		{p.Text("By hour"), true}}
	for _, day := range days {
		f.Table.Rows = append(f.Table.Rows, day.row(p))
	}
	return draw(p, f)
}

type hoursView struct {
	Top, Bottom, Foot, Height, Days int
	Rows, Columns                   []tick
	Cells                           []cells
}

// hoursOfDay are the counts of a day. An hour that the clock repeats is added to the first.
type hoursOfDay struct {
	at     time.Time
	counts [24]uint64
}

// byDay sorts hours into days, without gaps; left is how many days at the beginning are left out.
func byDay(hours []HourCount, zone *time.Location) (days []hoursOfDay, left int) {
	hours = slices.SortedStableFunc(slices.Values(hours), func(a, b HourCount) int {
		return a.At.Compare(b.At)
	})
	for _, h := range hours {
		t := h.At.In(zone)
		if h.N == 0 {
			continue
		}
		y, m, d := t.Date()
		for n := len(days); n == 0 || days[n-1].at.YearDay() != t.YearDay() ||
			days[n-1].at.Year() != y; n = len(days) {
			next := time.Date(y, m, d, 12, 0, 0, 0, zone)
			if n > 0 {
				if next.Sub(days[n-1].at) < (maxDays+1)*24*time.Hour {
					a := days[n-1].at
					next = time.Date(a.Year(), a.Month(), a.Day()+1, 12, 0, 0, 0, zone)
				} else {
					left += n
					days = nil
				}
			}
			days = append(days, hoursOfDay{at: next})
		}
		days[len(days)-1].counts[t.Hour()] += h.N
	}
	if more := len(days) - maxDays; more > 0 {
		days, left = days[more:], left+more
	}
	return days, left
}

// row is a row of the table: the hours with their attempts.
func (d *hoursOfDay) row(p *lang.Printer) []string {
	var sum uint64
	var list []string
	for h, n := range d.counts {
		if sum += n; n > 0 {
			list = append(list, colon(p, p.Sprintf("%d h", h), p.Number(n)))
		}
	}
	return []string{weekday(p, d.at), p.Number(sum), strings.Join(list, ", ")}
}

// cells draws the days. The result are the counts at which the shades begin, and the end.
func (v *hoursView) cells(p *lang.Printer, days []hoursOfDay, most uint64) (
	bounds [levels + 1]uint64) {
	for i := range bounds { // in equal ratios
		bounds[i] = uint64(math.Ceil(math.Pow(float64(most)+1, float64(i)/levels) - 1e-9))
		if i > 0 {
			bounds[i] = max(bounds[i], bounds[i-1])
		}
	}
	bounds[levels] = most + 1
	var paths [levels]strings.Builder
	var none strings.Builder
	for y, day := range days {
		v.Rows = append(v.Rows, tick{Y: v.Top + dayHeight*y + dayHeight/2,
			Label: weekday(p, day.at)})
		for x, n := range day.counts {
			at := fmt.Sprintf("M%s %sh.9v.84h-.9z", short(float64(x)+0.05, 2),
				short(float64(y)+0.08, 2))
			if n == 0 {
				none.WriteString(at)
				continue
			}
			for i := levels - 1; i >= 0; i-- {
				if n >= bounds[i] {
					paths[i].WriteString(at)
					break
				}
			}
		}
	}
	v.Cells = append(v.Cells, cells{"empty", none.String()})
	for i := range paths {
		v.Cells = append(v.Cells, cells{fmt.Sprintf("heat%d", i+1), paths[i].String()})
	}
	return bounds
}
