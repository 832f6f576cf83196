package html

import (
	"fmt"
	"html/template"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/picture"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// Bounds of what is shown; what is beyond them is counted.
const (
	maxCards    = 10  // findings in full
	maxInfos    = 3   // of these, for information
	maxSummary  = 500 // rows of the table of findings
	maxUnfolded = 20  // of these, that are not folded
	maxRows     = 50  // rows of other tables
	maxPictures = 5   // findings with pictures of their own
	fewReasons  = 3   // reasons that are not folded
)

// base is what all views need to write times.
type base struct {
	lang  *lang.Printer
	zone  *time.Location
	words report.Words
	links bool
	query string // of links
	// inputs are several files or interfaces: then each host says where it was seen.
	inputs bool
}

// SeveralInputs reports whether it is said where a host was seen.
func (b *base) SeveralInputs() bool { return b.inputs }

// View is a model as the sections show it.
type View struct {
	base
	*report.Model
	Cards   []*Card // the findings in full
	Rows    []*Card // all findings that are shown
	Watched []*ServerView
	Listed  []*HostView // declared, and not among Watched
	Others  []*HostView // without a finding
	// Beyond are hosts without a finding that are not shown.
	Beyond  int
	Alone   bool                // the mail servers have the page for themselves
	flagged map[netip.Addr]bool // hosts with a finding that is more than information
	Data    template.JS         // the model as JSON; empty on a page
	LeftOut *report.LeftOut
}

// Card is a finding as it is shown.
type Card struct {
	base
	*report.Finding
	Number int
	End    report.Time    // of the input
	Full   bool           // it is shown in full on the same page
	Drawn  bool           // it has pictures of its own
	Alone  bool           // it has the page for itself: its headings are those of the page
	same   map[string]int // steps that another finding on the page has, and its number
}

// HostView is a host as it is shown.
type HostView struct {
	base
	*report.Host
}

// ServerView is a mail server as it is shown.
type ServerView struct {
	base
	*report.Server
	Number int
	End    report.Time
	Alone  bool
}

// View prepares a model for the sections.
func (r *Renderer) View(m *report.Model, o Options) *View {
	b := base{lang: r.lang, zone: time.UTC, links: o.Links, query: o.Query,
		inputs: m.SeveralInputs()}
	if o.Zone != nil {
		b.zone = o.Zone
	}
	dates := b // of the sentences
	b.words = report.NewWords(r.lang, m.Live, func(t report.Time) string {
		return dates.text(t, true, time.TimeOnly)
	})
	v := &View{base: b, Model: m, Alone: o.Servers, flagged: map[netip.Addr]bool{}}
	for i := range m.Findings {
		if m.Findings[i].Severity != verdict.Info.String() {
			v.flagged[m.Findings[i].IP] = true
		}
	}
	infos := 0
	for i := range m.Findings[:min(len(m.Findings), maxSummary)] {
		c := &Card{base: b, Finding: &m.Findings[i], Number: i + 1, End: m.Period.Last,
			Full: i < maxCards, Drawn: i < maxPictures}
		if c.IsInfo() {
			infos++
			c.Full = c.Full && infos <= maxInfos
		}
		v.Rows = append(v.Rows, c)
		if c.Full {
			v.Cards = append(v.Cards, c)
		}
	}
	for i := range m.Servers[:min(len(m.Servers), maxRows)] {
		v.Watched = append(v.Watched, &ServerView{b, &m.Servers[i], i + 1, m.Period.Last,
			o.Servers})
	}
	Fold(v.Cards)
	v.addHosts()
	return v
}

// addHosts divides the hosts without a finding into the declared ones and the others. Mail servers
// that are in their own table are not among them.
func (v *View) addHosts() {
	elsewhere := map[netip.Addr]bool{}
	for _, list := range [][]report.Finding{v.Findings, v.Ignored} {
		for i := range list {
			elsewhere[list[i].IP] = true
		}
	}
	watched := map[netip.Addr]bool{}
	for i := range v.Servers {
		watched[v.Servers[i].IP] = true
	}
	for i := range v.Hosts {
		h := &HostView{v.base, &v.Hosts[i]}
		switch {
		case watched[h.IP]:
		case h.Declared():
			v.Listed = append(v.Listed, h)
		case elsewhere[h.IP]:
		case len(v.Others) < maxRows:
			v.Others = append(v.Others, h)
		default:
			v.Beyond++
		}
	}
	v.Beyond += v.HostCount - len(v.Hosts)
}

// Card is a finding of the model; nil if there is none with this id.
func (v *View) Card(id string) *Card {
	for i := range v.Findings {
		if v.Findings[i].ID == id {
			return &Card{base: v.base, Finding: &v.Findings[i], Number: i + 1,
				End: v.Period.Last, Full: true, Drawn: true, Alone: true}
		}
	}
	return nil
}

// HostOf is a host of the model; nil if it has none with this address.
func (v *View) HostOf(a netip.Addr) *HostView {
	for i := range v.Hosts {
		if v.Hosts[i].IP == a {
			return &HostView{v.base, &v.Hosts[i]}
		}
	}
	return nil
}

// Shown is a host of the model as it is shown.
func (v *View) Shown(h *report.Host) *HostView { return &HostView{v.base, h} }

// Machine is the host of the finding.
func (c *Card) Machine() *HostView { return &HostView{c.base, &c.Host} }

// FirstRows are the findings whose table is not folded.
func (v *View) FirstRows() []*Card {
	if len(v.Rows) > maxUnfolded+maxUnfolded/2 {
		return v.Rows[:maxUnfolded]
	}
	return v.Rows
}

// FurtherRows are the others that are shown.
func (v *View) FurtherRows() []*Card { return v.Rows[len(v.FirstRows()):] }

// MoreRows are findings that are only counted.
func (v *View) MoreRows() int { return len(v.Findings) - len(v.Rows) + v.MoreFindings }

// AlarmWord is the colour of the headline in words.
func (v *View) AlarmWord() string { return v.lang.Text(v.Headline.Alarm.Word()) }

// Clock is a time to the second.
func (b *base) Clock(t report.Time) template.HTML { return b.time(t, true, time.TimeOnly) }

// Minute is a time to the minute.
func (b *base) Minute(t report.Time) template.HTML { return b.time(t, true, "15:04") }

// Short is a time for the cell of a table: without its year.
func (b *base) Short(t report.Time) string {
	if t == 0 {
		return "–"
	}
	return b.text(t, false, "15:04")
}

// Brief is a time to the second without its year.
func (b *base) Brief(t report.Time) template.HTML { return b.time(t, false, time.TimeOnly) }

// Span is a period; the day is not repeated.
func (b *base) Span(p report.Period) template.HTML {
	from, to := p.First.In(b.zone), p.Last.In(b.zone)
	if from.YearDay() == to.YearDay() && from.Year() == to.Year() {
		return b.Clock(p.First) + "–" + element(p.Last, to.Format(time.TimeOnly))
	}
	return b.Clock(p.First) + " – " + b.Clock(p.Last)
}

func (b *base) time(t report.Time, year bool, layout string) template.HTML {
	if t == 0 {
		return "–"
	}
	return element(t, b.text(t, year, layout))
}

// text is a time without an element.
func (b *base) text(t report.Time, year bool, layout string) string {
	at := t.In(b.zone)
	text := picture.Day(b.lang, at)
	if year {
		text += at.Format(" 2006")
	}
	return text + at.Format(" "+layout)
}

// element is the element of a time. Its text comes from a format of a time.
func element(t report.Time, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.In(time.UTC).Format(time.RFC3339) + `">` +
		template.HTMLEscapeString(text) + `</time>`)
}

// ZoneName is the time zone, with its offset if it is not UTC.
func (b *base) ZoneName(t report.Time) string {
	at := t.In(b.zone)
	name, offset := at.Zone()
	if offset == 0 {
		return "UTC"
	}
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + at.Format("-07:00")
	}
	return name + " (UTC" + at.Format("-07:00") + ")"
}

// IsServer reports whether the finding is about a mail server; its counts are in the table of mail
// servers.
func (c *Card) IsServer() bool { return c.Class >= verdict.OpenRelay }

// Active says whether the host goes on, or for how long it has been quiet.
func (c *Card) Active() string { return c.words.Active(c.Finding, c.End) }

// LastName is what the last sign of the finding is called.
func (c *Card) LastName() string {
	return lastNames[c.words.LastName([]report.Finding{*c.Finding})]
}

// LastName is what a table of the findings calls their last signs.
func (v *View) LastName() string { return lastNames[v.words.LastName(v.Findings)] }

// lastNames are the names of last signs at the head of a column.
var lastNames = map[string]string{"last sign": "Last sign", "last spam": "Last spam seen"}

// IsInfo reports whether the finding is for information only.
func (c *Card) IsInfo() bool { return c.Severity == verdict.Info.String() }

// IsBot reports whether this is the first finding and names a spambot: then the word is explained.
func (c *Card) IsBot() bool { return c.Class == verdict.Spambot && c.Number == 1 }

// HasLink reports whether the finding is told in full anywhere.
func (c *Card) HasLink() bool { return c.Full || c.links }

// Link is where the finding is shown.
func (c *Card) Link() string {
	if c.links {
		return "/finding/" + url.PathEscape(c.ID) + c.query
	}
	return fmt.Sprintf("#finding-%d", c.Number)
}

// State says on what the finding rests, what became of it, and what stops the host.
func (c *Card) State() string {
	var list []string
	for _, s := range []string{c.words.Decided(c.Finding), c.words.Became(c.Finding, c.End),
		c.words.Egress(c.Finding), c.lang.Sentence(c.SameMachine)} {
		if s != "" {
			list = append(list, s)
		}
	}
	return strings.Join(list, " ")
}

// Refused says what the refusals are.
func (c *Card) Refused() string { return c.words.Refused(&c.Counts) }

// FirstReasons are those that weigh most.
func (c *Card) FirstReasons() (list []report.Reason) {
	for _, i := range c.Heaviest(fewReasons) {
		list = append(list, c.Reasons[i])
	}
	return list
}

// MoreReasons are the others.
func (c *Card) MoreReasons() (list []report.Reason) {
	shown := map[int]bool{}
	for _, i := range c.Heaviest(fewReasons) {
		shown[i] = true
	}
	for i := range c.Reasons {
		if !shown[i] {
			list = append(list, c.Reasons[i])
		}
	}
	return list
}
