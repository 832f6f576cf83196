package top

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// mode is what the keys are for.
type mode int

const (
	browsing   mode = iota
	reading         // the evidence on the whole screen
	explaining      // what speaks for and against a host, on the whole screen
	filtering       // the filter is being written
	helping
)

// Least size of a terminal.
const leastWidth, leastHeight = 40, 10

// view is all that is on the screen. Only the goroutine of the application uses it.
type view struct {
	*tview.Box
	o       *Options
	palette palette
	hosts   *hosts
	table   *tview.Table
	input   *tview.InputField
	now     func() time.Time
	quit    func()
	redraw  func()
	// apart runs what takes long; queue has the goroutine of the application call a function.
	apart func(func())
	queue func(func())

	last, before *answer
	dead         error // why there was no answer since the last one
	paused       atomic.Bool
	mode         mode
	evidence     bool   // the pane is open
	touched      bool   // the user has chosen a host: the selection follows it
	chosen       string // its key
	scroll       int    // of what is read
	page         int    // lines of what is read that fit
	explained    *explained
}

func newView(o *Options) *view {
	v := &view{Box: tview.NewBox(), o: o, palette: palette{o.Color}, hosts: newHosts(o),
		table: tview.NewTable(), input: tview.NewInputField(), now: time.Now, evidence: true,
		quit: func() {}, redraw: func() {}, apart: func(f func()) { f() },
		queue: func(f func()) { f() }}
	v.SetBackgroundColor(tcell.ColorDefault)
	v.table.SetContent(v.hosts).SetFixed(1, 0).SetSelectable(true, false).
		SetSelectedStyle(bold.Reverse(true)).SetBordersColor(tcell.ColorDefault).
		SetBackgroundColor(tcell.ColorDefault)
	v.input.SetFieldStyle(plain).SetLabelStyle(bold).SetLabel("/ ").
		SetBackgroundColor(tcell.ColorDefault)
	v.table.Select(1, 0)
	return v
}

// update takes an answer.
func (v *view) update(a *answer) {
	v.before, v.last, v.dead = v.last, a, nil
	v.hosts.set(&a.model)
	v.follow()
}

// arrange filters and sorts the table again.
func (v *view) arrange() {
	v.hosts.arrange()
	v.follow()
}

// follow selects the host that the user has chosen, or the first one.
func (v *view) follow() {
	n := len(v.hosts.shown)
	at, _ := v.table.GetSelection()
	at = max(min(at, n), 1)
	if !v.touched {
		v.table.Select(1, 0).SetOffset(0, 0)
		return
	}
	for i, r := range v.hosts.shown {
		if r.key() == v.chosen {
			at = i + 1
			break
		}
	}
	v.table.Select(at, 0)
}

// choose notes which host is selected.
func (v *view) choose() {
	r := v.selected()
	v.touched = r != nil
	if r != nil {
		v.chosen = r.key()
	}
}

// selected is the selected host; nil if there is none.
func (v *view) selected() *row {
	at, _ := v.table.GetSelection()
	if at < 1 || at > len(v.hosts.shown) {
		return nil
	}
	return v.hosts.shown[at-1]
}

// InputHandler implements tview.Primitive.
func (v *view) InputHandler() func(*tcell.EventKey, func(tview.Primitive)) {
	return v.WrapInputHandler(func(event *tcell.EventKey, _ func(tview.Primitive)) {
		v.key(event)
	})
}

// key does what a key is for.
func (v *view) key(event *tcell.EventKey) {
	if event.Key() == tcell.KeyCtrlL {
		v.redraw()
		return
	}
	switch v.mode {
	case helping:
		v.mode = browsing
	case filtering:
		v.edit(event)
	case reading, explaining:
		v.read(event)
	default:
		v.browse(event)
	}
}

// edit changes the filter.
func (v *view) edit(event *tcell.EventKey) {
	switch event.Key() {
	case tcell.KeyEscape:
		v.input.SetText("")
		v.mode = browsing
	case tcell.KeyEnter:
		v.mode = browsing
	default:
		v.input.InputHandler()(event, func(tview.Primitive) {})
	}
	v.hosts.filter = strings.TrimSpace(v.input.GetText())
	v.touched = v.touched && v.mode == browsing
	v.arrange()
}

// read moves in the evidence, and leaves it.
func (v *view) read(event *tcell.EventKey) {
	switch k := event.Key(); {
	case k == tcell.KeyEscape, k == tcell.KeyEnter, strings.ContainsRune("eqx", event.Rune()):
		v.mode = browsing
	case k == tcell.KeyDown, event.Rune() == 'j':
		v.scroll++
	case k == tcell.KeyUp, event.Rune() == 'k':
		v.scroll--
	case k == tcell.KeyPgDn, k == tcell.KeyCtrlF, event.Rune() == ' ':
		v.scroll += v.page
	case k == tcell.KeyPgUp, k == tcell.KeyCtrlB:
		v.scroll -= v.page
	case k == tcell.KeyHome, event.Rune() == 'g':
		v.scroll = 0
	case k == tcell.KeyEnd, event.Rune() == 'G':
		v.scroll = 1 << 30
	}
}

// browse is for the keys of the table.
func (v *view) browse(event *tcell.EventKey) {
	switch k := event.Key(); k {
	case tcell.KeyEnter:
		v.evidence = !v.evidence
		v.choose()
		return
	case tcell.KeyEscape:
		v.input.SetText("")
		v.hosts.filter = ""
		v.arrange()
		return
	case tcell.KeyHome, tcell.KeyCtrlA:
		v.first()
		return
	case tcell.KeyRune:
		if v.command(event.Rune()) {
			return
		}
	case tcell.KeyLeft, tcell.KeyRight:
		return // all columns are there
	}
	if v.selected() == nil || len(v.hosts.visible) == 0 {
		return // tview would look for a line to select, without an end
	}
	v.table.InputHandler()(event, func(tview.Primitive) {})
	v.choose()
}

// first goes to the first host; which one it is may change.
func (v *view) first() {
	v.touched = false
	v.follow()
}

// command does what a letter is for, and reports whether it is for anything.
func (v *view) command(r rune) bool {
	switch r {
	case 'q':
		v.quit()
	case '?', 'h':
		v.mode = helping
	case 'e':
		if v.selected() != nil {
			v.choose()
			v.mode, v.scroll = reading, 0
		}
	case 'p':
		v.paused.Store(!v.paused.Load())
	case '/':
		v.mode = filtering
		v.input.Focus(func(tview.Primitive) {})
	case 'x':
		if r := v.selected(); r != nil {
			v.choose()
			v.explain(r)
		}
	case 's':
		keys := v.hosts.keys()
		for i, c := range keys {
			if c == v.hosts.sorted {
				v.sort(keys[(i+1)%len(keys)])
				break
			}
		}
	case 'r':
		v.hosts.reverse = !v.hosts.reverse
		v.arrange()
	case 'g':
		v.first()
	case 'l': // to the right in vi: the table must not move
	default:
		keys := v.hosts.keys()
		if r < '1' || int(r-'1') >= len(keys) {
			return false
		}
		c := keys[r-'1']
		if c == v.hosts.sorted { // the same key again
			v.hosts.reverse = !v.hosts.reverse
			v.arrange()
			return true
		}
		v.sort(c)
	}
	return true
}

// sort sorts by a column.
func (v *view) sort(c *column) {
	v.hosts.sorted, v.hosts.reverse = c, false
	v.arrange()
}

// Draw implements tview.Primitive.
func (v *view) Draw(screen tcell.Screen) {
	v.DrawForSubclass(screen, v)
	x, y, w, h := v.GetInnerRect()
	if w < leastWidth || h < leastHeight {
		draw(screen, x, y, w, line{{v.o.Lang.Text("The terminal is too small."), bold}})
		return
	}
	for _, l := range v.head(w, h) {
		draw(screen, x, y, w, l)
		y, h = y+1, h-1
	}
	h-- // the keys
	switch v.mode {
	case helping:
		v.drawLines(screen, x, y, w, h, v.help(w))
	case explaining:
		v.drawLines(screen, x, y, w, h, v.explained.lines(v.o, w))
	case reading:
		if r := v.selected(); r != nil {
			v.drawLines(screen, x, y, w, h, v.about(r, w, h, true))
			break
		}
		v.mode = browsing
		fallthrough
	default:
		v.drawTable(screen, x, y, w, h)
	}
	if v.mode == filtering {
		v.input.SetRect(x, y+h, w, 1)
		v.input.Draw(screen)
		return
	}
	screen.HideCursor()
	draw(screen, x, y+h, w, v.footer())
}

// drawTable draws the table, and the evidence about the selected host below it.
func (v *view) drawTable(screen tcell.Screen, x, y, w, h int) {
	rows := len(v.hosts.shown)
	r := v.selected()
	height := h
	if v.evidence && r != nil && h >= 9 {
		height = min(rows+1, max(h*9/20, 4))
	}
	v.hosts.layout(w)
	v.table.SetRect(x, y, w, height)
	v.table.Draw(screen)
	if rows == 0 {
		draw(screen, x, y+1, w, line{{v.nothing(), plain}})
	}
	if height == h {
		return
	}
	y, h = y+height, h-height
	fill(screen, x, y, w, '─', plain.Dim(true))
	lines := v.about(r, w, h-1, false)
	if len(lines) > h-1 {
		lines = append(lines[:h-2:h-2], line{{"… " + v.o.Lang.Text("key e: all of it"), plain}})
	}
	for i, l := range lines {
		draw(screen, x, y+1+i, w, l)
	}
}

// drawLines draws lines that may not all fit.
func (v *view) drawLines(screen tcell.Screen, x, y, w, h int, lines []line) {
	v.page = h
	v.scroll = max(0, min(v.scroll, len(lines)-h))
	for i := range min(h, len(lines)-v.scroll) {
		draw(screen, x, y+i, w, lines[v.scroll+i])
	}
}

// about is the evidence about a host, for a height.
func (v *view) about(r *row, w, h int, all bool) []line {
	e := evidence{lang: v.o.Lang, palette: v.palette, zone: v.o.Zone, model: &v.last.model,
		width: min(w, 120), reasons: 2 + h/18, all: all}
	return e.of(r)
}
