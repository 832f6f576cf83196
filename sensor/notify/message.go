package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// Kinds of items.
const (
	itemFinding  = "finding"  // a finding was opened, or its level rose
	itemResolved = "resolved" // a finding that was told is closed
	itemHealth   = "health"   // a condition that makes the sensor blind was raised
	itemCleared  = "cleared"  // such a condition is over
	itemListed   = "listed"   // a blocklist lists a public address of ours
	itemDelisted = "delisted" // it does not any more
	itemWeekly   = "weekly"   // the weekly message
	itemTest     = "test"     // of notify test
)

// Item is one part of a notice: a finding, its end, a condition. All texts are clean.
type Item struct {
	Kind     string    `json:"kind"`
	ID       string    `json:"id"`             // of the finding, or check and interface
	Host     string    `json:"host,omitempty"` // address of the machine
	Name     string    `json:"name,omitempty"` // that the configuration gives it
	MAC      string    `json:"mac,omitempty"`
	Class    string    `json:"class"` // of the finding, or the check
	Level    string    `json:"level,omitempty"`
	Severity string    `json:"severity"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // when it was over, as far as it is
	Headline string    `json:"headline"`
	Reasons  []string  `json:"reasons,omitempty"`
	Advice   string    `json:"advice,omitempty"`
	Why      string    `json:"why,omitempty"` // close reason
	// Event is the event itself; empty if there is none, or if it is too long.
	Event json.RawMessage `json:"event,omitempty"`
}

// Message is what one channel gets at a time. It is English until in translates it: what is kept,
// and the notify events, stay so.
type Message struct {
	ID      string    `json:"id"`
	Channel string    `json:"channel"`
	Sensor  string    `json:"sensor"`
	Created time.Time `json:"created"`
	Items   []Item    `json:"items"`
	// More is the number of items that were left out.
	More int `json:"more,omitempty"`
	// Notes say why this channel gets the message of another one; Refused names the others.
	Notes   []string `json:"notes,omitempty"`
	Refused []string `json:"refused,omitempty"`

	Attempts int       `json:"attempts,omitempty"`
	NextTry  time.Time `json:"next_try,omitzero"`

	words *lang.Printer // of its texts; nil is English
}

// in is the message in a language. Ids, classes, levels and the events themselves stay as they are:
// programs read them.
func (m *Message) in(p *lang.Printer) *Message {
	if p == nil {
		return m
	}
	x := *m
	x.words, x.Items, x.Notes = p, slices.Clone(m.Items), sentences(p, m.Notes)
	for i := range x.Items {
		it := &x.Items[i]
		it.Headline, it.Advice = p.Sentence(it.Headline), p.Sentence(it.Advice)
		it.Why, it.Reasons = p.Sentence(it.Why), sentences(p, it.Reasons)
	}
	return &x
}

// sentences translates texts. An empty list stays nil, as in the message that it is of.
func sentences(p *lang.Printer, list []string) (out []string) {
	for _, s := range list {
		out = append(out, p.Sentence(s))
	}
	return out
}

// findingIDs are the findings of a message.
func (m *Message) findingIDs() []string {
	ids := []string{}
	for i := range m.Items {
		if k := m.Items[i].Kind; k == itemFinding || k == itemResolved {
			ids = append(ids, m.Items[i].ID)
		}
	}
	return ids
}

// rank orders items: what is worst comes first.
func (it *Item) rank() int {
	switch it.Kind {
	case itemFinding:
		severity, _ := verdict.ParseSeverity(it.Severity)
		return 8 + 2*int(levelOf(it.Level)) + int(severity)
	case itemHealth, itemListed:
		return 15 // beside a likely finding
	case itemWeekly, itemTest:
		return 30
	}
	return 0
}

// worstFirst orders items by rank; equal ones keep their order.
func worstFirst(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(b.rank(), a.rank()) })
}

// when is the form of times in texts for people.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// called is the machine, with its name if it has one.
func (it *Item) called() string {
	if it.Name != "" {
		return it.Host + " (" + it.Name + ")"
	}
	return it.Host
}

// title says what an item is in a few words.
func (it *Item) title(p *lang.Printer) string {
	switch it.Kind {
	case itemFinding:
		return it.what(p, it.Level+" ") + " " + it.called() + p.Sprintf(" since %s", when(it.Since))
	case itemResolved:
		return p.Sprintf("over: %s %s, since %s", it.what(p, ""), it.called(), when(it.Since))
	case itemHealth:
		return p.Sprintf("sensor impaired: %s since %s", it.ID, when(it.Since))
	case itemListed:
		return p.Sprintf("%s is on the blocklist %s since %s", it.Host, it.Class, when(it.Since))
	case itemDelisted:
		return p.Sprintf("%s is off the blocklist %s", it.Host, it.Class)
	case itemCleared:
		return p.Sprintf("sensor recovered: %s, since %s", it.ID, when(it.Since))
	}
	return it.Headline
}

// what is the class of a finding after its level or nothing. English has the names that are in the
// configuration and the events.
func (it *Item) what(p *lang.Printer, level string) string {
	if p == nil {
		return level + it.Class
	}
	return p.Sentence(level + strings.ReplaceAll(it.Class, "_", " "))
}

// Subject is the message in one line.
func (m *Message) Subject() string {
	s := "[spamsensor " + m.Sensor + "] "
	if len(m.Items) > 0 {
		s += m.Items[0].title(m.words)
	}
	if more := len(m.Items) - 1 + m.More; more > 0 {
		s += m.words.Sprintf(" (and %s)", m.words.Plural(uint64(more), "more", "more"))
	}
	return s
}

// lines is an item as a text of lines.
func (it *Item) lines(p *lang.Printer) (list []string) {
	list = append(list, it.title(p))
	add := func(format string, s string) {
		if s != "" {
			list = append(list, p.Sprintf(format, s))
		}
	}
	if it.Headline != it.title(p) {
		add("%s", it.Headline)
	}
	for _, r := range it.Reasons {
		add("- %s", r)
	}
	add("Severity: %s", p.Text(it.Severity))
	add("MAC: %s", it.MAC)
	if !it.Until.IsZero() {
		add("Over since %s", when(it.Until))
	}
	add("Closed because: %s", it.Why)
	add("Do: %s", it.Advice)
	if it.Kind == itemFinding || it.Kind == itemResolved {
		add("Finding: %s", it.ID)
	}
	return list
}

// Text is the message for people, with a newline at the end of each line.
func (m *Message) Text() string {
	var b strings.Builder
	for _, n := range m.Notes {
		fmt.Fprintf(&b, "%s\n\n", n)
	}
	for i := range m.Items {
		for j, l := range m.Items[i].lines(m.words) {
			indent := "   "
			if j == 0 {
				indent = ""
				if len(m.Items) > 1 {
					indent = fmt.Sprintf("%d. ", i+1)
				}
			} else if len(m.Items) == 1 {
				indent = ""
			}
			fmt.Fprintf(&b, "%s%s\n", indent, l)
		}
		b.WriteByte('\n')
	}
	if m.More > 0 {
		b.WriteString(m.leftOut() + "\n\n")
	}
	b.WriteString(m.words.Sprintf("Sensor: %s\n", m.Sensor))
	return b.String()
}

// leftOut says how many items were left out.
func (m *Message) leftOut() string {
	return m.words.Sprintf("and %d more, which are in the events of the sensor", m.More)
}
