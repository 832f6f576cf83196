package serve

import (
	_ "embed" // the page
	"html/template"
	"net/http"

	"spamsensor/sensor/status"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText []byte

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pageData is what the page shows.
type pageData struct {
	Sentence, Version, Sensor string
	Ready                     string // why the sensor does not do its work; empty if it does
	Problems                  []status.Health
}

// page writes the page.
func (a *asker) page(w http.ResponseWriter, cfg *Config) {
	s := a.ask()
	d := pageData{Version: cfg.Version}
	if err := s.ready(); err != nil {
		d.Ready = err.Error()
	}
	if s.status != nil {
		d.Sentence, d.Sensor, d.Problems = s.status.Sentence(), s.status.Sensor, s.status.Health
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	pageTemplate.Execute(w, &d)
}

// style writes the style sheet of the page.
func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Write(styleText)
}
