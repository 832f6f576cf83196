package main

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// settingYAML makes YAML of a --set option such as evidence.mail_from=full.
func settingYAML(s string) ([]byte, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return nil, &fault{Severity: "error", File: "--set " + printable(s),
			Text: "want key=value, for example evidence.mail_from=full"}
	}
	var b strings.Builder
	for i, k := range strings.Split(key, ".") {
		b.WriteString(strings.Repeat("  ", i) + k + ":")
		if i < strings.Count(key, ".") {
			b.WriteByte('\n')
		}
	}
	return []byte(b.String() + " " + value + "\n"), nil
}

// maxAliases bounds the growth of a small text: eight lists, each with nine aliases of the list
// before it, took two minutes to expand.
const maxAliases = 16

// decode reads one text strictly: an unknown key is an error with its line and column.
func decode(t *settings, into *fileConfig) (err error) {
	// The library panics on some invalid texts, such as a tag before a broken list.
	defer func() {
		if r := recover(); r != nil {
			err = t.fault(nil, "this is not valid YAML")
		}
		if err != nil {
			t.tree = &ast.File{} // to look for settings in it would be no use
		}
	}()
	if len(bytes.TrimSpace(t.text)) == 0 {
		return nil
	}
	if len(t.text) > maxConfig {
		return t.fault(nil, "a configuration of %d bytes (at most %d)", len(t.text), maxConfig)
	}
	aliases := 0
	for _, k := range lexer.Tokenize(string(t.text)) {
		if k.Type == token.AliasType {
			if aliases++; aliases > maxAliases {
				return t.fault(k.Position, "more than %d aliases", maxAliases)
			}
		}
	}
	err = yaml.UnmarshalWithOptions(t.text, into, yaml.Strict())
	var at yaml.Error
	switch {
	case err == nil:
		return t.oneDocument()
	case !errors.As(err, &at) || at.GetToken() == nil:
		return t.fault(nil, "%v", err)
	}
	return t.allFaults(at)
}

// libraryFault is an error of the library as a fault.
func (t *settings) libraryFault(at yaml.Error) *fault {
	f := t.fault(at.GetToken().Position, "%s", faultText(at))
	f.excerpt = excerpt(at)
	return f
}

// oneDocument refuses a text with several documents: the others would have no effect.
func (t *settings) oneDocument() error {
	t.node("") // parses the text
	documents := 0
	for _, d := range t.tree.Docs {
		if d.Body == nil {
			continue
		}
		if documents++; documents > 1 {
			return t.fault(d.Body.GetToken().Position,
				"a second document begins here (---); join the two")
		}
	}
	return nil
}

// fault makes an error about a place of a text; nil means the text as a whole.
func (t *settings) fault(at *token.Position, format string, args ...any) *fault {
	f := &fault{Severity: "error", File: t.name, Text: fmt.Sprintf(format, args...)}
	if at != nil {
		f.Line, f.Column = at.Line, at.Column
	}
	return f
}

// faultText says what is wrong at the place of an error, without the words of the library.
func faultText(at yaml.Error) string {
	var unknown *yaml.UnknownFieldError
	var mismatch *yaml.TypeError
	var node *yaml.UnexpectedNodeTypeError
	var overflow *yaml.OverflowError
	value := at.GetToken().Value
	switch {
	case errors.As(at, &unknown):
		return unknownText(value)
	case errors.As(at, &mismatch):
		return fmt.Sprintf("%q is not %s", value, valueKind(mismatch.DstType))
	case errors.As(at, &overflow):
		return fmt.Sprintf("%s is too large", overflow.SrcNum)
	case errors.As(at, &node):
		switch node.Expected {
		case ast.SequenceType:
			return "this is a list: write - before each entry, or [entry, entry]"
		case ast.MappingType:
			return "settings are missing here: write name: value"
		}
		return "this is a single value, and no list or settings"
	}
	return at.GetMessage()
}

// unknownText is the error for a key that no setting has.
func unknownText(key string) string {
	text := fmt.Sprintf("there is no setting %q here", key)
	if near := nearest(key, settingNames(reflect.TypeFor[fileConfig]())); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text
}

// valueKind is the kind of value that a setting of a type has.
func valueKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a group of settings"
	}
	return "a text"
}

// excerpt returns the lines around the place of an error, without the error's message.
func excerpt(e yaml.Error) string {
	_, source, _ := strings.Cut(e.FormatError(false, true), "\n")
	return printableLines(source)
}

// settingNames returns the names of all keys of a configuration type, nested ones included.
func settingNames(t reflect.Type) (names []string) {
	switch t.Kind() {
	case reflect.Slice:
		return settingNames(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			names = append(append(names, f.Tag.Get("yaml")), settingNames(f.Type)...)
		}
	}
	return names
}

// nearest returns the name with the least Levenshtein distance from s, or "" if every distance is
// above a third of the length of s and no name of four letters begins s.
func nearest(s string, names []string) (best string) {
	limit := max(1, len(s)/3) + 1
	for _, n := range names {
		if d := distance(s, n); d < limit {
			best, limit = n, d
		}
	}
	for _, n := range names {
		if best == "" && len(n) >= 4 && strings.HasPrefix(s, n) { // such as warn of warning
			best = n
		}
	}
	return best
}

// distance returns the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
