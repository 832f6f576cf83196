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
	name string // file name, "--set key=value", or the option
	text []byte
	tree *ast.File // of text; nil before node was called
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
	lists := listsOf(reflect.ValueOf(&f).Elem(), "")
	for _, t := range l.texts {
		// Each text is read with empty lists, so that nothing of the lists before it is lost.
		before := map[string]reflect.Value{}
		for key, v := range lists {
			before[key] = reflect.ValueOf(v.Interface())
			v.SetZero()
		}
		if err := decode(t, &f); err != nil {
			errs = append(errs, err)
		}
		for key, v := range lists {
			if v.IsNil() && t.node(key) == nil { // the text does not have it
				v.Set(before[key])
				continue
			}
			if t.replaces {
				before[key], l.items[key] = reflect.Zero(v.Type()), nil
			}
			for i := range v.Len() {
				l.items[key] = append(l.items[key], origin{t, i})
			}
			v.Set(reflect.AppendSlice(before[key], v))
		}
	}
	return f, errs
}

// listsOf returns the lists of a configuration that are in no other list, by their keys.
func listsOf(v reflect.Value, key string) map[string]reflect.Value {
	lists := map[string]reflect.Value{}
	switch v.Kind() {
	case reflect.Slice:
		lists[key] = v
	case reflect.Struct:
		for i := range v.NumField() {
			for k, list := range listsOf(v.Field(i), under(key, v.Type().Field(i))) {
				lists[k] = list
			}
		}
	}
	return lists
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
