package top

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// evidence writes what is known of a host in lines: who it is, since when, why, and what to do;
// then the proof.
type evidence struct {
	lang    *lang.Printer
	palette palette
	zone    *time.Location
	model   *report.Model
	width   int
	reasons int  // most reasons
	all     bool // all reasons and sessions
	lines   []line
	margin  int
}

// fewSessions bounds the sessions that are written unless all are.
const fewSessions = 3

// of writes the evidence about a host.
func (e *evidence) of(r *row) []line {
	p := e.lang
	e.lines, e.margin = nil, 0
	for _, s := range []string{"Do", "Why", "Proof", "Limits", "Machine", "Since", "Counts",
		"Mostly to", "Ignored", "Known"} {
		e.margin = max(e.margin, width(p.Text(s))+2)
	}
	for i, f := range r.findings {
		if i > 0 {
			e.lines = append(e.lines, nil)
		}
		e.finding(f, i == 0, r.Last)
	}
	if len(r.findings) == 0 {
		e.quiet(r.Host)
	}
	e.server(r.Host)
	if e.all {
		e.host(r.Host)
	}
	return e.lines
}

// field writes a text behind its name, which is English here.
func (e *evidence) field(name, s string) {
	e.lines = append(e.lines, wrap(span{e.lang.Text(name), bold}, e.margin, s, e.width)...)
}

// item writes a text behind a dash.
func (e *evidence) item(name, s string) {
	first := len(e.lines)
	gap := e.lang.Text(name)
	if name == "" {
		gap = ""
	}
	gap += strings.Repeat(" ", e.margin-2-width(gap)) + "- "
	e.lines = append(e.lines, wrap(span{gap, bold}, e.margin, s, e.width)...)
	if l := e.lines[first]; len(l) > 0 {
		l[0].text = strings.TrimSuffix(gap, "- ")
		e.lines[first] = append(line{l[0], {"- ", plain}}, l[1:]...)
	}
}

// finding writes a finding of a host that was seen last at latest. The machine is written with the
// first one. Reasons may be older than counts; see report.Finding.
func (e *evidence) finding(f *report.Finding, first bool, latest report.Time) {
	p := e.lang
	head := line{{f.Called() + " " + p.Sentence(f.What), bold}}
	if f.Class >= verdict.OpenRelay {
		head[0].text = p.Text("Mail server") + " " + head[0].text
	}
	if f.Severity != verdict.Info.String() {
		style := bold
		if f.Severity == verdict.Critical.String() || f.Severity == verdict.High.String() {
			style = style.Foreground(e.palette.text(tcell.ColorMaroon))
		}
		head = append(head, span{", " + p.Sprintf("severity %s", p.Text(f.Severity)), style})
	}
	if f.Over && f.Severity != verdict.Info.String() {
		head = append(head, span{", " + p.Text("no sign for 24 hours"), plain})
	}
	e.head(head)
	if i := f.Ignored; i != nil {
		e.field("Ignored", i.Why+e.until(i.Until))
	}
	if a := f.Ack; a != nil {
		e.field("Known", p.Sprintf("by %s since %s: %s", a.By, e.clock(a.At), a.Why))
	}
	if first {
		e.machine(&f.Host, f.OnLink)
	}
	e.field("Since", e.since(f, latest))
	e.why(f)
	if e.model.Live && f.Open && f.ReasonsAt != 0 && latest > f.ReasonsAt {
		e.field("", p.Sprintf("as of %s; %s has the latest", e.clock(f.ReasonsAt),
			e.explain(&f.Host)))
	}
	for i, s := range lang.Sentences(p.Sentence(f.Advice)) {
		e.item([]string{"Do", ""}[min(i, 1)], s)
	}
	e.proof(f)
	if len(f.Blind) > 0 && e.all {
		for i, s := range f.Blind {
			e.item([]string{"Limits", ""}[min(i, 1)], p.Sentence(s))
		}
	}
}

// head writes a line in bold, or several if it is long.
func (e *evidence) head(l line) {
	all := ""
	for _, s := range l {
		all += s.text
	}
	if width(all) <= e.width {
		e.lines = append(e.lines, l)
		return
	}
	for _, l := range wrap(span{}, 0, all, e.width) {
		l[2].style = bold
		e.lines = append(e.lines, l)
	}
}

// since says from when to when a host was seen, or signs of a finding that is over.
func (e *evidence) since(f *report.Finding, latest report.Time) string {
	p, from := e.lang, f.Since()
	decided := p.Plural(uint64(f.Decided.Attempts), "attempt", "attempts")
	last := end(from, latest, e.zone)
	if f.Over || latest == 0 {
		last = end(from, cmp.Or(f.LastSign, f.Last), e.zone)
		if f.Decided.Attempts == 0 {
			return p.Sprintf("%s, last sign %s", e.clock(from), last)
		}
		return p.Sprintf("%s, last sign %s; decided after %s", e.clock(from), last, decided)
	}
	if f.Decided.Attempts == 0 {
		return p.Sprintf("%s, last seen %s", e.clock(from), last)
	}
	return p.Sprintf("%s, last seen %s; decided after %s", e.clock(from), last, decided)
}

// until is the end of an exception.
func (e *evidence) until(t report.Time) string {
	if t == 0 {
		return ""
	}
	return " (" + e.lang.Sprintf("until %s", e.clock(t)) + ")"
}

// why writes why there is a finding.
func (e *evidence) why(f *report.Finding) {
	most := e.reasons
	if e.all {
		most = len(f.Reasons)
	}
	order := f.Heaviest(most)
	for i, n := range order {
		e.item([]string{"Why", ""}[min(i, 1)], e.lang.Sentence(f.Reasons[n].Text))
	}
	if more := len(f.Reasons) - len(order); more > 0 {
		e.field("", e.lang.Sprintf("and %s (key e)",
			e.lang.Plural(uint64(more), "more reason", "more reasons")))
	}
}

// proof writes the sessions that a finding rests on.
func (e *evidence) proof(f *report.Finding) {
	shown := f.Proof
	if !e.all {
		shown = f.Telling(fewSessions)
	}
	for i := range shown {
		e.item([]string{"Proof", ""}[min(i, 1)], e.session(&shown[i], f))
	}
	if more := len(f.Proof) - len(shown); more > 0 {
		e.field("", e.lang.Sprintf("and %s (key e)",
			e.lang.Plural(uint64(more), "more session", "more sessions")))
	}
}

// session describes a session of a finding.
func (e *evidence) session(s *report.Session, f *report.Finding) string {
	p := e.lang
	t := e.clock(s.Start)
	if f.Class >= verdict.OpenRelay {
		t += " " + p.Sprintf("from client %s", s.Client)
	}
	t += " " + p.Sprintf("to server %s", s.Server)
	if s.Helo != "" {
		t += " " + p.Sprintf("as %s", s.Helo)
	}
	if len(s.MailFrom) > 0 {
		t += ", " + p.Sprintf("mail from <%s>", strings.Join(s.MailFrom, ">, <"))
	}
	if result := report.NewWords(p, e.model.Live, nil).Result(s); result != "" {
		t = p.Sprintf("%s: %s", t, result)
	}
	return t
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}

// quiet writes what is said of a host without a finding.
func (e *evidence) quiet(h *report.Host) {
	p := e.lang
	s := p.Text("nothing that suffices for a finding")
	if h.Declared() {
		s = p.Text("declared as a mail server; nothing that suffices for a finding")
	}
	e.head(line{{p.Sprintf("%s: %s", h.Called(), s), bold}})
	e.machine(h, true)
	if h.First != 0 {
		e.field("Since", p.Sprintf("%s, last seen %s", e.clock(h.First),
			end(h.First, h.Last, e.zone)))
	}
	if !e.all {
		e.host(h)
	}
	e.field("Why", p.Sprintf("%s says what speaks for and against it.", e.explain(h)))
}

// explain is the command that tells more about a host.
func (e *evidence) explain(h *report.Host) string {
	s := "spamsensor explain " + h.IP.String()
	if !e.model.Live {
		s += " -r FILE"
	}
	return s
}

// machine writes who a host is.
func (e *evidence) machine(h *report.Host, own bool) {
	var list []string
	if h.MAC != "" {
		s := "MAC " + h.MAC
		if !own {
			s += " " + e.lang.Text("(perhaps a router's)")
		}
		list = append(list, s)
	}
	if len(h.VLAN) > 0 {
		list = append(list, "VLAN "+vlans(h.VLAN))
	}
	if h.Input != "" && e.model.SeveralInputs() {
		list = append(list, h.Input)
	}
	if len(list) > 0 {
		e.field("Machine", strings.Join(list, ", "))
	}
}

// host writes the counts of a host, and its servers.
func (e *evidence) host(h *report.Host) {
	p, c := e.lang, &h.Counts
	if c.Attempts == 0 {
		return
	}
	list := []string{p.Plural(uint64(c.Attempts), "attempt", "attempts"),
		p.Plural(uint64(c.DestIPs), "server", "servers"),
		p.Plural(uint64(c.DestNets), "network", "networks"),
		p.Plural(uint64(c.Sessions), "session", "sessions"),
		p.Plural(c.Failed(), "failed attempt", "failed attempts"),
		p.Plural(uint64(c.Messages), "message accepted", "messages accepted"),
		p.Plural(c.Refusals(), "refusal", "refusals")}
	e.field("Counts", strings.Join(list, ", "))
	var to []string
	for _, d := range h.Destinations {
		s := d.Server.String()
		if d.Name != "" {
			s = d.Name + " (" + s + ")"
		}
		to = append(to, s)
	}
	e.field("Mostly to", strings.Join(to, ", "))
}

// server writes the counts of a mail server that is watched.
func (e *evidence) server(h *report.Host) {
	p := e.lang
	for i := range e.model.Servers {
		s := &e.model.Servers[i]
		if s.IP != h.IP {
			continue
		}
		e.field("Counts", p.Sprintf("as a mail server: %s sent, %s received, %s failed, "+
			"%s deferred, %s waiting",
			p.Plural(s.Sent, "message", "messages"), p.Number(s.Received), p.Number(s.Failed),
			p.Number(s.Deferred), fmt.Sprint(s.Queue.Estimate)))
	}
}

func (e *evidence) clock(t report.Time) string { return clock(t, e.zone) }

// clock is a time to the second.
func clock(t report.Time, zone *time.Location) string {
	if t == 0 {
		return "–"
	}
	return t.In(zone).Format(time.DateTime)
}

// end is the end of a time that began at a; the day is not repeated.
func end(a, b report.Time, zone *time.Location) string {
	from, to := clock(a, zone), clock(b, zone)
	if len(from) == len(to) && from[:10] == to[:10] {
		return to[11:]
	}
	return to
}
