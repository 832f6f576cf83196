package picture

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"spamsensor/sensor/lang"
)

// HostsData are hosts by what they contact. The report has them in Model.Hosts: Label is the IP,
// Servers is Counts.DestIPs, Attempts is Counts.Attempts. Hosts that are Flagged have a Finding
// that is more than information; those that are Declared have the role mailserver.
type HostsData struct {
	ID    string // prefix of the ids
	Hosts []HostPoint
	// Threshold is how many servers are more than usual; zero is none. ThresholdLabel says what it
	// is, in the language of the reader.
	Threshold      float64
	ThresholdLabel string
}

// HostPoint is a host. A host that did not contact any server has no place in the picture.
type HostPoint struct {
	Label    string
	Servers  uint64
	Attempts uint64
	Kind     Kind
}

const (
	maxDots       = 80 // of a kind
	maxNames      = 12 // beside the dots
	maxHostRows   = 40
	maxLabel      = 24 // letters
	cellsX        = 24
	cellsY        = 16
	hostsTop      = 18
	hostsBottom   = 298
	narrow        = 270.0  // pixels of the plot on a telephone
	broad         = 1200.0 // and at most
	letterWidth   = 6.7    // pixels, of the labels
	lowerDecade   = 0.7    // the axes begin here
	labelHeight   = 14.0
	labelDistance = 8.0
)

// Hosts draws hosts by the servers that they contacted and by their attempts, on logarithmic axes.
// Hosts that nothing is to be said of are counted into cells.
func Hosts(p *lang.Printer, d HostsData) template.HTML {
	id, title := prefix(d.ID), p.Text("Hosts by what they contact")
	v := &hostsView{ID: id, Top: hostsTop, Bottom: hostsBottom, Foot: hostsBottom + 4,
		CellsX: cellsX,
		CellsY: cellsY}
	for _, h := range d.Hosts {
		if h.Servers > 0 && h.Attempts > 0 {
			v.list = append(v.list, h)
			v.mostX = max(v.mostX, float64(h.Servers))
			v.mostY = max(v.mostY, float64(h.Attempts))
		}
	}
	if len(v.list) == 0 {
		return empty(id, title, p.Text("No host contacted a mail server."))
	}
	slices.SortStableFunc(v.list, func(a, b HostPoint) int {
		return cmp.Or(cmp.Compare(b.Kind, a.Kind), cmp.Compare(b.Servers, a.Servers),
			cmp.Compare(b.Attempts, a.Attempts))
	})
	v.mostX, v.mostY = 1.6*max(v.mostX, d.Threshold, 10), 1.6*max(v.mostY, 10)
	v.axes(p)
	if d.Threshold > 0 {
		v.Threshold = percent(v.x(d.Threshold))
		v.ThresholdLabel = cut(clean(d.ThresholdLabel), 36)
		v.ThresholdLeft = v.x(d.Threshold) > 0.5
	}
	rest := v.dots()
	v.cells()
	unnamed := v.names()
	f := &figure{ID: id, Title: title, Height: hostsBottom + 40,
		Unit: p.Text("attempts, by the number of servers that a host contacted"),
		Says: d.says(p, v)}
	v.Axis = p.Text("servers contacted")
	f.Body = execute("hosts", v)
	v.keys(p, f)
	if rest > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Counted into the cells: %s.",
			p.Plural(uint64(rest), "more host", "more hosts")))
	}
	if unnamed > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Without a label, for lack of room: %s.",
			p.Plural(uint64(unnamed), "flagged host", "flagged hosts")))
	}
	v.table(p, f)
	return draw(p, f)
}

// hostsView is what the template draws.
type hostsView struct {
	ID                                string
	Top, Bottom, Foot, CellsX, CellsY int
	Rows, Columns                     []tick
	Axis, Threshold, ThresholdLabel   string
	ThresholdLeft                     bool
	Cells                             []cells
	Servers                           string // a path of points
	Flagged                           []dot
	Names                             []name
	list, quiet                       []HostPoint // list: the flagged ones first
	mostX, mostY                      float64
}

// cells are those of a shade.
type cells struct{ Class, Path string }

type dot struct {
	X     string
	Y     int
	Title string
	x     float64
	label string
}

// name is the label of a dot.
type name struct {
	X, Text, Anchor string
	Y, DX, Leader   int
	left, right     [2]float64 // in pixels, in the narrowest and in the broadest picture
}

func (v *hostsView) x(f float64) float64 {
	return math.Log(f/lowerDecade) / math.Log(v.mostX/lowerDecade)
}

func (v *hostsView) y(f float64) int {
	share := math.Log(f/lowerDecade) / math.Log(v.mostY/lowerDecade)
	return v.Bottom - int(math.Round(share*float64(v.Bottom-v.Top)))
}

// axes draws the powers of ten.
func (v *hostsView) axes(p *lang.Printer) {
	for _, f := range powers(v.mostX) {
		v.Columns = append(v.Columns, tick{X: percent(v.x(f)), Label: compact(p, f)})
	}
	for _, f := range powers(v.mostY) {
		v.Rows = append(v.Rows, tick{Y: v.y(f), Label: compact(p, f)})
	}
}

// dots draws flagged hosts and declared mail servers. The others, and what is beyond the bound, is
// for the cells; the result is how many of these are flagged or declared.
func (v *hostsView) dots() (rest int) {
	var servers strings.Builder
	declared := 0
	for _, h := range v.list {
		x, y := v.x(float64(h.Servers)), v.y(float64(h.Attempts))
		switch {
		case h.Kind == Flagged && len(v.Flagged) < maxDots:
			v.Flagged = append(v.Flagged, dot{percent(x), y, clean(h.Label), x, h.Label})
		case h.Kind == Declared && declared < maxDots:
			fmt.Fprintf(&servers, "M%s %dh0", short(1000*x, 0), y)
			declared++
		default:
			if h.Kind != Other {
				rest++
			}
			v.quiet = append(v.quiet, h)
		}
	}
	v.Servers = servers.String()
	return rest
}

// shades are how many hosts a cell has at least for each shade.
var shades = [...]int{1, 3, 10, 100}

// cells counts the quiet hosts.
func (v *hostsView) cells() {
	var counts [cellsX][cellsY]int
	for _, h := range v.quiet {
		x := min(cellsX-1, int(v.x(float64(h.Servers))*cellsX))
		y := min(cellsY-1, (v.y(float64(h.Attempts))-v.Top)*cellsY/(v.Bottom-v.Top))
		counts[x][max(0, y)]++
	}
	var paths [len(shades)]strings.Builder
	for x := range counts {
		for y, n := range counts[x] {
			if n == 0 {
				continue
			}
			shade := 0
			for shade+1 < len(shades) && n >= shades[shade+1] {
				shade++
			}
			fmt.Fprintf(&paths[shade], "M%d %dh.9v.9h-.9z", x, y)
		}
	}
	for i := range paths {
		if paths[i].Len() > 0 {
			v.Cells = append(v.Cells, cells{fmt.Sprintf("cell%d", i+1), paths[i].String()})
		}
	}
}

// names labels flagged hosts where there is room at every width; the result is how many have none.
func (v *hostsView) names() (missing int) {
	for _, d := range v.Flagged {
		if len(v.Names) >= maxNames || !v.place(&d) {
			missing++
		}
	}
	return missing
}

// place looks for a place for the label of a dot.
func (v *hostsView) place(d *dot) bool {
	text := cut(clean(d.label), maxLabel)
	width := float64(wide(text)) * letterWidth
	for _, dy := range []int{0, -14, 14, -28, 28, -42, 42, -56, 56, -70, 70} {
		for _, right := range []bool{true, false} {
			n := name{X: d.X, Text: text, Y: d.Y + dy, DX: labelDistance, Anchor: "start"}
			for i, w := range []float64{narrow, broad} {
				n.left[i] = w*d.x + labelDistance
				if !right {
					n.left[i] = w*d.x - labelDistance - width
				}
				n.right[i] = n.left[i] + width
			}
			if !right {
				n.DX, n.Anchor = -labelDistance, "end"
			}
			if dy != 0 {
				n.Leader = d.Y
			}
			if v.free(&n, d) {
				v.Names = append(v.Names, n)
				return true
			}
		}
	}
	return false
}

// free reports whether a label is within the picture, and meets no other label and no dot.
func (v *hostsView) free(n *name, own *dot) bool {
	if n.Y < v.Top+8 || n.Y > v.Bottom-6 || n.left[0] < -20 || n.right[0] > narrow+10 {
		return false
	}
	apart := func(left, right [2]float64) bool { // on one side, at every width
		return right[0] <= n.left[0] && right[1] <= n.left[1] ||
			n.right[0] <= left[0] && n.right[1] <= left[1]
	}
	for i := range v.Names {
		o := &v.Names[i]
		if math.Abs(float64(o.Y-n.Y)) < labelHeight && !apart(o.left, o.right) {
			return false
		}
	}
	for i := range v.Flagged {
		o := &v.Flagged[i]
		if o.X == own.X && o.Y == own.Y || math.Abs(float64(o.Y-n.Y)) > 11 {
			continue
		}
		at := [2]float64{narrow * o.x, broad * o.x}
		if !apart([2]float64{at[0] - 6, at[1] - 6}, [2]float64{at[0] + 6, at[1] + 6}) {
			return false
		}
	}
	return true
}

// kinds counts the hosts of each kind.
func (v *hostsView) kinds() (n [3]uint64) {
	for _, h := range v.list {
		n[h.Kind]++
	}
	return n
}

// says is the sentence.
func (d *HostsData) says(p *lang.Printer, v *hostsView) string {
	n := v.kinds()
	s := p.Sprintf("%s contacted mail servers: %s flagged, %s declared as mail servers, %s others.",
		p.Plural(uint64(len(v.list)), "host", "hosts"), p.Number(n[Flagged]), p.Number(n[Declared]),
		p.Number(n[Other]))
	if n[Flagged] > 0 {
		s += " " + p.Sprintf("Most servers: %s by flagged host %s.", p.Number(v.list[0].Servers),
			cut(clean(v.list[0].Label), 40))
	}
	var others []uint64
	for _, h := range v.list {
		if h.Kind == Other {
			others = append(others, h.Servers)
		}
	}
	if len(others) > 0 {
		s += " " + p.Sprintf("Half of the others contacted no more than %s.",
			p.Plural(others[len(others)/2], "server", "servers"))
	}
	return s
}

// keys explains the shapes.
func (v *hostsView) keys(p *lang.Printer, f *figure) {
	n := v.kinds()
	if n[Flagged] > 0 {
		f.Keys = append(f.Keys, key{fill{Class: "flagged"}, "triangle", p.Text("Flagged host")})
	}
	if n[Declared] > 0 {
		f.Keys = append(f.Keys, key{fill{Class: "declared"}, "square",
			p.Text("Declared mail server")})
	}
	if v.Threshold != "" && v.ThresholdLabel != "" {
		f.Keys = append(f.Keys, key{fill{Class: "threshold"}, "tick", v.ThresholdLabel})
	}
	for i, least := range shades {
		class := fmt.Sprintf("cell%d", i+1)
		if !slices.ContainsFunc(v.Cells, func(c cells) bool { return c.Class == class }) {
			continue
		}
		text := p.Sprintf("%d or more other hosts", least)
		if i+1 < len(shades) {
			text = p.Sprintf("%d to %d other hosts", least, shades[i+1]-1)
		}
		f.Keys = append(f.Keys, key{fill{Class: class}, "", text})
	}
}

// table lists the hosts that stand out, and the rest in a row.
func (v *hostsView) table(p *lang.Printer, f *figure) {
	f.Table.Heads = []head{{p.Text("Host"), true}, {p.Text("Kind"), true},
		{p.Text("Servers"), false}, {p.Text("Attempts"), false}}
	names := [...]string{p.Text("Other host"), p.Text("Declared mail server"),
		p.Text("Flagged host")}
	for i, h := range v.list {
		if i == maxHostRows {
			var attempts uint64
			for _, h := range v.list[i:] {
				attempts += h.Attempts
			}
			f.Table.Rows = append(f.Table.Rows, []string{p.Plural(uint64(len(v.list)-i),
				"more host", "more hosts"), "", "", p.Number(attempts)})
			return
		}
		f.Table.Rows = append(f.Table.Rows, []string{clean(h.Label), names[h.Kind],
			p.Number(h.Servers), p.Number(h.Attempts)})
	}
}

// Height is that of the plot.
func (v *hostsView) Height() int { return v.Bottom - v.Top }
