package serve

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"spamsensor/sensor/html"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

//go:embed page
var files embed.FS

// pages draws the pages. Each is made of sections, which are drawn one by one, so that those that
// look live get only what has changed.
type pages struct {
	watch   *watch
	version string
	draw    map[string]*html.Renderer
	script  []byte
	style   []byte
	icon    []byte
}

func newPages(cfg *Config, w *watch) *pages {
	templates, err := fs.Sub(files, "page")
	if err != nil {
		panic(err)
	}
	read := func(name string) []byte {
		b, err := fs.ReadFile(templates, name)
		if err != nil {
			panic(err) // it is part of the program
		}
		return b
	}
	p := &pages{watch: w, version: cfg.Version, draw: map[string]*html.Renderer{},
		script: read("app.js"), icon: read("icon.svg"),
		style: append([]byte(html.CSS), read("page.css")...)}
	for _, tag := range []string{lang.English, lang.French} {
		p.draw[tag] = html.New(lang.New(tag), templates)
	}
	return p
}

// routes adds the pages to a mux.
func (p *pages) routes(mux *http.ServeMux) {
	for path, kind := range map[string]string{"/{$}": "overview", "/finding/{id...}": "finding"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.write(w, r, p.question(r, kind, r.PathValue("id"), r.URL.Query()))
		})
	}
	for path, file := range map[string]struct {
		text []byte
		kind string
	}{"/app.js": {p.script, "text/javascript"}, "/style.css": {p.style, "text/css"},
		"/icon.svg": {p.icon, "image/svg+xml"}} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file.kind+"; charset=utf-8")
			w.Write(file.text)
		})
	}
}

// kinds are the sections of each page, in their order.
var kinds = map[string][]string{
	"overview": {"state", "verdict", "cases", "pictures", "mailservers", "table", "unknown"},
	"finding":  {"state", "case"},
}

// question is what a page is asked for.
type question struct {
	kind, id string
	lang     string
	chosen   bool // the language, by the question itself
}

// question reads a request for a page. Values that are not known mean their default.
func (p *pages) question(r *http.Request, kind, id string, v url.Values) question {
	q := question{kind: kind, id: id, lang: v.Get("lang")}
	if q.chosen = p.draw[q.lang] != nil; !q.chosen {
		q.lang = lang.Match(r.Header.Get("Accept-Language"))
	}
	return q
}

// Sheet is a page as its templates see it.
type Sheet struct {
	*html.View
	question
	*view
	Printer *lang.Printer
	Version string
	Zone    *time.Location
}

// Section is a part of a page.
type Section struct {
	Name, Hash string
	HTML       template.HTML
}

// sheet prepares a page. Its model has nothing while none was heard of.
func (p *pages) sheet(q question, v *view) *Sheet {
	m := v.model
	if m == nil {
		m = &report.Model{}
	}
	s := &Sheet{question: q, view: v, Printer: lang.New(q.lang), Version: p.version,
		Zone: time.Local}
	s.View = p.draw[q.lang].View(m, html.Options{Zone: s.Zone, Links: true})
	return s
}

// sections draws the sections of a page.
func (p *pages) sections(s *Sheet) ([]Section, error) {
	var list []Section
	for _, name := range kinds[s.kind] {
		var b bytes.Buffer
		if err := p.draw[s.lang].Section(&b, "page-"+name, s); err != nil {
			return nil, err
		}
		h := fnv.New64a()
		h.Write(b.Bytes())
		list = append(list, Section{name, fmt.Sprintf("%016x", h.Sum64()),
			template.HTML(b.String())}) //nolint:gosec // a template wrote it
	}
	return list, nil
}

// write answers with a page.
func (p *pages) write(w http.ResponseWriter, _ *http.Request, q question) {
	s := p.sheet(q, p.watch.look())
	list, err := p.sections(s)
	var b bytes.Buffer
	if err == nil {
		err = p.draw[q.lang].Section(&b, "page", struct {
			*Sheet
			Sections []Section
		}{s, list})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", q.lang)
	if s.isMissing() {
		w.WriteHeader(http.StatusNotFound)
	}
	w.Write(b.Bytes())
}

// isMissing reports whether what the page is about is not known.
func (s *Sheet) isMissing() bool { return s.kind == "finding" && s.Known() && s.Case() == nil }

// Known reports whether the sensor has said anything yet.
func (s *Sheet) Known() bool { return s.model != nil }

// Case is the finding that the page is about; nil if there is none.
func (s *Sheet) Case() *html.Card { return s.Card(s.id) }
