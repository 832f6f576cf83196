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
	// Note is what else is to be said, in the language of the reader; it may be empty.
	Note string
}

// HostPoint is a host. A host that did not contact any server has no place in the picture.
type HostPoint struct {
	Label    string
	Servers  uint64
	Attempts uint64
	Kind     Kind
}

const (
	maxDots       = 50 // of a kind
	maxNames      = 12 // beside the dots
	maxHostRows   = 24
	maxLabel      = 24 // letters
	fewHosts      = 30 // are not worth cells
	maxCellsX     = 24
	maxCellsY     = 18
	hostsTop      = 18
	hostsBottom   = 298
	narrow        = 270.0  // pixels of the plot on a telephone
	broad         = 1200.0 // and at most
	letterWidth   = 7.6    // pixels, of the labels in a wide font
	lowest        = 0.7071 // the axes begin here: half a step before one
	labelHeight   = 14.0
	labelDistance = 8.0
)

// Hosts draws hosts by the servers that they contacted and by their attempts, on logarithmic axes.
// Hosts that nothing is to be said of are counted into cells.
func Hosts(p *lang.Printer, d HostsData) template.HTML {
	id, title := prefix(d.ID), p.Text("Hosts by what they contact")
	v := &hostsView{ID: id, Top: hostsTop, Bottom: hostsBottom, Foot: hostsBottom + 4}
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
	v.mostX, v.mostY = 1.6*max(v.mostX, 10), 1.6*max(v.mostY, 10)
	v.axes(p)
	rest := v.dots()
	v.crowd()
	unnamed := v.names()
	f := &figure{ID: id, Title: title, Height: hostsBottom + 40,
		Unit: p.Text("attempts, by the number of servers that a host contacted"),
		Says: d.says(p, v)}
	v.Axis = p.Text("servers contacted in the whole period")
	f.Body = execute("hosts", v)
	v.keys(p, f)
	if d.Note != "" {
		f.Notes = append(f.Notes, clean(d.Note))
	}
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
	ID                        string
	Top, Bottom, Foot         int
	Rows, Columns             []tick
	Axis                      string
	Cells                     []cells
	Flagged, Declared, Others []dot
	dotted                    []dot // all of them
	Names                     []name
	list                      []HostPoint // the flagged ones first
	quiet, more               []HostPoint // for the cells; more are flagged
	mostX, mostY              float64
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
	return math.Log(f/lowest) / math.Log(v.mostX/lowest)
}

func (v *hostsView) y(f float64) int {
	share := math.Log(f/lowest) / math.Log(v.mostY/lowest)
	return v.Bottom - int(math.Round(share*float64(v.Bottom-v.Top)))
}

// axes draws the round numbers.
func (v *hostsView) axes(p *lang.Printer) {
	for _, f := range rounds(v.mostX) {
		v.Columns = append(v.Columns, tick{X: percent(v.x(f)), Label: compact(p, f)})
	}
	for _, f := range rounds(v.mostY) {
		v.Rows = append(v.Rows, tick{Y: v.y(f), Label: compact(p, f)})
	}
}

// dots draws flagged hosts and declared mail servers, and the others if they are few. Those beyond
// the bounds are for the cells; the result is how many of these are flagged or declared.
func (v *hostsView) dots() (rest int) {
	others := v.kinds()[Other]
	for _, h := range v.list {
		x, y := v.x(float64(h.Servers)), v.y(float64(h.Attempts))
		switch {
		case h.Kind == Flagged && len(v.Flagged) < maxDots:
			v.Flagged = append(v.Flagged, dot{percent(x), y, clean(h.Label), x, h.Label})
		case h.Kind == Declared && len(v.Declared) < maxDots:
			v.Declared = append(v.Declared, dot{percent(x), y, clean(h.Label), x, h.Label})
		case h.Kind == Other && others <= fewHosts:
			v.Others = append(v.Others, dot{percent(x), y, clean(h.Label), x, h.Label})
		default:
			if h.Kind != Other {
				rest++
			}
			if h.Kind == Flagged {
				v.more = append(v.more, h)
				continue
			}
			v.quiet = append(v.quiet, h)
		}
	}
	return rest
}

// shades are how many hosts a cell has at least for each shade.
var shades = [...]int{1, 3, 10, 100}

// edges are the borders of cells on an axis up to most: between round numbers, as many as there may
// be. Each whole number below ten has a cell of its own if there is room.
func edges(most float64, limit int) (list []float64) {
	for perDecade := 10.0; perDecade >= 1; perDecade-- {
		list = []float64{lowest}
		last := 1.0
		for i := 1.0; last < most; i++ {
			if v := math.Round(math.Pow(10, i/perDecade)); v > last {
				list = append(list, math.Sqrt(last*v))
				last = v
			}
		}
		if len(list) <= limit+1 {
			break
		}
	}
	return list
}

// cells counts hosts into cells. A class has a path for each shade of its own, or one for all.
func (v *hostsView) cells(list []HostPoint, paths []strings.Builder) {
	xs, ys := edges(v.mostX, maxCellsX), edges(v.mostY, maxCellsY)
	counts := make([]int, len(xs)*len(ys))
	for _, h := range list {
		x, _ := slices.BinarySearch(xs, float64(h.Servers))
		y, _ := slices.BinarySearch(ys, float64(h.Attempts))
		counts[max(0, x-1)*len(ys)+max(0, y-1)]++
	}
	end := func(list []float64, i int, most float64) float64 {
		if i+1 < len(list) {
			return min(list[i+1], most)
		}
		return most
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		shade := 0
		for shade+1 < len(paths) && n >= shades[shade+1] {
			shade++
		}
		x, y := i/len(ys), i%len(ys)
		left, right := 1000*v.x(xs[x]), 1000*v.x(end(xs, x, v.mostX))
		low, high := v.y(ys[y]), v.y(end(ys, y, v.mostY))
		fmt.Fprintf(&paths[shade], "M%.0f %dh%.0fv%dh-%.0fz", left, high, right-left, low-high,
			right-left)
	}
}

// crowd draws the cells: those of quiet hosts, and of the flagged ones that have no dot.
func (v *hostsView) crowd() {
	var quiet [len(shades)]strings.Builder
	v.cells(v.quiet, quiet[:])
	for i := range quiet {
		if quiet[i].Len() > 0 {
			v.Cells = append(v.Cells, cells{fmt.Sprintf("cell cell%d", i+1), quiet[i].String()})
		}
	}
	var flagged [1]strings.Builder
	if v.cells(v.more, flagged[:]); flagged[0].Len() > 0 {
		v.Cells = append(v.Cells, cells{"cell flagged", flagged[0].String()})
	}
}

// names labels dots where there is room at every width, the flagged ones first; the result is how
// many of these have none.
func (v *hostsView) names() (missing int) {
	v.dotted = slices.Concat(v.Flagged, v.Declared, v.Others)
	for i := range v.dotted {
		if i >= len(v.Flagged)+len(v.Declared) && i >= maxNames {
			break // the others are named if all are few
		}
		near := i >= len(v.Flagged)+len(v.Declared)
		if (len(v.Names) >= maxNames || !v.place(&v.dotted[i], near)) && i < len(v.Flagged) {
			missing++
		}
	}
	return missing
}

// place looks for a place for the label of a dot; near is beside it only.
func (v *hostsView) place(d *dot, near bool) bool {
	text := cut(clean(d.label), maxLabel)
	width := float64(wide(text)) * letterWidth
	for i, dy := range []int{0, -14, 14, -28, 28, -42, 42, -56, 56, -70, 70} {
		if i > 0 && near {
			break
		}
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
	for i := range v.dotted {
		o := &v.dotted[i]
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
	var kinds []string
	if n[Flagged] > 0 {
		kinds = append(kinds, p.Plural(n[Flagged], "flagged host", "flagged hosts"))
	}
	if n[Declared] > 0 {
		kinds = append(kinds, p.Plural(n[Declared], "declared mail server",
			"declared mail servers"))
	}
	if n[Other] > 0 {
		kinds = append(kinds, p.Plural(n[Other], "other host", "other hosts"))
	}
	s := p.Sprintf("%s contacted mail servers: %s.", p.Plural(uint64(len(v.list)), "host", "hosts"),
		strings.Join(kinds, ", "))
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
	if len(others) >= 5 {
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
	if len(v.Others) > 0 {
		f.Keys = append(f.Keys, key{fill{Class: "others"}, "circle", p.Text("Other host")})
	}
	if len(v.more) > 0 {
		f.Keys = append(f.Keys, key{fill{Class: "cell flagged"}, "", p.Text("More flagged hosts")})
	}
	for i, least := range shades {
		class := fmt.Sprintf("cell cell%d", i+1)
		if !slices.ContainsFunc(v.Cells, func(c cells) bool { return c.Class == class }) {
			continue
		}
		text := p.Sprintf("%d or more hosts", least)
		if i+1 < len(shades) {
			text = p.Sprintf("%d to %d hosts", least, shades[i+1]-1)
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
