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

// ServerData are the messages of a mail server by hour. The report has them in Model.Servers: Name
// is the IP, the hours are Hours.
type ServerData struct {
	ID    string         // prefix of the ids
	Zone  *time.Location // nil is UTC
	Name  string
	Hours []ServerHour
}

// ServerHour are the messages of an hour, and the usual number. Z is how many standard deviations N
// lies above Usual, as the detector computes it.
type ServerHour struct {
	At    time.Time
	N     float64
	Known bool // Usual and Z are known
	Usual float64
	Z     float64
}

// bandWidth is how many deviations around the usual number are within the band.
const bandWidth = 3

// maxServerColumns bounds the hours of a picture. The oldest are left out, and counted.
const maxServerColumns = 336

// band is the usual number of messages, from low to high, of an hour. The deviation is that of the
// square roots (Anscombe): z = 2 (sqrt(x + 3/8) - sqrt(m + 3/8)) / sqrt(f). The overdispersion f
// is computed from it. Where z says nothing, or has another reason, as for a batch that recurs, f
// is that of the hour before; zero is none. An hour that the detector finds usual is in its band.
func (h *ServerHour) band(f *float64) (low, high float64) {
	root := func(x float64) float64 { return math.Sqrt(max(0, x) + 0.375) }
	if math.Abs(h.Z) > 0.2 {
		own := max(1, math.Pow(2*(root(h.N)-root(h.Usual))/h.Z, 2))
		if *f == 0 || own < 10**f {
			*f = own
		}
	}
	half := bandWidth * math.Sqrt(max(1, *f)) / 2
	square := func(r float64) float64 { return max(0, r*math.Abs(r)-0.375) }
	low, high = square(root(h.Usual)-half), square(root(h.Usual)+half)
	if !h.outside() {
		low, high = min(low, h.N), max(high, h.N)
	}
	return low, high
}

func (h *ServerHour) outside() bool { return h.Known && math.Abs(h.Z) > bandWidth }

// Server draws the messages of a mail server by hour, in the band of what is usual.
func Server(p *lang.Printer, d ServerData) template.HTML {
	zone, id := location(d.Zone), prefix(d.ID)
	name := clean(d.Name)
	title := p.Sprintf("Messages of mail server %s", cut(name, 40))
	if len(d.Hours) == 0 {
		return empty(id, title, p.Text("No whole hour was observed."))
	}
	hours := slices.SortedStableFunc(slices.Values(d.Hours), func(a, b ServerHour) int {
		return a.At.Compare(b.At)
	})
	last := hours[len(hours)-1].At
	left := slices.IndexFunc(hours, func(h ServerHour) bool {
		return last.Sub(h.At) < maxServerColumns*time.Hour
	})
	hours = hours[left:]
	from := hours[0].At
	n := max(12, int(last.Sub(from)/time.Hour)+1)
	v := &serverView{ID: id, Top: 12, Bottom: 162, Foot: 166, N: n}
	most, f := 0.0, 0.0
	lows, highs := make([]float64, len(hours)), make([]float64, len(hours))
	for i := range hours {
		most = max(most, hours[i].N)
		if hours[i].Known {
			lows[i], highs[i] = hours[i].band(&f)
			most = max(most, highs[i])
		}
	}
	var top float64
	v.Rows, top = linear(p, most, v.Top, v.Bottom)
	v.Columns = timeline(p, zone, from, from.Add(time.Duration(n)*time.Hour))
	v.draw(p, hours, lows, highs, top, zone)
	g := &figure{ID: id, Title: title, Height: 184, Says: says(p, hours, zone),
		Unit: p.Sprintf("messages an hour; times are %s", zoneName(from, last, zone))}
	g.Body = execute("server", v)
	g.Keys = []key{{fill{Class: "declared"}, "", p.Text("Messages")}}
	if v.Band != "" {
		g.Keys = append(g.Keys, key{fill{Class: "band"}, "", p.Text("Usual, with its deviation")},
			key{fill{Class: "usual"}, "line", p.Text("Usual")})
	}
	if len(v.Outside) > 0 {
		g.Keys = append(g.Keys, key{fill{Class: "flagged"}, "diamond", p.Text("Not as usual")})
	}
	if left > 0 {
		g.Notes = append(g.Notes, p.Sprintf("Not shown: %s.",
			p.Plural(uint64(left), "earlier hour", "earlier hours")))
	}
	serverTable(p, g, hours, lows, highs, zone)
	return draw(p, g)
}

type serverView struct {
	ID                   string
	Top, Bottom, Foot, N int
	Rows, Columns        []tick
	Bars, Band, Usual    string
	Odd                  string // bars that are not as usual
	Outside              []dot
}

// draw makes the paths.
func (v *serverView) draw(p *lang.Printer, hours []ServerHour, lows, highs []float64, top float64,
	zone *time.Location) {
	y := func(f float64) string { return short(v.y(f/top), 1) }
	var bars, odd, band, usual strings.Builder
	end := -1 // of the band so far
	back := ""
	for i := range hours {
		h := &hours[i]
		x := int(h.At.Sub(hours[0].At) / time.Hour)
		if h.N > 0 {
			to := &bars
			if h.outside() {
				to = &odd
			}
			fmt.Fprintf(to, "M%s %dV%sh.6V%d", short(float64(x)+0.2, 1), v.Bottom, y(h.N),
				v.Bottom)
		}
		if h.Known {
			if x != end {
				band.WriteString(back)
				fmt.Fprintf(&band, "M%d %s", x, y(lows[i]))
				fmt.Fprintf(&usual, "M%d %s", x, y(h.Usual))
				back = "z"
			}
			fmt.Fprintf(&band, "V%sh1", y(highs[i]))
			fmt.Fprintf(&usual, "V%sh1", y(h.Usual))
			back = fmt.Sprintf("V%sh-1", y(lows[i])) + back
			end = x + 1
		}
		if h.outside() {
			v.Outside = append(v.Outside, dot{X: percent((float64(x) + 0.5) / float64(v.N)),
				Y: int(v.y(h.N / top)),
				Title: colon(p, moment(p, h.At.In(zone)), p.Sprintf("%s; usual are %s",
					p.Plural(uint64(h.N+0.5), "message", "messages"), count(p, h.Usual)))})
		}
	}
	band.WriteString(back)
	v.Bars, v.Odd, v.Band, v.Usual = bars.String(), odd.String(), band.String(), usual.String()
}

// y is the height of a share of the plot.
func (v *serverView) y(share float64) float64 {
	return float64(v.Bottom) - share*float64(v.Bottom-v.Top)
}

// says is the sentence.
func says(p *lang.Printer, hours []ServerHour, zone *time.Location) string {
	sum, out, known := 0.0, uint64(0), false
	worst := 0
	for i := range hours {
		sum += hours[i].N
		known = known || hours[i].Known
		if hours[i].outside() {
			out++
			if !hours[worst].outside() || math.Abs(hours[i].Z) > math.Abs(hours[worst].Z) {
				worst = i
			}
		}
	}
	s := p.Sprintf("It sent %s in %s.", p.Plural(uint64(sum+0.5), "message", "messages"),
		p.Plural(uint64(len(hours)), "hour", "hours"))
	switch w := &hours[worst]; {
	case !known:
		s += " " + p.Text("What is usual is not known yet.")
	case out == 0:
		s += " " + p.Text("Every hour was as usual.")
	default:
		s += " " + p.Sprintf("%s; the most unusual one is that from %s: %s, and usual are %s.",
			p.Plural(out, "hour was unusual", "hours were unusual"), moment(p, w.At.In(zone)),
			p.Plural(uint64(w.N+0.5), "message", "messages"), count(p, w.Usual))
	}
	return s
}

// serverTable lists the hours that were not as usual, and the latest ones.
func serverTable(p *lang.Printer, g *figure, hours []ServerHour, lows, highs []float64,
	zone *time.Location) {
	g.Table.Heads = []head{{p.Text("From"), true}, {p.Text("Messages"), false},
		{p.Text("Usual"), false}, {p.Text("Usual, at least"), false},
		{p.Text("Usual, at most"), false}}
	for i := range hours {
		h := &hours[i]
		if !h.outside() && i < len(hours)-48 {
			continue
		}
		row := []string{moment(p, h.At.In(zone)), count(p, h.N), "", "", ""}
		if h.Known {
			row[2], row[3], row[4] = count(p, h.Usual), count(p, lows[i]), count(p, highs[i])
		}
		g.Table.Rows = append(g.Table.Rows, row)
	}
	if len(g.Table.Rows) < len(hours) {
		g.Notes = append(g.Notes, p.Text("The table has the last 48 hours, and the unusual ones."))
	}
}
