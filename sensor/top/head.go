package top

import (
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

// alarmColor are the colours of the headline.
var alarmColor = map[report.Alarm]tcell.Color{report.Red: tcell.ColorMaroon,
	report.Yellow: tcell.ColorOlive, report.Green: tcell.ColorGreen,
	report.Grey: tcell.ColorDefault}

// head are the lines above the table: the verdict, the mirror port, and what else is to be known.
func (v *view) head(w, h int) []line {
	if v.mode == helping {
		return nil
	}
	if v.mode == reading || v.mode == explaining {
		lines := v.headline(w, 1)
		if v.dead != nil {
			lines = append(lines, v.notes(w)...)
		}
		return append(lines, nil)
	}
	lines := v.headline(w, 2+h/36)
	lines = append(lines, v.mirror(w))
	lines = append(lines, v.notes(w)...)
	return append(lines, v.caption())
}

// badge is a word that stands out.
func (v *view) badge(word string, c tcell.Color) span {
	return span{" " + strings.ToUpper(v.o.Lang.Text(word)) + " ", v.palette.badge(c)}
}

// headline is the verdict, in at most most lines.
func (v *view) headline(w, most int) (lines []line) {
	m, p := &v.last.model, v.o.Lang
	badge := v.badge(m.Headline.Alarm.Word(), alarmColor[m.Headline.Alarm])
	margin := width(badge.text) + 1
	list := lang.Wrap(p.Sentence(m.Headline.Sentence), max(w-margin, 10))
	for _, more := range m.Headline.More {
		list = append(list, lang.Wrap(p.Sentence(more), max(w-margin, 10))...)
	}
	for i, s := range list {
		if i == most {
			last := &lines[most-1][2]
			last.text = ellipsis(last.text, w-margin)
			break
		}
		style := plain
		if i == 0 {
			style = bold
		}
		lines = append(lines, line{badge, {strings.Repeat(" ", margin-width(badge.text)), plain},
			{strings.TrimSpace(s), style}})
		badge = span{}
	}
	return lines
}

// mirror says how the mirror port is, or which capture this is.
func (v *view) mirror(w int) line {
	m, s, p := &v.last.model, &v.last.status, v.o.Lang
	l := line{}
	zone := m.Period.Last.In(v.o.Zone).Format("MST")
	if !m.Live {
		packets, text := p.Plural(m.Input.Frames, "packet", "packets"), ""
		if m.Period.First != 0 {
			text = ", " + clock(m.Period.First, v.o.Zone) + " – " +
				end(m.Period.First, m.Period.Last, v.o.Zone) + " " + zone
		}
		format := "Capture %s: %s"
		if v.o.Report {
			format = "Report %s: %s"
		}
		room := w - width(p.Sprintf(format, "", packets)+text)
		name := cut(strings.Join(v.o.Files, ", "), max(room, 8))
		return append(l, span{p.Sprintf(format, name, packets) + text, plain})
	}
	var names []string
	var lost uint64
	for i := range s.Interfaces {
		in := &s.Interfaces[i]
		name := in.Name
		if in.Problem != "" {
			name += " (" + p.Sentence(in.Problem) + ")"
		}
		names = append(names, name)
		lost += in.KernelDrops + in.InterfaceDrops
	}
	l = append(l, span{p.Text("Mirror") + " ", bold}, span{strings.Join(names, ", "), plain})
	if r, ok := v.rate(); ok {
		l = append(l, span{", " + p.Plural(r, "packet/s", "packets/s"), plain})
	}
	l = append(l, span{", " + p.Plural(lost, "packet lost", "packets lost") + ", ", plain})
	if n := len(s.Health); n > 0 {
		l = append(l, span{p.Plural(uint64(n), "problem", "problems"),
			bold.Foreground(v.palette.text(tcell.ColorMaroon))})
	} else {
		l = append(l, span{p.Text("no problem known"), plain})
	}
	return append(l, span{"  " + s.Now.In(v.o.Zone).Format("15:04:05 MST"), plain})
}

// rate are the packets of a second between the last two answers.
func (v *view) rate() (uint64, bool) {
	if v.before == nil || v.before.status.Run != v.last.status.Run {
		return 0, false
	}
	a, b := &v.before.status, &v.last.status
	took := b.Now.Sub(a.Now).Seconds()
	if took <= 0 || b.Frames < a.Frames {
		return 0, false
	}
	return uint64(float64(b.Frames-a.Frames)/took + 0.5), true
}

// notes are what may be wrong with what is shown.
func (v *view) notes(w int) (lines []line) {
	p := v.o.Lang
	note := func(word string, c tcell.Color, s string, most int) {
		badge := v.badge(word, c)
		list := wrap(badge, width(badge.text)+1, s, w)
		if len(list) > most {
			last := &list[most-1][2]
			last.text = ellipsis(last.text, w-width(badge.text)-1)
			list = list[:most]
		}
		lines = append(lines, list...)
	}
	if v.dead != nil {
		at := v.last.at
		s := p.Sprintf("since %s (%s). The screen shows that time; the sensor is asked again "+
			"every second.", at.In(v.o.Zone).Format(time.TimeOnly), short(v.now().Sub(at)))
		note("No answer", tcell.ColorMaroon, s+" "+p.Sentence(v.dead.Error()), 3)
	}
	if list := v.last.status.Health; len(list) > 0 {
		s := p.Sentence(list[0].Text)
		if list[0].Hint != "" {
			s += " – " + p.Sentence(list[0].Hint)
		}
		if n := len(list) - 1; n > 0 {
			s = p.Sprintf("(and %d more: spamsensor status)", n) + " " + s
		}
		note("Problem", tcell.ColorOlive, s, 2)
	}
	if list := v.last.model.Input.Problems; len(list) > 0 {
		note("Unread", tcell.ColorOlive, p.Sentence(list[0]), 2)
	}
	if m := &v.last.model; m.LeftOut.Hides() {
		note("Shortened", tcell.ColorOlive, p.Sprintf("the report lacks %s",
			m.LeftOut.Text(p)), 2)
	}
	if v.paused.Load() {
		note("Paused", tcell.ColorOlive, p.Sprintf("at %s; key p goes on",
			v.last.status.Now.In(v.o.Zone).Format(time.TimeOnly)), 1)
	}
	return lines
}

// short is a duration to the second.
func short(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
}

// caption says what the table has.
func (v *view) caption() line {
	m, p, h := &v.last.model, v.o.Lang, v.hosts
	l := line{{p.Plural(uint64(len(h.all)), "host", "hosts"), bold}}
	if len(h.shown) < len(h.all) || h.filter != "" {
		l = line{{p.Sprintf("hosts shown: %s of %s", p.Number(uint64(len(h.shown))),
			p.Number(uint64(len(h.all)))), bold},
			{" " + p.Sprintf("with %s (Esc: all)", quoted(h.filter)), plain}}
	}
	if n := m.HostCount - len(m.Hosts); n > 0 {
		l = append(l, span{", " + p.Sprintf("and %s that are not shown",
			p.Plural(uint64(n), "other", "others")), plain})
	}
	if n := m.MoreFindings; n > 0 {
		l = append(l, span{", " + p.Sprintf("and %s that are not shown",
			p.Plural(uint64(n), "finding", "findings")), plain})
	}
	name := h.sorted.name
	if h.sorted == h.columns[0] {
		name = p.Text("the worst first")
		if h.reverse {
			name = p.Text("the worst last")
		}
		return append(l, span{", " + name, plain})
	}
	return append(l, span{", " + p.Sprintf("sorted by %s", strings.ToLower(name)), plain})
}

// nothing says why the table is empty.
func (v *view) nothing() string {
	if v.hosts.filter != "" {
		return v.o.Lang.Text("No host matches.")
	}
	return v.o.Lang.Text("No host has opened a connection to a mail port.")
}

// keyTexts are the keys and what they do, for the last line.
var keyTexts = []struct{ key, text string }{{"q", "quit"}, {"?", "help"}, {"Enter", "pane"},
	{"e", "evidence"}, {"x", "explain"}, {"/", "filter"}, {"s", "sort"}}

// footer are the keys.
func (v *view) footer() (l line) {
	p := v.o.Lang
	switch v.mode {
	case helping:
		return line{{p.Text("Any key: back"), bold}}
	case reading, explaining:
		return line{{p.Text("Esc"), bold}, {" " + p.Text("back") + "  ", plain}, {"↑ ↓", bold},
			{" " + p.Text("scroll"), plain}}
	}
	for i, k := range keyTexts {
		gap := "  "
		if i == 0 {
			gap = ""
		}
		l = append(l, span{gap, plain}, span{p.Text(k.key), bold},
			span{" " + p.Text(k.text), plain})
	}
	return l
}

// help explains the keys and the columns.
func (v *view) help(w int) (lines []line) {
	p := v.o.Lang
	var sorts []string
	for i, c := range v.hosts.keys() {
		sorts = append(sorts, fmt.Sprintf("%d %s", i+1, c.name))
	}
	for _, x := range [][2]string{
		{"↑ ↓ j k", p.Text("choose a host; PgUp PgDn, g first, G last")},
		{p.Text("Enter"), p.Text("open or close the pane with the evidence")},
		{"e", p.Text("all evidence about the host, on the whole screen")},
		{"x", p.Text("what speaks for and against the host now, as spamsensor explain says it")},
		{"/", p.Text("show only hosts with a text in address, MAC, level, role or finding, or " +
			"in a network such as 10.20.0.0/16; Esc: all")},
		{"1 - 8", p.Sprintf("sort by a column: %s; the same key again: in reverse",
			strings.Join(sorts, ", "))},
		{"s r", p.Text("sort by the next column; reverse the order")},
		{"p", p.Text("pause: nothing on the screen changes, and the sensor is not asked")},
		{"Ctrl-L", p.Text("draw the screen again")},
		{"q", p.Text("quit; the sensor goes on")},
		{"", ""},
		{p.Text("Attempts"), p.Text("connections that the host tried to open to mail ports")},
		{p.Text("Networks"), p.Text("networks that these servers are in; " +
			"a workstation has one or two")},
		{p.Text("Sessions"), p.Text("attempts that became a connection")},
		{p.Text("Accepted"), p.Text("messages that servers accepted")},
		{p.Text("Refusals"), p.Text("replies that refused or deferred something")},
	} {
		if x[1] == "" {
			lines = append(lines, nil)
			continue
		}
		lines = append(lines, wrap(span{x[0], bold}, 12, x[1], min(w, 110))...)
	}
	return lines
}
