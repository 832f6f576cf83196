package top

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// row is a host as the table shows it.
type row struct {
	*report.Host
	rank     int // the worst is 1
	name     string
	title    string            // of its worst finding
	findings []*report.Finding // about its address, the worst first, ignored ones last
}

// key tells a host in two answers.
func (r *row) key() string { return fmt.Sprint(r.IP, r.VLAN, r.Input) }

// rowsOf are the hosts of a model, the worst first: those with findings in the order of these, then
// the others in the order of the model. A host with a finding that is not among the hosts of the
// model, because there are too many or it is only known as a server, has a row too.
func rowsOf(m *report.Model, p *lang.Printer) []*row {
	findings, order := map[netip.Addr][]*report.Finding{}, map[netip.Addr]int{}
	missing := map[netip.Addr]*report.Finding{}
	for _, list := range [][]report.Finding{m.Findings, m.Ignored} {
		for i := range list {
			f := &list[i]
			if findings[f.IP] == nil {
				order[f.IP], missing[f.IP] = len(order)-1<<30, f
			}
			findings[f.IP] = append(findings[f.IP], f)
		}
	}
	rows := make([]*row, 0, len(m.Hosts))
	places := map[netip.Addr]int{} // where a host was seen, if in several networks
	for i := range m.Hosts {
		h := &m.Hosts[i]
		rows = append(rows, &row{Host: h, name: h.Called(), findings: findings[h.IP]})
		places[h.IP]++
		delete(missing, h.IP)
	}
	for _, f := range missing {
		rows = append(rows, &row{Host: &f.Host, name: f.Called(), findings: findings[f.IP]})
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		return cmp.Compare(order[a.IP], order[b.IP])
	})
	for i, r := range rows {
		r.rank = i + 1
		if places[r.IP] > 1 && len(r.VLAN) > 0 {
			r.name += " VLAN " + vlans(r.VLAN)
		}
		if len(r.findings) > 0 {
			r.title = titleOf(r.findings, p)
		}
	}
	return rows
}

// titleOf is what is said of a host's findings in the table.
func titleOf(list []*report.Finding, p *lang.Printer) string {
	f := list[0]
	s := p.Sentence(f.Title)
	switch {
	case f.Ignored != nil:
		s += ", " + p.Text("ignored")
	case f.Ack != nil:
		s += ", " + p.Text("somebody looks after it")
	case f.Over && f.Severity != verdict.Info.String():
		s += ", " + p.Text("no sign for 24 hours")
	}
	if n := len(list) - 1; n > 0 {
		s += fmt.Sprintf(" (+%d)", n)
	}
	return s
}

func vlans(list []uint16) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = fmt.Sprint(v)
	}
	return strings.Join(s, ".")
}

// matches reports whether a row has a text in its addresses, level, role or finding, or is in the
// network that the text names.
func (r *row) matches(filter string, network netip.Prefix, p *lang.Printer) bool {
	if network.IsValid() {
		return network.Contains(r.IP)
	}
	for _, s := range []string{r.name, r.MAC, r.Level, p.Text(r.Level), r.Role, r.title} {
		if strings.Contains(strings.ToLower(s), filter) {
			return true
		}
	}
	return false
}

// column is a column of the table.
type column struct {
	name string
	// count is its number, nil if it has none.
	count func(*row) uint64
	text  func(*row) string
	// compare is the order if the table is sorted by the column; nil if it cannot be.
	compare func(a, b *row) int
	// drop is the order in which columns are left out where the table is too wide; zero is never.
	drop  int
	level bool // it is coloured by the level
	down  bool // the largest comes first
	width int  // of what is in it
}

// hosts is the content of the table.
type hosts struct {
	tview.TableContentReadOnly
	lang    *lang.Printer
	palette palette
	zone    *time.Location
	day     string // of the latest packet
	all     []*row
	shown   []*row // that match the filter, in order
	filter  string
	columns []*column
	sorted  *column
	reverse bool
	visible []*column
	last    int // width of the last column
}

func newHosts(o *Options) *hosts {
	p := o.Lang
	h := &hosts{lang: p, palette: palette{o.Color}, zone: o.Zone}
	number := func(name string, drop int, n func(*row) uint64) *column {
		return &column{name: p.Text(name), drop: drop, count: n, down: true,
			compare: func(a, b *row) int { return cmp.Compare(n(b), n(a)) },
			text:    func(r *row) string { return p.Number(n(r)) }}
	}
	h.columns = []*column{
		{name: "#", count: func(r *row) uint64 { return uint64(r.rank) },
			text:    func(r *row) string { return fmt.Sprint(r.rank) },
			compare: func(a, b *row) int { return cmp.Compare(a.rank, b.rank) }},
		{name: p.Text("Host"), text: func(r *row) string { return r.name },
			compare: func(a, b *row) int { return a.IP.Compare(b.IP) }},
		{name: p.Text("Level"), text: h.level, drop: 6, level: true},
		number("Attempts", 0, func(r *row) uint64 { return uint64(r.Counts.Attempts) }),
		number("Networks", 1, func(r *row) uint64 { return uint64(r.Counts.DestNets) }),
		number("Sessions", 2, func(r *row) uint64 { return uint64(r.Counts.Sessions) }),
		number("Accepted", 5, func(r *row) uint64 { return uint64(r.Counts.Messages) }),
		number("Refusals", 3, func(r *row) uint64 { return r.Counts.Refusals() }),
		{name: p.Text("Seen"), text: h.seen, drop: 4, down: true,
			compare: func(a, b *row) int { return cmp.Compare(b.Last, a.Last) }},
		{name: p.Text("Finding"), text: func(r *row) string { return r.title }},
	}
	h.sorted = h.columns[0]
	return h
}

// keys are the columns by which the table can be sorted, in the order of the keys 1, 2, ...
func (h *hosts) keys() (list []*column) {
	for _, c := range h.columns {
		if c.compare != nil {
			list = append(list, c)
		}
	}
	return list
}

func (h *hosts) level(r *row) string {
	if r.Level == verdict.NoLevel.String() {
		return "–"
	}
	return h.lang.Text(r.Level)
}

// seen is when a host was seen last: the time of the day, if it was on the latest day.
func (h *hosts) seen(r *row) string {
	if r.Last == 0 {
		return "–"
	}
	at := r.Last.In(h.zone)
	if at.Format(time.DateOnly) == h.day {
		return at.Format(time.TimeOnly)
	}
	return at.Format("01-02 15:04")
}

// set takes the hosts of a model.
func (h *hosts) set(m *report.Model) {
	h.day = m.Period.Last.In(h.zone).Format(time.DateOnly)
	h.all = rowsOf(m, h.lang)
	h.arrange()
}

// arrange filters and sorts the hosts.
func (h *hosts) arrange() {
	h.shown = h.all
	if h.filter != "" {
		network, err := netip.ParsePrefix(h.filter)
		if err != nil {
			network = netip.Prefix{}
		}
		low := strings.ToLower(h.filter)
		h.shown = nil
		for _, r := range h.all {
			if r.matches(low, network, h.lang) {
				h.shown = append(h.shown, r)
			}
		}
	}
	h.shown = slices.Clone(h.shown)
	slices.SortStableFunc(h.shown, func(a, b *row) int {
		n := h.sorted.compare(a, b)
		if h.reverse {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a.rank, b.rank))
	})
	for _, c := range h.columns {
		c.width = width(h.heading(c))
		var most uint64
		for _, r := range h.shown {
			if c.count == nil {
				c.width = max(c.width, width(c.text(r)))
				continue
			}
			most = max(most, c.count(r))
		}
		if c.count != nil {
			c.width = max(c.width, width(h.lang.Number(most)))
		}
	}
}

// heading is the heading of a column, with an arrow if the table is sorted by it.
func (h *hosts) heading(c *column) string {
	if c != h.sorted {
		return c.name
	}
	if c.down != h.reverse {
		return c.name + "▼"
	}
	return c.name + "▲"
}

// leastTitle is the width of the last column for which other columns are left out.
const leastTitle = 17

// layout chooses the columns that fit into a width.
func (h *hosts) layout(most int) {
	h.visible = slices.Clone(h.columns)
	last := h.columns[len(h.columns)-1]
	for {
		used, next := 0, -1
		for i, c := range h.visible {
			if c != last {
				used += c.width + 1
			}
			if c.drop > 0 && c != h.sorted && (next < 0 || c.drop < h.visible[next].drop) {
				next = i
			}
		}
		h.last = max(most-used, 1)
		if h.last >= min(leastTitle, last.width) || next < 0 {
			return
		}
		h.visible = slices.Delete(h.visible, next, next+1)
	}
}

// GetRowCount implements tview.TableContent.
func (h *hosts) GetRowCount() int { return len(h.shown) + 1 }

// GetColumnCount implements tview.TableContent.
func (h *hosts) GetColumnCount() int { return len(h.visible) }

// inert replaces what tview would take for the beginning of a tag. No address and no title has it.
var inert = strings.NewReplacer("[", "(", "]", ")")

// GetCell implements tview.TableContent.
func (h *hosts) GetCell(i, j int) *tview.TableCell {
	if i < 0 || i > len(h.shown) || j < 0 || j >= len(h.visible) {
		return nil
	}
	c := h.visible[j]
	cell := &tview.TableCell{Color: tcell.ColorDefault, BackgroundColor: tcell.ColorDefault,
		MaxWidth: c.width}
	if j == len(h.visible)-1 {
		cell.MaxWidth = h.last
		cell.Expansion = 1
	}
	if c.count != nil {
		cell.Align = tview.AlignRight
	}
	if i == 0 {
		cell.Text, cell.Attributes, cell.NotSelectable = h.heading(c), tcell.AttrBold, true
		if gap := strings.Repeat(" ", max(c.width-width(cell.Text), 0)); c.count != nil {
			cell.Text = gap + cell.Text
		} else if j < len(h.visible)-1 {
			cell.Text += gap
		}
		return cell
	}
	r := h.shown[i-1]
	cell.Text = inert.Replace(c.text(r))
	if c.level || j == len(h.visible)-1 {
		switch r.Level {
		case verdict.Confirmed.String():
			cell.Color, cell.Attributes = h.palette.text(tcell.ColorMaroon), tcell.AttrBold
		case verdict.Likely.String():
			cell.Attributes = tcell.AttrBold
		}
	}
	return cell
}
