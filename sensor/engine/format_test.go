package engine

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"spamsensor/bench/golden"
	"strconv"
	"strings"
	"testing"
)

// fill sets each exported field to a unique value.
func fill(v reflect.Value, n *int64) {
	*n++
	if _, named := v.Addr().Interface().(encoding.TextMarshaler); named { // its first name, or an invalid address
		if v.CanUint() {
			v.SetUint(1)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(*n%99 + 1) // zero may be left out
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n%99 + 1))
	}
}

// TestSavedFormat compares the names in a checkpoint with the recorded names: fields of Go may be
// renamed, but a saved state must stay readable.
func TestSavedFormat(t *testing.T) {
	var saved Saved
	n := int64(0)
	fill(reflect.ValueOf(&saved).Elem(), &n)
	text, err := json.Marshal(&saved)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	paths(tree, "", names)
	golden.Compare(t, "testdata/saved-format.txt", strings.Join(slices.Sorted(maps.Keys(names)), "\n")+"\n")
}

// paths collects the names in a JSON value, with the path to each.
func paths(v any, path string, names map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if _, err := strconv.Atoi(k); err == nil || strings.HasPrefix(k, "text ") {
				k = "*" // a key of a map, not the name of a field
			}
			paths(x, path+"."+k, names)
		}
	case []any:
		for _, x := range v {
			paths(x, path+"[]", names)
		}
	default:
		names[fmt.Sprintf("%s %T", path, v)] = true
	}
}

// savedHistory is the saved state of an engine after some hours with bots, servers, and a relay.
func savedHistory(t *testing.T) []byte {
	cfg := relayConfig()
	cfg.Live, cfg.Seed = true, []byte("0123456789abcdef")
	p := newPlay(cfg)
	for i := range 60 {
		bots(p, i)
		undeclared(p, i)
		from := fmt.Sprintf("user%d@corp.example", i%5)
		p.conn(ourServer, fmt.Sprintf("192.0.%d.99", i%7), 25, message(from, fmt.Sprintf("c@d%d.example", i%9), "250 ok", "250 queued"))
		if i%3 == 0 {
			p.conn(ourServer, "192.0.2.98", 25, message(from, "late@slow.example", "450 4.7.1 later", ""))
		}
		p.conn(fmt.Sprintf("203.0.113.%d", 20+i), ourServer, 25, message("x@far.example", "bob@corp.example", "250 ok", "250 queued"))
		if i > 40 {
			p.conn(stranger, ourServer, 25, message("a@spam.example", fmt.Sprintf("v%d@victim.example", i), "250 ok", "250 queued"))
			p.conn(ourServer, "192.0.2.97", 25, message("a@spam.example", fmt.Sprintf("v%d@victim.example", i), "250 ok", "554 5.7.1 listed at zen.spamhaus.org"))
		}
		p.at += 5 * minute
	}
	_, text := checkpoint(t, p.e)
	return text
}

// TestSavedCheckpoint loads a checkpoint of an earlier version and saves it again: nothing is lost.
func TestSavedCheckpoint(t *testing.T) {
	const path = "testdata/checkpoint.json"
	text, err := os.ReadFile(path)
	if golden.Update() {
		text, err = savedHistory(t), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	saved := new(Saved)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(saved); err != nil {
		t.Fatal(err)
	}
	cfg := relayConfig()
	cfg.Live, cfg.Seed = true, saved.Seed
	p := newPlay(cfg)
	p.e.Restore(saved)
	again, _ := checkpoint(t, p.e)
	out, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, path, string(out)+"\n")
}
