package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// settings are one text with settings: a configuration file, a --set option, or the name alone of
// another option.
type settings struct {
	name   string // file name, "--set key=value", or the option
	text   []byte
	tree   *ast.File // of text; nil before node was called
	isFile bool
	// replaces says that a list takes the place of the lists before it; otherwise it appends.
	replaces bool
}

// layers are the texts of a configuration. Later ones take precedence: a single value replaces the
// one before it, and a list appends to it unless the text replaces lists.
type layers struct {
	texts []*settings
	// items has the origin of each entry of a list that was merged, by the key of the list.
	items map[string][]origin
}

// origin is the place of an entry of a list: its text, and its number there.
type origin struct {
	text  *settings
	index int
}

// merge reads all texts strictly into one configuration. The errors are of one text each.
func (l *layers) merge() (f fileConfig, errs []error) {
	l.items = map[string][]origin{}
	for _, t := range l.texts {
		// Each text is read on its own: the library empties a group that it fills again.
		var one fileConfig
		if err := decode(t, &one); err != nil {
			errs = append(errs, err)
			continue
		}
		l.add(t, reflect.ValueOf(&f).Elem(), reflect.ValueOf(one), "")
	}
	return f, errs
}

// add adds to the group of settings with a key what a text has of it.
func (l *layers) add(t *settings, to, from reflect.Value, key string) {
	for i := range to.NumField() {
		at := under(key, to.Type().Field(i))
		old, value := to.Field(i), from.Field(i)
		isSet := !value.IsZero() || t.node(at) != nil
		switch {
		case value.Kind() == reflect.Struct:
			l.add(t, old, value, at)
		case value.Kind() == reflect.Slice && isSet:
			if t.replaces {
				old.SetZero()
				l.items[at] = nil
			}
			for i := range value.Len() {
				l.items[at] = append(l.items[at], origin{t, i})
			}
			old.Set(reflect.AppendSlice(old, value))
		case isSet:
			old.Set(value)
		}
	}
}

// under returns the key of a field of the group of settings with a key.
func under(key string, f reflect.StructField) string {
	return strings.TrimPrefix(key+"."+f.Tag.Get("yaml"), ".")
}

// append adds values of an option to a list.
func (l *layers) append(key, option string, list *textList, values []string) {
	if len(values) == 0 {
		return
	}
	t := &settings{name: option}
	for i, v := range values {
		*list = append(*list, v)
		l.items[key] = append(l.items[key], origin{t, i})
	}
}

// find returns the text that the setting with a key is from, and its path there. The text is nil if
// the setting has its default, and the path is empty if the text is an option.
func (l *layers) find(key string) (t *settings, path string) {
	list, rest, ok := strings.Cut(key, "[")
	if items, merged := l.items[list]; ok && merged {
		number, rest, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); err == nil && i < len(items) {
			at := items[i]
			if at.text.text == nil {
				return at.text, ""
			}
			return at.text, fmt.Sprintf("%s[%d]%s", list, at.index, rest)
		}
	}
	for i := len(l.texts) - 1; i >= 0; i-- {
		if l.texts[i].node(key) != nil {
			return l.texts[i], key
		}
	}
	if items := l.items[key]; len(items) > 0 && items[0].text.text == nil {
		return items[0].text, ""
	}
	return nil, ""
}

// node returns the node of a text with a path such as ignore[2].until, nil if there is none.
func (t *settings) node(path string) ast.Node {
	if len(t.text) == 0 {
		return nil
	}
	if t.tree == nil {
		tree, err := parser.ParseBytes(t.text, 0)
		if err != nil {
			tree = &ast.File{}
		}
		t.tree = tree
	}
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return nil
	}
	node, err := p.FilterFile(t.tree)
	if err != nil || node == nil || node.GetToken() == nil {
		return nil
	}
	return node
}
