package serve

import (
	"net/url"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/status"
)

// maxProblems bounds the problems that each page shows.
const maxProblems = 3

// Title is the title of the page: what the headline says.
func (s *Sheet) Title() string {
	switch {
	case s.Dead():
		return s.Printer.Text("The sensor does not answer")
	case !s.Known():
		return "spamsensor"
	}
	return s.Printer.Sentence(s.Headline.Sentence)
}

// Dead reports whether the sensor does not answer now.
func (s *Sheet) Dead() bool { return !s.silent.IsZero() }

// Since is when the sensor answered last.
func (s *Sheet) Since() string {
	at := s.silent.In(s.Zone)
	if now := s.now.at.In(s.Zone); at.YearDay() == now.YearDay() && at.Year() == now.Year() {
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

// Problems are the first problems of the sensor, MoreProblems how many there are beside them.
func (s *Sheet) Problems() []status.Health {
	return s.now.status.Health[:min(len(s.now.status.Health), maxProblems)]
}

// MoreProblems are the problems that Problems leaves out.
func (s *Sheet) MoreProblems() int { return max(0, len(s.now.status.Health)-maxProblems) }

// link is a link to a page of this server.
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

// Link is a link of the navigation. Here says that it is this page.
type Link struct {
	URL, Text string
	Here      bool
}

// Links are the pages.
func (s *Sheet) Links() []Link {
	var list []Link
	for _, x := range []struct{ kind, text string }{{"overview", s.Printer.Text("Overview")}} {
		q := s.question
		q.kind = x.kind
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
	return q.link(q.path(), url.Values{})
}

// LiveURL is where what changes of the page is told.
func (s *Sheet) LiveURL() string {
	v := url.Values{"page": {s.kind}, "lang": {s.lang}}
	if s.id != "" {
		v.Set("id", s.id)
	}
	return "/live?" + v.Encode()
}
