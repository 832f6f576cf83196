package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"spamsensor/sensor/detect"
)

const exampleConfig = "spamsensor.example.yaml"

// The example configuration is valid, has every key, and explains each.
func TestExampleConfig(t *testing.T) {
	c, err := loadConfig(&options{file: exampleConfig})
	if err != nil {
		t.Fatal(err)
	}
	if c.engine.Detect != detect.DefaultConfig() {
		t.Errorf("the thresholds are %+v, want the defaults: %+v", c.engine.Detect, detect.DefaultConfig())
	}
	text, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range missingKeys(reflect.TypeFor[fileConfig](), got, "") {
		t.Errorf("%s is missing", path)
	}
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		_, value, isKey := strings.Cut(l, ": ")
		explained := strings.Contains(l, "#") || i > 0 && strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#")
		if isKey && value != "" && !explained && !strings.Contains(l, "role: mailserver") {
			t.Errorf("line %d has no comment: %s", i+1, l)
		}
	}
}

// missingKeys returns the paths of the keys of a configuration type that a decoded text lacks.
func missingKeys(t reflect.Type, got any, path string) (missing []string) {
	switch t.Kind() {
	case reflect.Slice:
		list, _ := got.([]any)
		if len(list) == 0 {
			return []string{path + "[0]"}
		}
		return missingKeys(t.Elem(), list[0], path+"[0]")
	case reflect.Struct:
		keys, _ := got.(map[string]any)
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Tag.Get("yaml")
			at := strings.TrimPrefix(path+"."+name, ".")
			value, ok := keys[name]
			if !ok {
				missing = append(missing, at)
				continue
			}
			missing = append(missing, missingKeys(f.Type, value, at)...)
		}
	}
	return missing
}
