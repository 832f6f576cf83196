package serve

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"spamsensor/sensor/html"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// Sheet is a page as its templates see it.
type Sheet struct {
	*html.View
	question
	*view
	Printer  *lang.Printer
	Program  string // its version
	Zone     *time.Location
	renderer *html.Renderer
	detail   *detail
}

// sheet prepares a page. Its model has nothing while none was heard of.
func (p *pages) sheet(q question, v *view) *Sheet {
	m := v.model
	if m == nil {
		m = &report.Model{}
	}
	s := &Sheet{question: q, view: v, Printer: lang.New(q.lang), Program: p.version,
		Zone: time.Local, renderer: p.draw[q.lang]}
	s.View = s.renderer.View(m, s.options())
	return s
}

// options are how the sections of a page are drawn.
func (s *Sheet) options() html.Options {
	return html.Options{Zone: s.Zone, Links: true, Query: s.Query(), Servers: s.kind == "servers"}
}

// Known reports whether the sensor has said anything yet.
func (s *Sheet) Known() bool { return s.model != nil }

// Case is the finding that the page is about; nil if there is none.
func (s *Sheet) Case() *html.Card {
	if s.kind != "finding" {
		return nil
	}
	return s.Card(s.id)
}

// Machine is the host that the page is about; nil if there is none.
func (s *Sheet) Machine() *html.HostView {
	ip, err := netip.ParseAddr(s.id)
	if s.kind != "host" || err != nil {
		return nil
	}
	if h := s.HostOf(ip); h != nil {
		return h
	}
	for i := range s.Findings { // the model has the worst hosts only
		if f := &s.Findings[i]; f.IP == ip {
			return s.Shown(&f.Host)
		}
	}
	return nil
}

// isMissing reports whether what the page is about is not known.
func (s *Sheet) isMissing() bool {
	return s.Known() && (s.kind == "finding" && s.Case() == nil ||
		s.kind == "host" && s.Machine() == nil)
}

// Title is the title of the page: what it is about, or what the headline says.
func (s *Sheet) Title() string {
	switch {
	case s.Dead():
		return s.Printer.Text("The sensor does not answer")
	case s.Case() != nil:
		c := s.Case()
		return c.Called() + " " + s.Printer.Sentence(c.What)
	case s.Machine() != nil:
		return s.Machine().Called()
	case !s.Known():
		return "spamsensor"
	}
	return s.Printer.Sentence(s.Headline.Sentence)
}

// Dead reports whether the sensor does not answer now.
func (s *Sheet) Dead() bool { return !s.silent.IsZero() }

// Since is when the sensor answered last.
func (s *Sheet) Since() string { return s.stamp(s.silent) }

// stamp is a time; the day only if it is not today.
func (s *Sheet) stamp(t time.Time) string {
	at, now := t.In(s.Zone), s.now.at.In(s.Zone)
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// Why says why the sensor does not answer.
func (s *Sheet) Why() string { return s.now.err.Error() }

// NotReady says why a sensor that answers does not do its work; empty if it does.
func (s *Sheet) NotReady() string {
	if err := s.now.ready(); err != nil {
		return err.Error()
	}
	if s.err != nil {
		return s.err.Error()
	}
	return ""
}

// maxProblems bounds the problems that each page shows.
const maxProblems = 2

// Problems are the first problems of the sensor. The page of the mirror port has all of them.
func (s *Sheet) Problems() []status.Health {
	list := s.now.status.Health
	if s.kind == "mirror" {
		return list
	}
	return list[:min(len(list), maxProblems)]
}

// MoreProblems are the problems that Problems leaves out.
func (s *Sheet) MoreProblems() int { return len(s.now.status.Health) - len(s.Problems()) }

// Told is a problem with what to do, in sentences.
func (s *Sheet) Told(h status.Health) string {
	text := capital(s.Printer.Sentence(h.Text))
	if h.Hint == "" {
		return text
	}
	return text + ". " + capital(s.Printer.Sentence(h.Hint))
}

// capital begins a text with a capital letter.
func capital(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// link is a link to a page of this server. It keeps a language that was chosen.
func (q *question) link(path string, values url.Values) string {
	if q.chosen {
		values.Set("lang", q.lang)
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// Query is the part of a link that keeps the language.
func (q *question) Query() string { return strings.TrimPrefix(q.link("/", url.Values{}), "/") }

// path is the path of the page.
func (q *question) path() string {
	switch q.kind {
	case "overview":
		return "/"
	case "finding", "host":
		return "/" + q.kind + "/" + url.PathEscape(q.id)
	}
	return "/" + q.kind
}

// values are what the page was asked for beside its path and its language.
func (q *question) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.find, "sort": q.sort, "range": q.span} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// Link is a link of a list of which one is the page itself: Here.
type Link struct {
	URL, Text string
	Here      bool
}

// Links are the pages.
func (s *Sheet) Links() []Link {
	var list []Link
	for _, x := range []struct{ kind, text string }{{"overview", s.Printer.Text("Overview")},
		{"servers", s.Printer.Text("Mail servers")}, {"mirror", s.Printer.Text("Mirror port")},
		{"settings", s.Printer.Text("Settings")}} {
		q := question{kind: x.kind, lang: s.lang, chosen: s.chosen}
		list = append(list, Link{q.link(q.path(), url.Values{}), x.text, s.kind == x.kind})
	}
	return list
}

// OtherTag is the language that the page is not written in.
func (s *Sheet) OtherTag() string {
	if s.lang == lang.French {
		return lang.English
	}
	return lang.French
}

// OtherName is the name of that language in it.
func (s *Sheet) OtherName() string {
	return map[string]string{lang.English: "English", lang.French: "Français"}[s.OtherTag()]
}

// OtherURL is this page in that language.
func (s *Sheet) OtherURL() string {
	q := s.question
	q.lang, q.chosen = s.OtherTag(), true
	return q.link(q.path(), q.values())
}

// LiveURL is where what changes of the page is told.
func (s *Sheet) LiveURL() string {
	v := s.values()
	v.Set("page", s.kind)
	v.Set("lang", s.lang)
	if s.id != "" {
		v.Set("id", s.id)
	}
	if s.chosen {
		v.Set("chosen", "1")
	}
	return "/live?" + v.Encode()
}
