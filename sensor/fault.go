package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/printer"
	"github.com/goccy/go-yaml/token"

	"spamsensor/sensor/lang"
)

// fault is one error or warning about the configuration, with its place.
type fault struct {
	Severity string `json:"severity"`         // error or warning
	File     string `json:"file,omitempty"`   // or an option such as "--home"
	Line     int    `json:"line,omitempty"`   // from 1 on, else 0
	Column   int    `json:"column,omitempty"` // the same
	Key      string `json:"key,omitempty"`    // such as detect.fast_time
	Text     string `json:"text"`
	excerpt  string // the lines around the place, with a mark under it
}

// Error implements error: "FILE:LINE:COLUMN: TEXT", and the excerpt below it.
func (f *fault) Error() string { return f.in(nil) }

// in is Error in a language. The place, the name of the setting and the excerpt stay as they are.
func (f *fault) in(p *lang.Printer) string {
	text := sentence(p, f.Text)
	switch {
	case f.Line > 0:
		return strings.TrimRight(fmt.Sprintf("%s:%d:%d: %s\n%s", f.File, f.Line, f.Column, text,
			f.excerpt), "\n")
	case f.File != "" || f.Key != "":
		return p.Sprintf("%s: %s", cmp.Or(f.File, f.Key), text)
	}
	return text
}

// settingName is the name of a setting before what is wrong with it.
var settingName = regexp.MustCompile(`^[a-z0-9_.\[\]]+: `)

// sentence translates a sentence that the name of a setting may stand before.
func sentence(p *lang.Printer, s string) string {
	name := settingName.FindString(s)
	if text := p.Sentence(s[len(name):]); text != s[len(name):] {
		return name + text
	}
	return p.Sentence(s)
}

// errorText is an error in a language. Of several ones each is translated by itself.
func errorText(p *lang.Printer, err error) string {
	if f, ok := err.(*fault); ok {
		return f.in(p)
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(several.Unwrap()...).Error() != err.Error() { // it has a text of its own
		return sentence(p, err.Error())
	}
	var texts []string
	for _, e := range several.Unwrap() {
		texts = append(texts, errorText(p, e))
	}
	return strings.Join(texts, "\n")
}

// faultsOf returns the faults of an error of loadConfig.
func faultsOf(err error) (list []*fault) {
	var f *fault
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			list = append(list, faultsOf(e)...)
		}
	case errors.As(err, &f):
		list = append(list, f)
	default:
		list = append(list, &fault{Severity: "error", Text: err.Error()})
	}
	return list
}

// fault makes a fault about the setting with a key such as ignore[2].until. Its place is the last
// text that has the key. A part that is missing in an entry of a list has the place of the entry.
func (l *layers) fault(severity, key, format string, args ...any) *fault {
	f := &fault{Severity: severity, Key: key, Text: fmt.Sprintf(format, args...)}
	t, path := l.find(key)
	if t == nil {
		return f
	}
	f.File = t.name
	for ; path != ""; path = path[:max(0, strings.LastIndexAny(path, ".["))] {
		node := t.node(path)
		if node == nil {
			continue
		}
		at := node.GetToken().Position
		f.Line, f.Column = at.Line, at.Column
		if severity == "warning" { // in one line
			break
		}
		f.excerpt = excerptAt(node.GetToken())
		break
	}
	return f
}

// excerptAt returns the lines around a place of a text, with a mark under it.
func excerptAt(at *token.Token) string {
	var p printer.Printer
	return printableLines(p.PrintErrorToken(at, false))
}

// printableLines is printable for each line of a text.
func printableLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}
