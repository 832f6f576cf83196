package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// Widths of a report, in columns. A line is longer only where a word is.
const (
	minWidth, defaultWidth, maxWidth = 80, 100, 120
)

// printer writes lines of at most width columns.
type printer struct {
	out       io.Writer
	color     bool
	all       bool // see Options
	inputs    bool // there are several, and each host says where it was seen
	width     int
	zone      *time.Location
	live      bool              // a sensor runs: the end of the input is now
	when      func(Time) string // writes a time; nil writes it with numbers alone
	tr        *lang.Printer     // the language
	lines     int               // so far
	shortened bool              // a line has an address without its local part
}

// plural is a count with its noun, of which the plural has an s.
func (p *printer) plural(n uint64, noun string) string { return p.tr.Plural(n, noun, noun+"s") }

// count is a count with what depends on it.
func (p *printer) count(n uint32, one, many string) string {
	if p.tr == nil {
		return verdict.Count(n, one, many)
	}
	return p.tr.Plural(uint64(n), one, many)
}

// number is a number with its thousands set apart.
func (p *printer) number(n uint64) string { return p.tr.Number(n) }

func (p *printer) line(s string) {
	p.shortened = p.shortened || strings.Contains(s, "<...@")
	p.lines++
	fmt.Fprintln(p.out, strings.TrimRight(s, " "))
}

func (p *printer) paint(c text.Color, s string) string {
	if !p.color {
		return s
	}
	text.EnableColors()
	return c.Sprint(s)
}

func (p *printer) section(title string) {
	p.line("")
	p.line(p.paint(text.Bold, title))
}

// item writes a paragraph behind a dash.
func (p *printer) item(s string) { p.wrap("   - ", "     ", s) }

// text writes a paragraph of a finding.
func (p *printer) text(s string) { p.wrap("   ", "   ", s) }

// labelled writes a paragraph of a finding behind its name.
func (p *printer) labelled(name, s string) {
	p.wrap(fmt.Sprintf("   %-10s", p.tr.Text(name)), strings.Repeat(" ", 13), s)
}

// field writes a name in a column of its own and a text.
func (p *printer) field(name, s string) {
	p.wrap(fmt.Sprintf("%-11s", p.tr.Text(name)), strings.Repeat(" ", 11), s)
}

// headline is a field in a colour.
func (p *printer) headline(c text.Color, name, s string) {
	for i, l := range p.folded(s, 11) {
		if i == 0 {
			p.line(p.paint(c, fmt.Sprintf("%-11s%s", p.tr.Text(name), l)))
			continue
		}
		p.line(strings.Repeat(" ", 11) + p.paint(c, l))
	}
}

func (p *printer) wrap(first, rest, s string) {
	for i, l := range p.folded(s, len(rest)) {
		if i == 0 {
			p.line(first + l)
			continue
		}
		p.line(rest + l)
	}
}

// folded divides a text into lines that leave room for a margin.
func (p *printer) folded(s string, margin int) []string {
	return lang.Wrap(s, p.width-margin)
}

// clock is a time in the report's zone.
func (p *printer) clock(t Time) string { return p.time(t, time.DateTime) }

// minute is a time for the cell of a table.
func (p *printer) minute(t Time) string { return p.time(t, "01-02 15:04") }

func (p *printer) time(t Time, layout string) string {
	if p.when != nil {
		return p.when(t)
	}
	return t.In(p.zone).Format(layout)
}

// span is a period from a to b; the day is not repeated.
func (p *printer) span(a, b Time) string {
	from, to := p.clock(a), p.clock(b)
	if p.when == nil && from[:10] == to[:10] {
		to = to[11:]
	}
	return from + p.tr.Text(" to ") + to
}

// column is a column of a table.
type column struct {
	name  string
	right bool // numbers
	// drop is the order in which columns are left out where the table is too wide; zero is never.
	drop int
	// cut says that long texts are cut, before a column is left out; least is the width that stays
	// until then, leastCut if it is zero.
	cut   bool
	least int
	// hosts says that the texts are addresses with names, of which only the names are cut.
	hosts bool
}

// leastCut is the width to which a column is cut at most.
const leastCut = 14

// Widths of the names of hosts: what stays of a long one while there is anything else to leave out,
// the address included, and the room in which there is no use in showing a part of one.
const (
	leastName, leastNamed = 10, 48
	uselessName           = 6
)

// leastHost is the width that addresses with names need, of which long names are cut.
func leastHost(s string) int {
	addr, _, _ := strings.Cut(s, " (")
	if n := len(addr) + len(" ()") + leastName; n <= leastNamed {
		return n
	}
	return len(addr)
}

// cutHost shortens the name behind an address to n columns in all. The address stays whole.
func cutHost(s string, n int) string {
	addr, name, named := strings.Cut(s, " (")
	if !named || n <= 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	room := n - len(addr) - len(" ()")
	if room < uselessName {
		return addr
	}
	return addr + " (" + cut(strings.TrimSuffix(name, ")"), room) + ")"
}

// columns writes a table without lines, as wide as the report at most.
func (p *printer) columns(heads []column, rows [][]string) {
	for i := range heads {
		h := &heads[i]
		h.name = p.tr.Text(h.name)
		if h.hosts {
			h.cut = true
			for _, r := range rows {
				h.least = max(h.least, leastHost(r[i]))
			}
		}
	}
	left := map[int]bool{}
	widths := map[int]int{}
	for {
		lines := renderTable(heads, rows, left, widths)
		wide := 0
		for _, l := range lines {
			wide = max(wide, text.StringWidthWithoutEscSequences(strings.TrimRight(l, " ")))
		}
		if excess := wide + 3 - p.width; excess > 0 && narrow(heads, rows, left, widths, excess) {
			continue
		}
		for _, l := range lines {
			p.line("   " + l)
		}
		return
	}
}

// narrow makes a table narrower, and reports whether it could.
func narrow(heads []column, rows [][]string, left map[int]bool, widths map[int]int,
	excess int) bool {
	for i, h := range heads {
		if !h.cut || left[i] {
			continue
		}
		now := widths[i]
		if now == 0 {
			for _, r := range rows {
				now = max(now, len(r[i]))
			}
		}
		if least := cmp.Or(h.least, leastCut); now > least {
			widths[i] = max(least, now-excess)
			return true
		}
	}
	next := -1
	for i, h := range heads {
		if h.drop > 0 && !left[i] && (next < 0 || h.drop < heads[next].drop) {
			next = i
		}
	}
	if next < 0 {
		return false
	}
	left[next] = true
	clear(widths)
	return true
}

// renderTable is a table without the columns that are left out.
func renderTable(heads []column, rows [][]string, left map[int]bool, widths map[int]int) []string {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options, style.Box.PaddingLeft, style.Box.PaddingRight =
		table.OptionsNoBordersAndSeparators, "", "  "
	t.SetStyle(style)
	row := func(cells func(i int) string) (r table.Row) {
		for i := range heads {
			if !left[i] {
				r = append(r, cells(i))
			}
		}
		return r
	}
	t.AppendHeader(row(func(i int) string { return heads[i].name }))
	for _, cells := range rows {
		t.AppendRow(row(func(i int) string { return cells[i] }))
	}
	var configs []table.ColumnConfig
	for i, h := range heads {
		if left[i] {
			continue
		}
		c := table.ColumnConfig{Number: len(configs) + 1, WidthMax: widths[i],
			WidthMaxEnforcer: cut}
		if h.hosts {
			c.WidthMaxEnforcer = cutHost
		}
		if h.right {
			c.Align, c.AlignHeader = text.AlignRight, text.AlignRight
		}
		configs = append(configs, c)
	}
	t.SetColumnConfigs(configs)
	return strings.Split(t.Render(), "\n")
}

// cut shortens a text to n columns.
func cut(s string, n int) string {
	if r := []rune(s); n > 0 && len(r) > n {
		return string(r[:max(0, n-3)]) + "..."
	}
	return s
}
