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

// AttemptsData are attempts over time. The report has them in Model.Activity: Minutes for a day at
// most, Hours for more; the marks are the findings, at Decided.At.
type AttemptsData struct {
	ID   string         // prefix of the ids
	Zone *time.Location // nil is UTC
	// Start is the beginning of the first interval; Width is the length of each.
	Start time.Time
	Width time.Duration
	// A count for each interval. Rest are hosts beyond the bound of those that are counted one by
	// one, and Outside hosts of other networks; these two are drawn as one kind.
	Servers, Others, Flagged, Rest, Outside []uint32
	Marks                                   []Mark
}

// Mark is something that happened. Label is short: an address and a class.
type Mark struct {
	At    time.Time
	Label string
}

const (
	maxColumns = 180
	minColumns = 8
	tableRows  = 24 // at most
)

// column is a bar of a picture: the sum of some intervals.
type column struct {
	servers, others, flagged float64
	outside, rest            float64
}

func (c column) sum() float64 { return c.servers + c.others + c.flagged + c.beyond() }

// beyond are the hosts that are not known to be in the own networks.
func (c column) beyond() float64 { return c.outside + c.rest }

// says lists the kinds of hosts that there are.
func (c column) says(p *lang.Printer) string {
	var list []string
	if c.flagged > 0 {
		list = append(list, p.Sprintf("%s by flagged hosts", count(p, c.flagged)))
	}
	if c.servers > 0 {
		list = append(list, p.Sprintf("%s by declared mail servers", count(p, c.servers)))
	}
	if c.others > 0 {
		list = append(list, p.Sprintf("%s by other hosts", count(p, c.others)))
	}
	if c.outside > 0 {
		list = append(list, p.Sprintf("%s by hosts of other networks", count(p, c.outside)))
	}
	if c.rest > 0 {
		list = append(list, p.Sprintf("%s by hosts that are not counted one by one",
			count(p, c.rest)))
	}
	return strings.Join(list, ", ")
}

// Attempts draws attempts over time, stacked by the kind of the host.
func Attempts(p *lang.Printer, d AttemptsData) template.HTML {
	zone, id := location(d.Zone), prefix(d.ID)
	title := p.Text("Attempts over time")
	n := max(len(d.Servers), len(d.Others), len(d.Flagged), len(d.Rest), len(d.Outside))
	all := d.merge(0, n, max(1, n))
	if n == 0 || d.Width <= 0 || all[0].sum() == 0 {
		return empty(id, title, p.Text("No host opened a connection to a mail port."))
	}
	each := d.each(n, maxColumns)
	lead := d.lead(zone, each)
	list := d.merge(lead, n, each)
	width := d.Width * time.Duration(each)
	from := d.Start.Add(-time.Duration(lead) * d.Width)
	peak, most := 0, 0.0
	for i, c := range list {
		if c.sum() > most {
			peak, most = i, c.sum()
		}
	}
	to := from.Add(time.Duration(max(len(list), minColumns)) * width)
	v := &attemptsView{ID: id, Top: 26, Bottom: 186, Foot: 191, N: max(len(list), minColumns)}
	f := &figure{ID: id, Title: title,
		Unit: p.Sprintf("attempts in %s; times are %s", span(p, width), zoneName(from, to, zone))}
	v.marks(p, f, d.Marks, from, to, zone)
	f.Height = v.Bottom + 22
	var top float64
	v.Rows, top = linear(p, most, v.Top, v.Bottom)
	v.Columns = timeline(p, zone, from, to)
	v.stack(list, top)
	end := d.Start.Add(time.Duration(n) * d.Width)
	if share := to.Sub(end).Seconds() / to.Sub(from).Seconds(); share > 0.2 {
		v.After, v.AfterX, v.AfterMiddle = percent(share), percent(1-share), percent(1-share/2)
		v.AfterText = p.Text("no data")
	}
	f.Body = execute("attempts", v)
	at := from.Add(time.Duration(peak) * width).In(zone)
	when := moment(p, at)
	if sameDay(d.Start.In(zone), end.In(zone)) {
		when = at.Format("15:04")
	}
	f.Says = p.Sprintf("%s (%s): %s. The peak is %s in %s (%s).",
		p.Plural(uint64(all[0].sum()), "attempt", "attempts"),
		period(p, d.Start.In(zone), end.In(zone)), all[0].says(p), count(p, most), span(p, width),
		when)
	for _, l := range layers {
		if l.own(all[0]) > 0 {
			fill := fillOf(id, l.class)
			f.Keys = append(f.Keys, key{fill, "", l.name(p, all[0])})
			f.Fills = append(f.Fills, fill)
		}
	}
	f.Table = d.table(p, zone, n)
	return draw(p, f)
}

// each is how many intervals make a column, so that there are no more than a number of columns. So
// many minutes divide an hour or a day, so many hours a day or a week.
func (d *AttemptsData) each(n, columns int) int {
	rounds := []int{1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440}
	if d.Width >= time.Hour {
		rounds = []int{1, 2, 3, 4, 6, 12, 24, 48, 168}
	}
	for _, each := range rounds {
		if (n+each-1)/each < columns {
			return each
		}
	}
	return (n + columns - 2) / (columns - 1)
}

// lead is how many intervals are missing before the first one to a round time.
func (d *AttemptsData) lead(zone *time.Location, each int) int {
	_, offset := d.Start.In(zone).Zone()
	at := (d.Start.Unix() + int64(offset)) / max(1, int64(d.Width/time.Second))
	return int((at%int64(each) + int64(each)) % int64(each))
}

// merge adds intervals up to columns.
func (d *AttemptsData) merge(lead, n, each int) []column {
	list := make([]column, max(1, (lead+n+each-1)/each))
	at := func(counts []uint32, i int) float64 {
		if i < len(counts) {
			return float64(counts[i])
		}
		return 0
	}
	for i := range n {
		c := &list[(lead+i)/each]
		c.servers += at(d.Servers, i)
		c.flagged += at(d.Flagged, i)
		c.outside += at(d.Outside, i)
		c.others += at(d.Others, i)
		c.rest += at(d.Rest, i)
	}
	return list
}

// table adds the intervals up to few rows.
func (d *AttemptsData) table(p *lang.Printer, zone *time.Location, n int) table {
	all := d.merge(0, n, max(1, n))[0]
	t := table{Heads: []head{{p.Text("From"), true}, {p.Text("Declared mail servers"), false},
		{p.Text("Flagged hosts"), false}, {p.Text("Other hosts"), false}}}
	if all.beyond() > 0 {
		t.Heads = append(t.Heads, head{beyondName(p, all), false})
	}
	each := d.each(n, tableRows)
	lead := d.lead(zone, each)
	for i, c := range d.merge(lead, n, each) {
		at := d.Start.Add(time.Duration(i*each-lead) * d.Width).In(zone)
		row := []string{moment(p, at), count(p, c.servers), count(p, c.flagged),
			count(p, c.others)}
		if all.beyond() > 0 {
			row = append(row, count(p, c.beyond()))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// layers are the kinds of hosts from the top of the stack to its bottom.
var layers = []struct {
	class string
	own   func(column) float64
	name  func(p *lang.Printer, all column) string
}{
	{"flagged", func(c column) float64 { return c.flagged },
		func(p *lang.Printer, _ column) string { return p.Text("Flagged hosts") }},
	{"others", func(c column) float64 { return c.others },
		func(p *lang.Printer, _ column) string { return p.Text("Other hosts") }},
	{"declared", func(c column) float64 { return c.servers },
		func(p *lang.Printer, _ column) string { return p.Text("Declared mail servers") }},
	{"outside", column.beyond, beyondName},
}

// beyondName names the hosts that are not known to be in the own networks.
func beyondName(p *lang.Printer, all column) string {
	switch {
	case all.rest == 0:
		return p.Text("Hosts of other networks")
	case all.outside == 0:
		return p.Text("Hosts that are not counted one by one")
	}
	return p.Text("Hosts of other networks, or not counted one by one")
}

// attemptsView is what the template draws.
type attemptsView struct {
	ID                   string
	Top, Bottom, Foot, N int
	Rows, Columns        []tick
	Layers               []layer
	Marks                []markView
	// After is the width of the part behind the end of the data.
	After, AfterX, AfterMiddle, AfterText string
}

// layer is an area of the stack.
type layer struct {
	ID   string
	Fill fill
	Path string
}

// stack draws the columns: first the whole, then what is below the top kind, and so on, each over
// the one before.
func (v *attemptsView) stack(list []column, top float64) {
	scale := float64(v.Bottom-v.Top) / top
	heights := make([]float64, len(list))
	for n := len(layers) - 1; n >= 0; n-- {
		l, some := &layers[n], false
		for i, c := range list {
			if own := l.own(c); own > 0 {
				heights[i] += max(own*scale, 2) // what is there is seen
				some = true
			}
		}
		if some {
			v.Layers = append(v.Layers, layer{v.ID + "-" + l.class[:2], fillOf(v.ID, l.class),
				outline(heights, float64(v.Bottom))})
		}
	}
	slices.Reverse(v.Layers)
}

// outline is the path of columns of a width of one. Few columns have gaps.
func outline(heights []float64, bottom float64) string {
	var b strings.Builder
	gap := len(heights) <= 60
	y := math.NaN()
	down := true
	for i, h := range heights {
		if h == 0 {
			if !down {
				fmt.Fprintf(&b, "V%sz", short(bottom, 1))
				down = true
			}
			continue
		}
		if down {
			fmt.Fprintf(&b, "M%d %s", i, short(bottom, 1))
			down, y = false, math.NaN()
		}
		if now := math.Round(bottom - h); now != y {
			fmt.Fprintf(&b, "V%s", short(now, 1))
			y = now
		}
		if gap {
			fmt.Fprintf(&b, "h.8V%sz", short(bottom, 1))
			down = true
			continue
		}
		b.WriteString("h1")
	}
	if !down {
		fmt.Fprintf(&b, "V%sz", short(bottom, 1))
	}
	return b.String()
}

// ScaleX and ScaleY make a path that is in the units of the columns fit into a unit square.
func (v *attemptsView) ScaleX() string { return short(1/float64(v.N), 6) }

// ScaleY is the vertical one.
func (v *attemptsView) ScaleY() string { return short(1/float64(v.Bottom), 6) }

// Height is that of the plot.
func (v *attemptsView) Height() int { return v.Bottom - v.Top }

// Middle is the middle of the plot.
func (v *attemptsView) Middle() int { return (v.Bottom + v.Top) / 2 }
