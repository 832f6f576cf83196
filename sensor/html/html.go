// Package html writes what a report says as HTML: one file that needs nothing else (Report), or its
// sections one by one for the page of a running sensor (Section). Both come from the same templates
// and the same report.Model.
//
// The result is complete without a script, makes no request, and has no style or script in
// attributes, so that a strict content security policy fits it. The texts of the templates and the
// sentences of the model are written in the language of the Renderer. Texts from the wire are
// escaped by html/template, and stand in <bdi>, so that their direction stays their own.
package html

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"regexp"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/picture"
	"spamsensor/sensor/report"
)

//go:embed templates/*.html
var files embed.FS

//go:embed style.css
var style string

// CSS is the style of all sections: a Report has it inside, a page serves it as a file.
var CSS = style + string(picture.CSS)

// Renderer writes HTML in a language. Several goroutines may use it.
type Renderer struct {
	lang  *lang.Printer
	pages *template.Template
}

// Options are the form of what is written.
type Options struct {
	// Zone is the time zone of the times; nil is UTC.
	Zone *time.Location
	// Links are those of a page of a running sensor: hosts and findings have pages of their own
	// (/host/IP, /finding/ID). Without it all links stay inside the file.
	Links bool
	// Query is what each of these links ends with: empty, or ?NAME=VALUE.
	Query string
	// Servers says that the mail servers have a page of their own: their headings are those of it.
	Servers bool
}

// New returns the renderer of a language; nil is English. more are further templates (*.html),
// which may use the sections and functions of this package.
func New(p *lang.Printer, more ...fs.FS) *Renderer {
	t := template.New("").Funcs(functions(p))
	t = template.Must(t.ParseFS(files, "templates/*.html"))
	for _, f := range more {
		t = template.Must(t.ParseFS(f, "*.html"))
	}
	return &Renderer{lang: p, pages: t}
}

// functions are those of the templates: t translates a text, f a format, s a finished sentence of
// the model, n and plural write numbers.
func functions(p *lang.Printer) template.FuncMap {
	return template.FuncMap{
		"t":      p.Text,
		"f":      p.Sprintf,
		"s":      func(s string) string { return together(p.Sentence(s)) },
		"n":      func(n any) string { return p.Number(count(n)) },
		"plural": func(n any, one, other string) string { return p.Plural(count(n), one, other) },
		"tag":    p.Tag,
		"css":    func() template.CSS { return template.CSS(CSS) },
	}
}

// units are units behind their numbers.
var units = regexp.MustCompile(`(\d) ((?:s|ms|h|kB|MB|GB|ko|Mo|Go)\b|%)`)

// together keeps a number and its unit in one line.
func together(s string) string { return units.ReplaceAllString(s, "$1\u00a0$2") }

// count is a number of the model as one type.
func count(n any) uint64 {
	switch n := n.(type) {
	case int:
		return uint64(max(n, 0))
	case uint32:
		return uint64(n)
	case uint64:
		return n
	}
	panic(fmt.Sprintf("a template counts with a %T", n))
}

// Report writes a report as one file.
func (r *Renderer) Report(w io.Writer, m *report.Model, o Options) error {
	v := r.View(m, o)
	data, left, err := embedded(m)
	if err != nil {
		return fmt.Errorf("the model of a report: %w", err)
	}
	v.Data, v.LeftOut = template.JS(data), left //nolint:gosec // json.Marshal escapes < and >
	return r.Section(w, "report", v)
}

// Section writes a section:
//
//	headline, contents, findings, pictures, servers, hosts, sessions, limits, about   of a View
//	finding, facts, advice, proof   of a Card
//	hostfacts   of a HostView
//	server    of a ServerView
func (r *Renderer) Section(w io.Writer, name string, data any) error {
	if err := r.pages.ExecuteTemplate(w, name, data); err != nil {
		return fmt.Errorf("section %s: %w", name, err)
	}
	return nil
}
