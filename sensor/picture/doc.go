// Package picture draws what a report shows as SVG: attempts over time, hosts by what they contact,
// the hours of a mail server, replies, the hours of a host, and the life of a finding.
//
// Each picture is a figure of HTML: a heading with a sentence that says what one sees, an image
// with title and description, a key, and its numbers as a table. There is no script and no
// attribute style, so that a strict content security policy holds. Colours are variables of [CSS],
// for light, dark and paper; kinds are told apart by shape and pattern too.
//
// Horizontal positions are percentages and vertical ones pixels: a picture fills the width that it
// has, and its texts keep their size on a telephone and on paper.
//
// Texts may come from the wire. They are escaped, cut to what fits, and whole in a title.
package picture

import (
	"bytes"
	"embed"
	"html/template"
	"strconv"
	"strings"
	"sync"
	"time"

	"spamsensor/sensor/lang"
)

//go:embed picture.css
var css string

//go:embed *.html
var files embed.FS

// CSS is the style sheet of the pictures. All of its selectors begin with the class picture.
var CSS = template.CSS(css)

// templates are parsed when the first picture is drawn: most runs of the command draw none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(files, "*.html"))
})

// Kind is the kind of a host.
type Kind int

// The kinds of hosts.
const (
	Other Kind = iota
	Declared
	Flagged // with a finding that is more than information
)

// figure is a picture with what belongs to it. All of its ids begin with ID.
type figure struct {
	ID, Title, Says string
	// Unit says what the vertical axis counts.
	Unit   string
	Height int
	// Class is "labels" if the labels at the left are words, "flat" if there are none.
	Class string
	Body  template.HTML
	Keys  []key
	Marks []string // the texts of the letters in the picture
	Notes []string
	Table table
	Fills []fill
	Words words
}

// words are the texts that every figure has.
type words struct{ Table string }

// key explains a shape. Shape is empty for an area.
type key struct {
	fill
	Shape, Text string
}

// fill is how an area is filled: with the colour of its class, and with a pattern that has an id
// where the class has one.
type fill struct{ ID, Class string }

// patterns are the classes with a pattern.
var patterns = map[string]bool{"others": true, "outside": true, "flagged": true, "deferred": true,
	"rejected": true, "recipients": true}

// fillOf is the fill of a class in the figure with the prefix id.
func fillOf(id, class string) fill {
	if patterns[class] {
		return fill{id + "-" + class, class}
	}
	return fill{"", class}
}

// table holds the numbers of a picture. Text columns are aligned to the left.
type table struct {
	Heads []head
	Rows  [][]string
}

type head struct {
	Text string
	Left bool
}

// execute runs a template. The templates and their data belong to the program: an error is a fault.
func execute(name string, data any) template.HTML {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
		panic(err)
	}
	return template.HTML(b.String())
}

// draw writes a figure.
func draw(p *lang.Printer, f *figure) template.HTML {
	f.Words = words{p.Text("Numbers as a table")}
	return execute("figure", f)
}

// empty is the figure without a picture: a sentence.
func empty(id, title, says string) template.HTML {
	return execute("empty", &figure{ID: prefix(id), Title: title, Says: says})
}

// prefix makes a text safe as an id.
func prefix(s string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, s)
	if id == "" || id[0] >= '0' && id[0] <= '9' || id[0] == '-' {
		return "p" + id
	}
	return id
}

// short writes a coordinate.
func short(f float64, decimals int) string {
	s := strconv.FormatFloat(f, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return strings.Replace(s, "0.", ".", min(1, strings.Count(s[:min(2, len(s))], "0.")))
}

// percent writes a horizontal position; f is between 0 and 1.
func percent(f float64) string { return short(100*f, 2) + "%" }

func location(z *time.Location) *time.Location {
	if z == nil {
		return time.UTC
	}
	return z
}
