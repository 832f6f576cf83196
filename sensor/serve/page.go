package serve

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"spamsensor/sensor/html"
	"spamsensor/sensor/lang"
)

//go:embed page
var files embed.FS

// maxDrawn bounds the pages that are kept while there is no newer view.
const maxDrawn = 2 * maxViewers

// pages draws the pages. Each is made of sections, which are drawn one by one, so that those that
// look live get only what has changed.
type pages struct {
	watch   *watch
	details details
	version string
	draw    map[string]*html.Renderer

	mu    sync.Mutex
	of    *view // whose pages are kept
	drawn map[question][]Section
	old   map[question][]Section // of the view before, if it has the same model
}

func newPages(cfg *Config, w *watch) *pages {
	p := &pages{watch: w, details: details{asker: w.asker}, version: cfg.Version,
		draw: map[string]*html.Renderer{}}
	templates, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, tag := range []string{lang.English, lang.French} {
		p.draw[tag] = html.New(lang.New(tag), templates)
	}
	return p
}

// kinds are the pages by the first word of their path, each with its sections in their order.
var kinds = map[string][]string{
	"overview": {"state", "verdict", "cases", "course", "table", "others"},
	"finding":  {"state", "case"},
	"host":     {"state", "machine"},
	"servers":  {"state", "mailservers"},
	"mirror":   {"state", "mirror"},
	"settings": {"state", "settings"},
}

// routes adds the pages to a mux.
func (p *pages) routes(mux *http.ServeMux) {
	for path, kind := range map[string]string{"/{$}": "overview", "/finding/{id...}": "finding",
		"/host/{id}": "host", "/servers": "servers", "/mirror": "mirror",
		"/settings": "settings"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.write(w, r, p.question(r, kind, r.PathValue("id"), r.URL.Query()))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, http.StatusNotFound, noPage)
	})
	for name, kind := range map[string]string{"app.js": "text/javascript", "style.css": "text/css",
		"icon.svg": "image/svg+xml"} {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			panic(err)
		}
		if name == "style.css" {
			text = append([]byte(html.CSS), text...)
		}
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			compressed(w, r, http.StatusOK, text)
		})
	}
}

// noPage is the answer where there is none.
const noPage = "there is no such page"

// fail answers with an error. A person gets it in the language of the browser, a program in
// English.
func fail(w http.ResponseWriter, r *http.Request, code int, format string, args ...any) {
	tag := lang.English
	if !isForPrograms(r.URL.Path) {
		tag = language(r, r.URL.Query())
		w.Header().Set("Vary", "Accept-Language")
	}
	w.Header().Set("Content-Language", tag)
	http.Error(w, lang.New(tag).Sprintf(format, args...), code)
}

// isForPrograms reports whether programs ask for a path.
func isForPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/-/") || path == "/metrics"
}

// language is the one that a request asks for: by lang, or by the header of a browser.
func language(r *http.Request, v url.Values) string {
	if tag := v.Get("lang"); tag == lang.English || tag == lang.French {
		return tag
	}
	return lang.Match(r.Header.Get("Accept-Language"))
}

// question is what a page is asked for.
type question struct {
	kind, id string
	lang     string
	chosen   bool   // the language, by the question itself
	find     string // a part of the address of a host, of its MAC address or of its name
	sort     string // of the hosts; empty is the worst first
	span     string // of the picture of the attempts
}

// maxFind bounds what is looked for.
const maxFind = 64

// question reads a request for a page. Values that are not known mean their default.
func (p *pages) question(r *http.Request, kind, id string, v url.Values) question {
	q := question{kind: kind, id: id, lang: language(r, v), sort: v.Get("sort"),
		span: v.Get("range")}
	q.chosen = q.lang == v.Get("lang")
	if kind != "overview" {
		q.sort, q.span = "", ""
		return q
	}
	if orders[q.sort] == nil && q.sort != "address" {
		q.sort = ""
	}
	if spans[q.span] == 0 {
		q.span = ""
	}
	q.find = strings.ToValidUTF8(strings.TrimSpace(v.Get("q")), "")
	q.find = strings.ToLower(q.find[:min(len(q.find), maxFind)])
	return q
}

// Section is a part of a page.
type Section struct {
	Name, Hash string
	HTML       template.HTML
}

// sections returns the sections of a page of a view. They are drawn once for all who ask.
func (p *pages) sections(q question, v *view) ([]Section, error) {
	d := p.details.of(q, v)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of != v {
		p.old = nil
		if p.of != nil && p.of.model == v.model {
			p.old = p.drawn
		}
		p.of, p.drawn = v, map[question][]Section{}
	}
	if list := p.drawn[q]; list != nil {
		return list, nil
	}
	s := p.sheet(q, v)
	s.detail = d
	list, err := p.fresh(s, p.old[q])
	if err == nil && len(p.drawn) < maxDrawn {
		p.drawn[q] = list
	}
	return list, err
}

// restless are the sections that show more than the model.
var restless = map[string]bool{"state": true, "machine": true, "mirror": true, "settings": true}

// fresh draws the sections of a page. What shows nothing but the model is taken from old, the
// sections of the same page with the same model.
func (p *pages) fresh(s *Sheet, old []Section) ([]Section, error) {
	var list []Section
	for i, name := range kinds[s.kind] {
		if old != nil && !restless[name] {
			list = append(list, old[i])
			continue
		}
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
func (p *pages) write(w http.ResponseWriter, r *http.Request, q question) {
	v := p.watch.look()
	s := p.sheet(q, v)
	list, err := p.sections(q, v)
	var b bytes.Buffer
	if err == nil {
		err = p.draw[q.lang].Section(&b, "page", struct {
			*Sheet
			Sections []Section
		}{s, list})
	}
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "the page cannot be drawn: %v", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", q.lang)
	code := http.StatusOK
	if s.isMissing() {
		code = http.StatusNotFound
	}
	compressed(w, r, code, b.Bytes())
}

// compressed writes an answer, compressed if the client takes that.
func compressed(w http.ResponseWriter, r *http.Request, code int, text []byte) {
	h := w.Header()
	h.Set("Vary", "Accept-Encoding, Accept-Language")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.WriteHeader(code)
		w.Write(text)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	z := gzip.NewWriter(w)
	z.Write(text)
	z.Close()
}
