package doctor

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"

	"spamsensor/sensor/lang"
)

// TextOptions say how Text prints.
type TextOptions struct {
	Width int // columns; zero means 80
	Color bool
	Lang  *lang.Printer // nil is English
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
	p := &page{width: min(max(o.Width, 40), 110), color: o.Color, tr: o.Lang}
	if o.Color {
		text.EnableColors()
	}
	p.line("", "", p.tr.Sprintf("%s: %s in %s", r.Input, p.tr.Sentence(count(r.Frames, "frame")),
		p.tr.Sentence(span(r.Seconds))))
	for _, n := range r.Neighbors {
		name := n.Name
		if n.Port != "" {
			name += p.tr.Sprintf(", port %s", n.Port)
		}
		p.line("", "", p.tr.Sprintf("%s says: %s (%s)", n.Protocol, name, n.Model))
	}
	for i := range r.Lines {
		p.check(&r.Lines[i])
	}
	if s := r.Switch; s != nil {
		p.blank()
		p.line("", "", p.tr.Sprintf("On the switch (%s), against %q. SOURCE is the port to "+
			"mirror, SENSOR the port of this cable; take the number or name of your own session:",
			s.System, p.tr.Sentence(s.Check)))
		for _, l := range s.Lines {
			p.raw("    " + l)
		}
		p.line("  ", "  ", p.tr.Sprintf("From: %s", s.Title))
		p.raw("  " + s.URL)
	}
	p.blank()
	worst := Good
	if len(r.Lines) > 0 {
		worst = r.Lines[0].Level
	}
	p.line(p.tr.Sprintf("%s: ", p.paint(worst, p.tr.Text(string(r.Verdict)))),
		strings.Repeat(" ", 2), r.SummaryIn(p.tr))
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page collects the lines of a text.
type page struct {
	b     strings.Builder
	width int
	color bool
	tr    *lang.Printer
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
func (p *page) indent() int {
	width := 0
	for _, l := range labels {
		width = max(width, utf8.RuneCountInString(p.tr.Text(l)))
	}
	return width + 2
}

// check writes one line of the report. A good one takes two lines at most.
func (p *page) check(l *Line) {
	if l.Level != Good {
		p.blank()
	}
	indent := p.indent()
	pad := strings.Repeat(" ", indent)
	label := p.tr.Text(labels[l.Level])
	first := p.paint(l.Level, label) + strings.Repeat(" ", indent-utf8.RuneCountInString(label))
	what, measured := p.tr.Sentence(l.What), sentence(p.tr.Sentence(l.Measured))
	if l.Level == Good {
		p.line(first, pad, p.tr.Sprintf("%s: %s", strings.TrimSuffix(what, "."), measured))
		return
	}
	p.line(first, pad, what)
	p.labelled(pad, "Measured: ", measured)
	if l.Do != "" {
		p.labelled(pad, "Do: ", p.tr.Sentence(l.Do))
	}
	for _, c := range l.Commands {
		p.raw(pad + "    " + c)
	}
}

// labelled writes a text behind its name.
func (p *page) labelled(pad, name, s string) {
	name = p.tr.Text(name)
	p.line(pad+name, pad+strings.Repeat(" ", utf8.RuneCountInString(name)), s)
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
	for i, l := range lang.Wrap(s, max(20, room)) {
		if i > 0 {
			first = rest
		}
		p.b.WriteString(first + l + "\n")
	}
}
