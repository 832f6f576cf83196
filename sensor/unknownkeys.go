package main

import (
	"errors"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// maxUnknownKeys bounds the unknown keys of one text that are named; the others are counted.
const maxUnknownKeys = 20

// allFaults names every unknown key of a text that could not be decoded. The library names one of
// them, in no fixed order, and ends at the first value of a wrong type, which is named behind them.
func (t *settings) allFaults(first yaml.Error) error {
	var u unknownKeys
	t.node("") // parses the text
	for _, d := range t.tree.Docs {
		u.find(t, d.Body, reflect.TypeFor[fileConfig]())
	}
	if u.more > 0 {
		u.list = append(u.list, t.fault(nil, "%d other keys are no settings either", u.more))
	}
	var unknown *yaml.UnknownFieldError
	if errors.As(first, &unknown) {
		if len(u.list) == 0 {
			return t.libraryFault(first)
		}
		// The values were not looked at in full.
		var loose fileConfig
		if !errors.As(yaml.Unmarshal(t.text, &loose), &first) || first.GetToken() == nil {
			return errors.Join(u.list...)
		}
	}
	return errors.Join(append(u.list, t.libraryFault(first))...)
}

// unknownKeys collects the keys of a text that no setting has.
type unknownKeys struct {
	list []error
	more int // beyond maxUnknownKeys
}

// find looks for them in the value of a setting of a type. What an alias stands for is looked at
// where its anchor is.
func (u *unknownKeys) find(t *settings, n ast.Node, kind reflect.Type) {
	switch x := n.(type) {
	case *ast.AnchorNode:
		u.find(t, x.Value, kind)
	case *ast.TagNode:
		u.find(t, x.Value, kind)
	case *ast.SequenceNode:
		if kind.Kind() == reflect.Slice {
			for _, entry := range x.Values {
				u.find(t, entry, kind.Elem())
			}
		}
	case *ast.MappingValueNode:
		u.key(t, x, kind)
	case *ast.MappingNode:
		for _, v := range x.Values {
			u.key(t, v, kind)
		}
	}
}

// key looks at one key of a group of settings, and at its value.
func (u *unknownKeys) key(t *settings, v *ast.MappingValueNode, kind reflect.Type) {
	if kind.Kind() != reflect.Struct || v.Key.Type() == ast.MergeKeyType {
		return
	}
	at := v.Key.GetToken()
	for i := range kind.NumField() {
		if f := kind.Field(i); f.Tag.Get("yaml") == at.Value {
			u.find(t, v.Value, f.Type)
			return
		}
	}
	if len(u.list) == maxUnknownKeys {
		u.more++
		return
	}
	f := t.fault(at.Position, "%s", unknownText(at.Value))
	f.excerpt = excerptAt(at)
	u.list = append(u.list, f)
}
