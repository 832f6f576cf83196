package serve

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/html"
	"spamsensor/sensor/report"
)

// Bounds of the overview. What is beyond them is counted, and found by its address.
const (
	maxCards = 3  // findings with what to do and why
	maxCases = 40 // rows of the other findings
	maxHosts = 50 // rows of hosts
)

// matches reports whether a host is looked for.
func (q *question) matches(h *report.Host) bool {
	return q.find == "" || strings.Contains(h.IP.String(), q.find) ||
		strings.Contains(strings.ToLower(h.MAC), q.find) ||
		strings.Contains(strings.ToLower(h.Name), q.find)
}

// found are the findings of hosts that are looked for.
func (s *Sheet) found() (list []*html.Card) {
	for _, c := range s.Rows {
		if s.matches(&c.Host) {
			list = append(list, c)
		}
	}
	return list
}

// Worst are the findings that are told with what to do and why.
func (s *Sheet) Worst() []*html.Card {
	list := s.found()
	list = list[:min(len(list), maxCards)]
	html.Fold(list)
	return list
}

// Lesser are the next findings.
func (s *Sheet) Lesser() []*html.Card {
	list := s.found()
	return list[min(len(list), maxCards):min(len(list), maxCards+maxCases)]
}

// MoreCases are the findings that the overview does not show.
func (s *Sheet) MoreCases() int {
	n := len(s.found()) - len(s.Worst()) - len(s.Lesser())
	if s.find == "" {
		n += s.MoreRows()
	}
	return n
}

// orders are the orders of the hosts by what they have most of.
var orders = map[string]func(h *report.Host) int64{
	"attempts": func(h *report.Host) int64 { return int64(h.Counts.Attempts) },
	"networks": func(h *report.Host) int64 { return int64(h.Counts.DestNets) },
	"sessions": func(h *report.Host) int64 { return int64(h.Counts.Sessions) },
	"failed":   func(h *report.Host) int64 { return int64(h.Counts.Failed()) },
	"accepted": func(h *report.Host) int64 { return int64(h.Counts.Messages) },
	"refusals": func(h *report.Host) int64 { return int64(h.Counts.Refusals()) },
	"last":     func(h *report.Host) int64 { return int64(h.Last) },
}

// Choice is an entry of a list of which one is chosen.
type Choice struct {
	Value, Text string
	Chosen      bool
}

// Orders are the orders of the hosts.
func (s *Sheet) Orders() (list []Choice) {
	p := s.Printer
	for _, x := range []struct{ value, text string }{{"", p.Text("The worst first")},
		{"attempts", p.Text("Attempts")}, {"networks", p.Text("Networks")},
		{"sessions", p.Text("Sessions")}, {"failed", p.Text("Failed")},
		{"accepted", p.Text("Accepted")}, {"refusals", p.Text("Refusals")},
		{"last", p.Text("Last seen")}, {"address", p.Text("Address")}} {
		list = append(list, Choice{x.value, x.text, x.value == s.sort})
	}
	return list
}

// matching are the hosts that are looked for, in the order that was chosen.
func (s *Sheet) matching() (list []*report.Host) {
	for i := range s.Hosts {
		if h := &s.Hosts[i]; s.matches(h) {
			list = append(list, h)
		}
	}
	switch by := orders[s.sort]; {
	case s.sort == "address":
		slices.SortStableFunc(list, func(a, b *report.Host) int { return a.IP.Compare(b.IP) })
	case by != nil:
		slices.SortStableFunc(list, func(a, b *report.Host) int {
			return cmp.Compare(by(b), by(a))
		})
	}
	return list
}

// Table is the table of the hosts.
type Table struct {
	Hosts []*html.HostView
	All   int // that are looked for
	More  int // of these, that are not shown
	// Unlisted are hosts that the model only counts: they are not looked through.
	Unlisted int
}

// HostTable is the table of the hosts that are looked for.
func (s *Sheet) HostTable() *Table {
	list := s.matching()
	t := &Table{All: len(list), More: max(0, len(list)-maxHosts),
		Unlisted: s.HostCount - len(s.Hosts)}
	for _, h := range list[:len(list)-t.More] {
		t.Hosts = append(t.Hosts, s.Shown(h))
	}
	return t
}

// Kind is the kind of the page.
func (q *question) Kind() string { return q.kind }

// Find is what was looked for.
func (q *question) Find() string { return q.find }

// Span is the period of the picture of the attempts, if one was chosen.
func (q *question) Span() string { return q.span }

// Chosen is the language that was chosen; empty if none was.
func (q *question) Chosen() string {
	if q.chosen {
		return q.lang
	}
	return ""
}

// spans are the periods of the picture of the attempts.
var spans = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour,
	"7d": 7 * 24 * time.Hour}

// defaultSpan is the period unless another one is chosen.
const defaultSpan = "24h"

// Spans are links to the other periods.
func (s *Sheet) Spans() (list []Link) {
	p := s.Printer
	for _, x := range []struct{ value, text string }{{"1h", p.Text("The last hour")},
		{"24h", p.Text("24 hours")}, {"7d", p.Text("7 days")}} {
		q := s.question
		q.span = x.value
		list = append(list, Link{q.link("/", q.values()) + "#course", x.text,
			x.value == cmp.Or(s.span, defaultSpan)})
	}
	return list
}

// Course is the model as the pictures show it.
func (s *Sheet) Course() *html.View { return s.renderer.View(s.course(), s.options()) }

// course is the model of no longer than the period that was chosen.
func (s *Sheet) course() *report.Model {
	m := *s.Model
	width := report.Time(spans[cmp.Or(s.span, defaultSpan)])
	from := max(m.Period.First, m.Period.Last-width)
	m.Period.First = from
	m.Activity.Minutes = cut(&m.Activity.Minutes, from, m.Period.Last)
	m.Activity.Hours = cut(&m.Activity.Hours, from, m.Period.Last)
	return &m
}

// Quiet reports whether there was no attempt in the period of the picture.
func (s *Sheet) Quiet() bool {
	m := s.course()
	for _, x := range []*report.Stack{&m.Activity.Minutes, &m.Activity.Hours} {
		for _, list := range [][]uint32{x.Servers, x.Flagged, x.Others, x.Rest, x.Outside} {
			for _, n := range list {
				if n > 0 {
					return false
				}
			}
		}
	}
	return true
}

// cut is a part of a stack. Where nothing is counted yet there are zeros.
func cut(s *report.Stack, from, to report.Time) report.Stack {
	width := report.Time(s.Width) * report.Time(time.Second)
	if width <= 0 || to <= from {
		return *s
	}
	skip := int(max(0, (from-s.Start)/width))
	n := int((to-s.Start)/width) + 1
	c := *s
	c.Start += report.Time(skip) * width
	for _, list := range []*[]uint32{&c.Servers, &c.Flagged, &c.Others, &c.Rest,
		&c.Outside} {
		if len(*list) == 0 {
			continue
		}
		part := make([]uint32, max(0, min(n, maxColumns)-skip))
		copy(part, (*list)[min(skip, len(*list)):])
		*list = part
	}
	return c
}

// maxColumns bounds the intervals of a picture: those of 31 days by hour, and of a day by minute.
const maxColumns = 2000

// Command is what changes the sensor, or tells more, to be typed.
type Command struct{ What, Text string }

// Commands are those of a finding.
func (s *Sheet) Commands() []Command {
	p, c := s.Printer, s.Case()
	if c == nil {
		return nil
	}
	until := s.now.at.AddDate(0, 1, 0).Format(time.DateOnly)
	because := "'" + p.Text("WHY") + "'"
	return []Command{
		{p.Text("What to do, step by step, with its addresses in the commands"),
			"sudo spamsensor playbook " + quoted(c.ID)},
		{p.Text("Say that you look after it"), "sudo spamsensor ack " + quoted(c.ID) +
			" --why " + because},
		{p.Text("Have it for information only, for a month"), "sudo spamsensor ignore add " +
			c.IP.String() + " --why " + because + " --until " + until},
		{p.Text("Rules that let only mail servers use port 25"), "sudo spamsensor rules nftables"},
		{p.Text("Whether it is clean"), "sudo spamsensor verify " + c.IP.String()},
	}
}

// HostCommands are those of a host.
func (s *Sheet) HostCommands() []Command {
	h := s.Machine()
	if h == nil {
		return nil
	}
	return []Command{{s.Printer.Text("What speaks for and against it"),
		"sudo spamsensor explain " + h.IP.String()}}
}

// MirrorCommands are those of the mirror port.
func (s *Sheet) MirrorCommands() (list []Command) {
	for _, p := range s.Ports() {
		if p.Method != "stream" {
			list = append(list, Command{
				s.Printer.Text("Whether the mirror is good, and what to do"),
				"sudo spamsensor doctor -i " + quoted(p.Name)})
		}
	}
	return list
}

// SettingsCommands are those of the configuration.
func (s *Sheet) SettingsCommands() []Command {
	return []Command{{s.Printer.Text("Check the configuration, and have it read again"),
		"sudo spamsensor check && sudo spamsensor reload"}}
}

// quoted is a word of a command.
func quoted(word string) string {
	safe := func(r rune) bool {
		return r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune(".:/_-", r))
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Before and After are links to the findings beside that of the page; empty if there is none.
func (s *Sheet) Before() string { return s.beside(-1) }

// After is that of the next one.
func (s *Sheet) After() string { return s.beside(1) }

func (s *Sheet) beside(by int) string {
	c := s.Case()
	if c == nil || c.Number-1+by < 0 || c.Number-1+by >= len(s.Rows) {
		return ""
	}
	q := s.question
	q.id = s.Rows[c.Number-1+by].ID
	return q.link(q.path(), url.Values{})
}

// CasesOf are the findings about the host of the page.
func (s *Sheet) CasesOf() (list []*html.Card) {
	h := s.Machine()
	if h == nil {
		return nil
	}
	for _, c := range s.Rows {
		if c.IP == h.IP {
			list = append(list, c)
		}
	}
	return list
}
