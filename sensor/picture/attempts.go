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
	// one, and Outside hosts of other networks; both are drawn with the others.
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
	maxMarks   = 8  // texts below the picture
	tableRows  = 24 // at most
)

// column is a bar of a picture: the sum of some intervals.
type column struct {
	servers, others, flagged float64
	outside                  float64 // of the others
}

func (c column) sum() float64 { return c.servers + c.others + c.flagged }

// says lists the kinds of hosts that there are.
func (c column) says(p *lang.Printer) string {
	var list []string
	if c.flagged > 0 {
		list = append(list, p.Sprintf("%s by flagged hosts", count(p, c.flagged)))
	}
	if c.servers > 0 {
		list = append(list, p.Sprintf("%s by declared mail servers", count(p, c.servers)))
	}
	if c.others > c.outside {
		list = append(list, p.Sprintf("%s by other hosts", count(p, c.others-c.outside)))
	}
	if c.outside > 0 {
		list = append(list, p.Sprintf("%s by hosts of other networks", count(p, c.outside)))
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
	var top float64
	v.Rows, top = linear(p, most, v.Top, v.Bottom)
	v.Columns = timeline(p, zone, from, to)
	v.stack(list, top)
	end := d.Start.Add(time.Duration(n) * d.Width)
	if share := to.Sub(end).Seconds() / to.Sub(from).Seconds(); share > 0.2 {
		v.After, v.AfterX, v.AfterMiddle = percent(share), percent(1-share), percent(1-share/2)
		v.AfterText = p.Text("no data")
	}
	f := &figure{ID: id, Title: title, Height: 208,
		Unit: p.Sprintf("attempts in %s; times are %s", span(p, width), zoneName(from, to, zone))}
	v.marks(p, f, d.Marks, from, to, zone)
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
	names := [...]string{p.Text("Other hosts"), p.Text("Declared mail servers"),
		p.Text("Flagged hosts")}
	shown := [...]bool{all[0].others > 0, all[0].servers > 0, all[0].flagged > 0}
	for _, k := range []Kind{Flagged, Other, Declared} {
		if !shown[k] {
			continue
		}
		f.Keys = append(f.Keys, key{fillOf(id, classes[k]), "", names[k]})
		f.Fills = append(f.Fills, fillOf(id, classes[k]))
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
		c.others += at(d.Others, i) + at(d.Rest, i) + at(d.Outside, i)
	}
	return list
}

// table adds the intervals up to few rows.
func (d *AttemptsData) table(p *lang.Printer, zone *time.Location, n int) table {
	t := table{Heads: []head{{p.Text("From"), true}, {p.Text("Declared mail servers"), false},
		{p.Text("Flagged hosts"), false}, {p.Text("Other hosts"), false}}}
	each := d.each(n, tableRows)
	lead := d.lead(zone, each)
	for i, c := range d.merge(lead, n, each) {
		at := d.Start.Add(time.Duration(i*each-lead) * d.Width).In(zone)
		t.Rows = append(t.Rows, []string{moment(p, at), count(p, c.servers), count(p, c.flagged),
			count(p, c.others)})
	}
	return t
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

// markView is the line of one mark, or of several that are near to each other.
type markView struct {
	X, Label, Title string
	Left, Width     int
}

// stack draws the columns: first the whole, then what is below the top kind, and so on, each over
// the one before.
func (v *attemptsView) stack(list []column, top float64) {
	scale := float64(v.Bottom-v.Top) / top
	for _, l := range []struct {
		kind  Kind
		value func(column) float64
		own   func(column) float64
	}{
		{Flagged, column.sum, func(c column) float64 { return c.flagged }},
		{Other, func(c column) float64 { return c.others + c.servers },
			func(c column) float64 { return c.others }},
		{Declared, func(c column) float64 { return c.servers },
			func(c column) float64 { return c.servers }},
	} {
		some := false
		heights := make([]float64, len(list))
		for i, c := range list {
			some = some || l.own(c) > 0
			if heights[i] = l.value(c) * scale; heights[i] > 0 {
				heights[i] = max(heights[i], 2)
			}
		}
		if some {
			class := classes[l.kind]
			v.Layers = append(v.Layers, layer{v.ID + "-" + class[:1], fillOf(v.ID, class),
				outline(heights, float64(v.Bottom))})
		}
	}
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

// marks draws the marks, and their texts below the picture.
func (v *attemptsView) marks(p *lang.Printer, f *figure, marks []Mark, from, to time.Time,
	zone *time.Location) {
	marks = slices.SortedStableFunc(slices.Values(marks), func(a, b Mark) int {
		return a.At.Compare(b.At)
	})
	// Lines are so far apart that their letters do not touch on a telephone.
	room := (letterWidth*float64(2*len(letters(len(marks)))+1) + 16) / narrow
	last, first := -1.0, 0
	for i, m := range marks {
		text := cut(clean(m.Label), 60) + ", " + exact(p, m.At.In(zone))
		if i < maxMarks {
			f.Marks = append(f.Marks, text)
		}
		text = colon(p, letters(i+1), text)
		x := min(1, max(0, m.At.Sub(from).Seconds()/to.Sub(from).Seconds()))
		if n := len(v.Marks); n > 0 && x-last < room {
			o := &v.Marks[n-1]
			if i == first {
				o.Title += "; …"
			}
			o.Label = letters(first) + "–" + letters(i+1)
			o.Width = 12 + 8*len([]rune(o.Label))
			o.Left = -o.Width / 2
			continue
		}
		last, first = x, i+1
		width := 12 + 8*len(letters(i+1))
		v.Marks = append(v.Marks, markView{X: percent(x), Label: letters(i + 1), Title: text,
			Left: -width / 2, Width: width})
	}
	if more := len(marks) - maxMarks; more > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Only in the picture: %s.",
			p.Plural(uint64(more), "more mark", "more marks")))
	}
}

// letters name a mark: A to Z, AA, AB, and so on, as the list below the picture does. Findings have
// numbers, in another order.
func letters(n int) string {
	s := ""
	for ; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}

// ScaleX and ScaleY make a path that is in the units of the columns fit into a unit square.
func (v *attemptsView) ScaleX() string { return short(1/float64(v.N), 6) }

// ScaleY is the vertical one.
func (v *attemptsView) ScaleY() string { return short(1/float64(v.Bottom), 6) }

// Height is that of the plot.
func (v *attemptsView) Height() int { return v.Bottom - v.Top }

// Middle is the middle of the plot.
func (v *attemptsView) Middle() int { return (v.Bottom + v.Top) / 2 }
