package picture

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	"spamsensor/sensor/lang"
)

// RepliesData are what servers replied. The report has them in Model.Replies, by group; the causes
// are Model.Site.Blocklists and, for mail servers, FailedWhy.
type RepliesData struct {
	ID     string // prefix of the ids
	Groups []ReplyGroup
	Causes []Cause
}

// ReplyGroup are the replies to hosts of a kind. Recipients are recipients that were refused.
type ReplyGroup struct {
	Kind                                     Kind
	Hosts                                    int
	Accepted, Deferred, Rejected, Recipients uint64
}

func (g *ReplyGroup) counts() [4]uint64 {
	return [4]uint64{g.Accepted, g.Deferred, g.Rejected, g.Recipients}
}

func (g *ReplyGroup) sum() uint64 { return g.Accepted + g.Deferred + g.Rejected + g.Recipients }

// Cause is a cause of refusals: what the replies say, or a blocklist that they name. Name is in the
// language of the reader.
type Cause struct {
	Name string
	N    uint64
}

const (
	maxCauses  = 8
	fewReplies = 10 // of which a share says nothing
)

// replyClasses are the classes of replies in the style sheet.
var replyClasses = [...]string{"accepted", "deferred", "rejected", "recipients"}

// Replies draws what servers replied: for each kind of host the shares, and the causes of refusals.
func Replies(p *lang.Printer, d RepliesData) template.HTML {
	id, title := prefix(d.ID), p.Text("What servers replied")
	v := &repliesView{}
	f := &figure{ID: id, Title: title, Class: "flat",
		Unit: p.Text("share of the replies of each kind of host")}
	texts := [...]string{p.Text("Messages accepted"), p.Text("Told to try again later"),
		p.Text("Other commands refused"), p.Text("Recipients refused")}
	f.Table.Heads = []head{{p.Text("Replies to"), true}}
	for i, class := range replyClasses {
		f.Fills = append(f.Fills, fillOf(id, class))
		f.Keys = append(f.Keys, key{fillOf(id, class), "", texts[i]})
		f.Table.Heads = append(f.Table.Heads, head{texts[i], false})
	}
	y := 14
	var kinds [4]bool
	for i := range d.Groups {
		g := &d.Groups[i]
		if g.sum() > 0 {
			v.group(p, f, g, y)
			for i, n := range g.counts() {
				kinds[i] = kinds[i] || n > 0 && g.sum() >= fewReplies
			}
			y += 46
		}
	}
	if len(v.Groups) == 0 {
		return empty(id, title, p.Text("No server replied."))
	}
	keys := f.Keys
	f.Keys = nil
	for i, some := range kinds {
		if some {
			f.Keys = append(f.Keys, keys[i])
		}
	}
	y += v.causes(p, f, d.Causes, y)
	if len(f.Keys) == 0 {
		f.Unit = "" // there is no bar
	}
	f.Height = y - 8
	f.Body = execute("replies", v)
	return draw(p, f)
}

type repliesView struct {
	Groups   []groupView
	Heading  string
	HeadingY int
	Causes   []causeView
}

// groupView is a kind of host with its bar, or with what stands in the place of one.
type groupView struct {
	Text, Sum, Few string
	Y, BarY        int
	Parts          []partView
}

// partView is a part of a bar. Label is empty if there is no room for it.
type partView struct {
	Fill                           fill
	X, Width, Middle, Label, Title string
	Chip                           int // width of the label
}

type causeView struct {
	Text, Title, Width, N string
	Y, BarY               int
}

// group draws the bar of a kind of host, and adds its sentence and its row. A few replies have no
// bar: one that is as long as that of a thousand looks as if it meant as much.
func (v *repliesView) group(p *lang.Printer, f *figure, g *ReplyGroup, y int) {
	names := [...]string{p.Text("Other hosts"), p.Text("Declared mail servers"),
		p.Text("Flagged hosts")}
	x := groupView{Text: names[g.Kind], Sum: p.Plural(g.sum(), "reply", "replies"), Y: y,
		BarY: y + 6}
	row := []string{names[g.Kind]}
	for _, n := range g.counts() {
		row = append(row, p.Number(n))
	}
	f.Table.Rows = append(f.Table.Rows, row)
	says := p.Sprintf("%s (%s), too few for a share.", x.Sum, g.says(p))
	if g.sum() >= fewReplies {
		says = p.Sprintf("%.0f %% accepted of %s.", 100*float64(g.Accepted)/float64(g.sum()), x.Sum)
		x.parts(p, f, g)
	} else {
		x.Few = p.Text("too few for a share")
	}
	v.Groups = append(v.Groups, x)
	if f.Says != "" {
		f.Says += " "
	}
	f.Says += colon(p, names[g.Kind], says)
}

// parts makes the bar.
func (x *groupView) parts(p *lang.Printer, f *figure, g *ReplyGroup) {
	at := 0.0
	for i, n := range g.counts() {
		share := float64(n) / float64(g.sum())
		if n > 0 {
			part := partView{Fill: f.Fills[i], X: percent(at), Width: percent(share),
				Middle: percent(at + share/2), Title: colon(p, f.Keys[i].Text, p.Number(n))}
			if text := p.Number(n); share*narrow > float64(wide(text))*letterWidth+8 {
				part.Label, part.Chip = text, 7*wide(text)+10
			}
			x.Parts = append(x.Parts, part)
		}
		at += share
	}
}

// says names the replies that there are.
func (g *ReplyGroup) says(p *lang.Printer) string {
	var list []string
	for i, text := range [...]string{p.Sprintf("%s accepted", p.Number(g.Accepted)),
		p.Sprintf("%s told to try again later", p.Number(g.Deferred)),
		p.Sprintf("%s refused", p.Number(g.Rejected)),
		p.Sprintf("%s with a recipient refused", p.Number(g.Recipients))} {
		if g.counts()[i] > 0 {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// causes draws the causes of refusals, and returns the height.
func (v *repliesView) causes(p *lang.Printer, f *figure, list []Cause, y int) int {
	list = slices.DeleteFunc(slices.Clone(list), func(c Cause) bool { return c.N == 0 })
	if len(list) == 0 {
		return 0
	}
	slices.SortStableFunc(list, func(a, b Cause) int { return cmp.Compare(b.N, a.N) })
	v.Heading, v.HeadingY = p.Text("Named in refusals, and how often"), y+10
	for i, c := range list {
		name := clean(c.Name)
		f.Table.Rows = append(f.Table.Rows, []string{name, "", "", p.Number(c.N), ""})
		if i >= maxCauses {
			continue
		}
		at := y + 32 + 34*i
		v.Causes = append(v.Causes, causeView{Text: cut(name, 30), Title: name,
			Width: percent(float64(c.N) / float64(list[0].N)), N: p.Number(c.N),
			Y: at, BarY: at + 5})
	}
	if more := len(list) - maxCauses; more > 0 {
		f.Notes = append(f.Notes, p.Sprintf("Only in the table: %s.",
			p.Plural(uint64(more), "more cause", "more causes")))
	}
	return 32 + 34*len(v.Causes)
}

// Half is half the width of the label.
func (v partView) Half() int { return v.Chip / 2 }
