package top

import (
	"spamsensor/sensor/lang"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

// span is a text in a style. line are spans side by side.
type (
	span struct {
		text  string
		style tcell.Style
	}
	line []span
)

var (
	plain = tcell.StyleDefault
	bold  = tcell.StyleDefault.Bold(true)
)

// palette has the styles with colours, or those that stand for them. Every colour goes with a word.
type palette struct{ color bool }

// badge is the style of a word that stands out.
func (p palette) badge(c tcell.Color) tcell.Style {
	if !p.color || c == tcell.ColorDefault {
		return bold.Reverse(true)
	}
	fg := tcell.ColorBlack
	if c == tcell.ColorMaroon {
		fg = tcell.ColorWhite
	}
	return bold.Background(c).Foreground(fg)
}

// text is a colour for text.
func (p palette) text(c tcell.Color) tcell.Color {
	if !p.color {
		return tcell.ColorDefault
	}
	return c
}

// width is the width of a text in columns.
func width(s string) int {
	n := 0
	for s != "" {
		var w int
		_, s, w, _ = uniseg.FirstGraphemeClusterInString(s, -1)
		n += w
	}
	return n
}

// cut shortens a text to n columns.
func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	var b strings.Builder
	for n > 1 && s != "" {
		cluster, rest, w, _ := uniseg.FirstGraphemeClusterInString(s, -1)
		if w >= n {
			break
		}
		b.WriteString(cluster)
		s, n = rest, n-w
	}
	return b.String() + "…"
}

// ellipsis marks a text as one that goes on, within n columns.
func ellipsis(s string, n int) string {
	if width(s) > n-2 {
		return cut(s+"…", n)
	}
	return s + " …"
}

// draw writes a line, cut to a width. Characters without a width, which could change how others
// look, are left out unless they belong to one that has.
func draw(screen tcell.Screen, x, y, most int, l line) {
	total := 0
	for _, s := range l {
		total += width(s.text)
	}
	left := most
	for _, s := range l {
		t := s.text
		if total > most {
			t = cut(t, left)
		}
		for t != "" && left > 0 {
			var cluster string
			var w int
			cluster, t, w, _ = uniseg.FirstGraphemeClusterInString(t, -1)
			if w == 0 || w > left {
				continue
			}
			r := []rune(cluster)
			screen.SetContent(x, y, r[0], r[1:], s.style)
			x, left = x+w, left-w
		}
	}
}

// fill colours the rest of a line.
func fill(screen tcell.Screen, x, y, n int, r rune, style tcell.Style) {
	for i := range n {
		screen.SetContent(x+i, y, r, nil, style)
	}
}

// wrap divides a text into lines of a width, behind a margin in which the first line has a label.
func wrap(label span, margin int, s string, most int) (lines []line) {
	if s == "" {
		return nil
	}
	for _, l := range lang.Wrap(s, max(most-margin, 10)) {
		gap := strings.Repeat(" ", max(margin-width(label.text), 0))
		lines = append(lines, line{label, {gap, plain}, {l, plain}})
		label = span{}
	}
	return lines
}
