package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// TextOptions say how Text prints.
type TextOptions struct {
	Width int // columns; zero means 80
	Color bool
}

// colors are those of the levels.
var colors = [...]text.Color{Good: text.FgGreen, Note: text.FgCyan, Limits: text.FgYellow,
	Blind: text.FgRed}

// labels stand in front of the lines.
var labels = [...]string{Good: "good", Note: "note", Limits: "LIMITS", Blind: "BLIND"}

// Text writes the report for a person, the worst line first. The error is the first of w.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 80
	}
	p := &page{width: min(max(o.Width, 40), 110), color: o.Color}
	if o.Color {
		text.EnableColors()
	}
	p.line("", "", fmt.Sprintf("%s: %s in %s", r.Input, count(r.Frames, "frame"),
		span(r.Seconds)))
	for _, n := range r.Neighbors {
		name := n.Name
		if n.Port != "" {
			name += ", port " + n.Port
		}
		p.line("", "", fmt.Sprintf("%s says: %s (%s)", n.Protocol, name, n.Model))
	}
	for i := range r.Lines {
		p.check(&r.Lines[i])
	}
	if s := r.Switch; s != nil {
		p.blank()
		p.line("", "", fmt.Sprintf("On the switch (%s), against %q. SOURCE is the port to mirror, "+
			"SENSOR the port of this cable; take the number or name of your own session:",
			s.System, s.Check))
		for _, l := range s.Lines {
			p.raw("    " + l)
		}
		p.line("  ", "  ", "From: "+s.Title)
		p.raw("  " + s.URL)
	}
	p.blank()
	worst := Good
	if len(r.Lines) > 0 {
		worst = r.Lines[0].Level
	}
	p.line(p.paint(worst, string(r.Verdict))+": ", strings.Repeat(" ", 2), r.Summary)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page collects the lines of a text.
type page struct {
	b     strings.Builder
	width int
	color bool
}

func (p *page) blank()       { p.b.WriteByte('\n') }
func (p *page) raw(s string) { p.b.WriteString(s + "\n") }

func (p *page) paint(l Level, s string) string {
	if !p.color {
		return s
	}
	return colors[l].Sprint(s)
}

// indent is the width of the labels.
const indent = 8

// check writes one line of the report. A good one takes two lines at most.
func (p *page) check(l *Line) {
	if l.Level != Good {
		p.blank()
	}
	pad := strings.Repeat(" ", indent)
	label := labels[l.Level]
	first := p.paint(l.Level, label) + strings.Repeat(" ", indent-len(label))
	if l.Level == Good {
		p.line(first, pad, strings.TrimSuffix(l.What, ".")+": "+sentence(l.Measured))
		return
	}
	p.line(first, pad, l.What)
	p.line(pad+"Measured: ", pad+"          ", sentence(l.Measured))
	if l.Do != "" {
		p.line(pad+"Do: ", pad+"    ", l.Do)
	}
	for _, c := range l.Commands {
		p.raw(pad + "    " + c)
	}
}

// sentence gives a phrase its full stop.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// line writes a wrapped text; first stands in front of its first line, rest in front of others.
func (p *page) line(first, rest, s string) {
	room := p.width - text.StringWidthWithoutEscSequences(first)
	for i, l := range strings.Split(text.WrapSoft(s, max(20, room)), "\n") {
		if i > 0 {
			first = rest
		}
		p.b.WriteString(first + strings.TrimSpace(l) + "\n")
	}
}
