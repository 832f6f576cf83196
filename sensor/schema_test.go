package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is the schema that check --schema prints, as a library reads it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	code, out, said := checked(t, "check", "--schema")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, said)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4) // the schema names its own
	if err := c.AddResource("config.json", v); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	if s.DraftVersion != 2020 {
		t.Errorf("the draft is %d", s.DraftVersion)
	}
	return s
}

// TestCheckSchema checks that the schema accepts what the sensor accepts, and refuses the usual
// mistakes.
func TestCheckSchema(t *testing.T) {
	s := compiled(t)
	_, printed, _ := checked(t, "check", "--print")
	for _, c := range []struct {
		good bool
		text string
	}{
		{true, string(exampleText)},
		{true, printed},
		{true, "{}"},
		{true, "sensor:\nlimits: {memory: 1073741824, flows: 0}\n"},
		{true, "home_net: 10.0.0.0/8\nsmtp_servers: [10.0.0.25, {ip: 10.0.0.26, role: nat}]\n"},
		{true, "capture: {ports: [25, 2500-2502, \"587\"], buffer: 1.5MiB}\n"},
		{true, "output: {source_interval: 1h30m}\nhome_net: [\"fe80::1%eth0\"]\n"},
		{false, "home_nets: [10.0.0.0/8]"},
		{false, "log: {level: warning}"},
		{false, "smtp_servers: [{ip: 10.0.0.1, role: relay}]"},
		{false, "smtp_servers: [{name: mail}]"},
		{false, "ignore: [{ip: 10.0.0.1}]"},
		{false, "ignore: [{ip: 10.0.0.1, why: x, until: tomorrow}]"},
		{false, "ignore: {ip: 10.0.0.1, why: x}"},
		{false, "detect: {fast_time: 5x}"},
		{false, "detect: {alpha: much}"},
		{false, "detect: {many_networks: 2.5}"},
		{false, "capture: {snaplen: -1}"},
		{false, "capture: {buffer: 10MX}"},
		{false, "capture: {separate_vlans: 3}"},
		{false, "capture: 5"},
		{false, "home_net: [mail.example.org]"},
		{false, "local_domains: [a@example.org]"},
	} {
		var v any
		if err := yaml.Unmarshal([]byte(c.text), &v); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		v, _ = jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
		if err := s.Validate(v); (err == nil) != c.good {
			t.Errorf("good %v: %.200s: %v", c.good, c.text, err)
		}
		if err := decode(&settings{text: []byte(c.text)}, new(fileConfig)); c.good && err != nil {
			t.Errorf("the sensor refuses %.200s: %v", c.text, err)
		}
	}
}

// TestConfigDescribed checks that the schema has a description of each key, and a default of each
// key that has one.
func TestConfigDescribed(t *testing.T) {
	s, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	var walk func(s jsonSchema, key string)
	walk = func(s jsonSchema, key string) {
		for _, one := range append([]jsonSchema{s}, anyOf(s)...) {
			if items, ok := one["items"].(jsonSchema); ok {
				walk(items, key+"[]")
			}
			properties, _ := one["properties"].(jsonSchema)
			for name, p := range properties {
				at := strings.TrimPrefix(key+"."+name, ".")
				p := p.(jsonSchema)
				if d, _ := p["description"].(string); d == "" && p["properties"] == nil {
					t.Errorf("%s has no description: it lacks a comment in %s", at, exampleConfig)
				}
				_, hasDefault := p["default"]
				isScalar := p["properties"] == nil && p["items"] == nil && p["anyOf"] == nil
				if isScalar && !hasDefault && whenEmpty[at] == "" && !strings.Contains(at, "[") &&
					p["type"] != "boolean" && at != "sensor.name" {
					t.Errorf("%s has no default in inForce, and no text in whenEmpty", at)
				}
				walk(p, at)
			}
		}
	}
	walk(s, "")
}

func anyOf(s jsonSchema) []jsonSchema {
	list, _ := s["anyOf"].([]jsonSchema)
	return list
}

// TestConfigDefaults checks that the values of the example that are no samples are the defaults.
func TestConfigDefaults(t *testing.T) {
	l := &layers{texts: []*settings{{name: exampleConfig, text: exampleText}}}
	if _, errs := l.merge(); errs != nil {
		t.Fatal(errs)
	}
	c, err := loadConfig(&options{})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(exampleText), "\n")
	for _, key := range keyPaths(reflect.TypeFor[fileConfig](), "") {
		if strings.Contains(key, "[") || strings.HasPrefix(key, "output.sessions") {
			continue
		}
		node := l.texts[0].node(key)
		if node == nil {
			t.Errorf("%s is not in the example", key)
			continue
		}
		if strings.Contains(lines[node.GetToken().Position.Line-1], "# sample") {
			continue
		}
		if got := fieldOf(reflect.ValueOf(c.inForce()), key); got != node.GetToken().Value &&
			whenEmpty[key] != node.GetToken().Value {
			t.Errorf("%s is %s by default, and %s in the example", key, got, node.GetToken().Value)
		}
	}
}

// fieldOf is the value of a key as a text.
func fieldOf(v reflect.Value, key string) string {
	name, rest, nested := strings.Cut(key, ".")
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			if nested {
				return fieldOf(v.Field(i), rest)
			}
			return strings.Trim(scalar(v.Field(i).Interface()), `"`)
		}
	}
	return ""
}
