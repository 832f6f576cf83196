package event

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestREADME validates each example of README.md against the schema, and checks that the README
// explains every field of the schema in the section of its event.
func TestREADME(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var examples []string // the types of the examples
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(b),
		-1) {
		event, err := jsonschema.UnmarshalJSON(strings.NewReader(m[1]))
		if err != nil {
			t.Fatalf("%v in\n%s", err, m[1])
		}
		if err := schema.Validate(event); err != nil {
			t.Errorf("%v: %s", err, m[1])
		}
		examples = append(examples, event.(map[string]any)["event_type"].(string))
	}
	common, _, _ := strings.Cut(string(b), "\n## session\n")
	for kind := range Types {
		if !slices.Contains(examples, kind.String()) {
			t.Errorf("there is no example of %s", kind)
		}
		_, section, ok := strings.Cut(string(b), "\n## "+kind.String()+"\n")
		if !ok {
			t.Errorf("there is no section on %s", kind)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		if kind == FindingEvent { // the counts of a finding are those of a source
			_, counts, _ := strings.Cut(string(b), "\n## source\n")
			section += counts
		}
		prose := regexp.MustCompile("(?s)```json\n.*?```").ReplaceAllString(common+section, "")
		for _, name := range schemaFields(t, kind.String()) {
			if !strings.Contains(prose, "`"+name+"`") && !strings.Contains(prose, "."+name+"`") {
				t.Errorf("the field %s of %s is not explained", name, kind)
			}
		}
	}
}

// schemaFields lists the names of all fields of an event, also of the objects in it.
func schemaFields(t *testing.T, kind string) (names []string) {
	b, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage
		Items      json.RawMessage
	}
	var root struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	var list func(raw json.RawMessage)
	list = func(raw json.RawMessage) {
		var o object
		if json.Unmarshal(raw, &o) != nil {
			return
		}
		for name, p := range o.Properties {
			names = append(names, name)
			list(p)
		}
		list(o.Items)
	}
	list(root.Defs[kind])
	if len(names) == 0 {
		t.Fatalf("the schema has no fields of %s", kind)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
