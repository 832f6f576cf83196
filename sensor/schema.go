package main

import (
	_ "embed" // the example file
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// exampleText is the example file: it has every key, and its comments describe them.
//
//go:embed spamsensor.example.yaml
var exampleText []byte

// printSchema writes the JSON Schema of the configuration.
func (a *app) printSchema() error {
	s, err := newSchema()
	if err != nil {
		return exit(exitInternal, err)
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// jsonSchema is a part of a JSON Schema (2020-12).
type jsonSchema map[string]any

// schemaMaker makes the schema of the configuration's structs.
type schemaMaker struct {
	kinds    map[string]valueForm // by key
	comments yaml.CommentMap      // of the example, by path
}

// newSchema makes the schema of fileConfig by reflection. The forms of values are those that the
// resolver asks for, and the descriptions are the comments of the example.
func newSchema() (jsonSchema, error) {
	m := schemaMaker{kinds: map[string]valueForm{}, comments: yaml.CommentMap{}}
	l := &layers{texts: []*settings{{name: "the example", text: exampleText}}}
	f, errs := l.merge()
	var any map[string]any
	err := yaml.UnmarshalWithOptions(exampleText, &any, yaml.CommentToMap(m.comments))
	if err != nil {
		errs = append(errs, err)
	}
	defaults, err := loadConfig(&options{})
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("the example file: %w", errs[0])
	}
	r := resolver{layers: l, kinds: m.kinds}
	r.resolve(&f)
	s := m.of(reflect.ValueOf(defaults.inForce()), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "The configuration of spamsensor"
	return s, nil
}

// required are the keys that an entry of a list must have.
var required = map[string][]string{"ignore[]": {"ip", "why"}, "smtp_servers[]": {"ip"},
	"notify[]": {"kind"}}

// of makes the schema of a value; the value itself is the default.
func (m *schemaMaker) of(v reflect.Value, key string) jsonSchema {
	var s jsonSchema
	switch v.Kind() {
	case reflect.Struct:
		properties := jsonSchema{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			properties[f.Tag.Get("yaml")] = m.of(v.Field(i), under(key, f))
		}
		s = jsonSchema{"type": []string{"object", "null"}, "properties": properties,
			"additionalProperties": false}
		if keys := required[key]; keys != nil {
			s["required"] = keys
		}
		if v.Type() == reflect.TypeFor[serverConfig]() { // an address alone is one, too
			s = jsonSchema{"anyOf": []jsonSchema{m.text(key + ".ip"), s}}
		}
	case reflect.Slice:
		items := m.of(reflect.New(v.Type().Elem()).Elem(), key+"[]")
		s = jsonSchema{"type": []string{"array", "null"}, "items": items}
		if v.Type() == reflect.TypeFor[textList]() { // a text alone is a list of one
			s = jsonSchema{"anyOf": []jsonSchema{items, s}}
		}
	case reflect.Int:
		s = jsonSchema{"type": "integer", "minimum": 0}
	case reflect.Float64:
		s = jsonSchema{"type": "number", "minimum": 0}
	case reflect.Bool:
		s = jsonSchema{"type": "boolean"}
	default:
		s = m.text(key)
	}
	if d := m.description(key); d != "" && !strings.HasSuffix(key, "[]") {
		s["description"] = d
	}
	isScalar := v.Kind() != reflect.Struct && v.Kind() != reflect.Slice
	if isScalar && !v.IsZero() && key != "sensor.name" { // the name depends on the machine
		s["default"] = v.Interface()
	}
	return s
}

// patterns are the regular expressions of texts, by the method of resolver that reads them. They
// are for editors: the resolver is stricter.
var patterns = map[string]string{
	"duration": `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`,
	"bytes":    `^[0-9]+(\.[0-9]+)? *(B|K|KiB|M|MiB|G|GiB|kB|KB|MB|GB)?$`,
	"prefix":   `^[0-9a-fA-F:.]+(%[^/]+)?(/[0-9]{1,3})?$`,
	"addr":     `^[0-9a-fA-F:.]+(%.+)?$`,
	"domain":   `^[^ @/]+$`,
	"date":     `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`,
	"port":     `^[0-9]{1,5}(-[0-9]{1,5})?$`,
}

// text makes the schema of a text.
func (m *schemaMaker) text(key string) jsonSchema {
	form := m.kinds[key]
	pattern := patterns[form.kind]
	switch form.kind {
	case "":
		return jsonSchema{"type": "string"}
	case "oneOf":
		return jsonSchema{"enum": form.values}
	case "bytes", "port": // a number is one, too
		return jsonSchema{"type": []string{"string", "integer"}, "pattern": pattern, "minimum": 1}
	case "duration", "date": // empty is absent
		pattern = "^$|" + pattern
	}
	return jsonSchema{"type": "string", "pattern": pattern}
}

// description returns the comment of a key in the example, without the word sample.
func (m *schemaMaker) description(key string) string {
	var texts []string
	for _, c := range m.comments["$."+strings.ReplaceAll(key, "[]", "[0]")] {
		for _, t := range c.Texts {
			t = strings.TrimSpace(t)
			if c.Position == yaml.CommentLinePosition {
				t = strings.TrimPrefix(strings.TrimPrefix(t, "sample"), ": ")
			}
			if t != "" {
				texts = append(texts, t)
			}
		}
	}
	return strings.Join(texts, " ")
}
