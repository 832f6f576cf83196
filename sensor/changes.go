package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// liveKeys are the settings, or groups of them, that a reload applies. The others need a restart.
var liveKeys = []string{"home_net", "smtp_servers", "allowed_relays", "local_domains", "ignore",
	"detect", "evidence", "output", "log"}

// foreignKeys are settings of other commands than run.
var foreignKeys = []string{"capture.workers", "notify", "notify_limits", "reputation", "serve"}

// hasKey reports whether a list has a key or a group that it is in.
func hasKey(list []string, key string) bool {
	return slices.ContainsFunc(list, func(k string) bool {
		return key == k || strings.HasPrefix(key, k+".")
	})
}

// changes describes what another configuration changes, one line each. What cannot be applied is
// compared with the configuration at the start, so that it is named until the restart.
func (r *reloader) changes(next *config) (list []string) {
	is, was, started := next.inForce(), r.cfg.inForce(), r.started.inForce()
	for _, key := range leafKeys(reflect.TypeFor[fileConfig](), "") {
		now, before := field(is, key), field(was, key)
		live := hasKey(liveKeys, key)
		if key == "output.file" {
			live = !isStdout(next.output) && !isStdout(r.cfg.output)
		}
		if !live {
			before = field(started, key)
		}
		switch {
		case hasKey(foreignKeys, key) || reflect.DeepEqual(now.Interface(), before.Interface()):
		case !live:
			list = append(list, key+" changed: takes effect at the next start")
			if key == "output.file" {
				next.output = r.cfg.output
			}
		case now.Kind() == reflect.Slice:
			list = append(list, listChanges(key, before, now)...)
		default:
			list = append(list, printable(fmt.Sprintf("%s is %s, and was %s", key,
				scalar(now.Interface()), scalar(before.Interface()))))
		}
	}
	return list
}

// leafKeys returns the keys of the single values and of the lists of a group of settings.
func leafKeys(t reflect.Type, key string) (keys []string) {
	if t.Kind() != reflect.Struct {
		return []string{key}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		keys = append(keys, leafKeys(f.Type, under(key, f))...)
	}
	return keys
}

// field returns the value of a setting.
func field(f fileConfig, key string) reflect.Value {
	v := reflect.ValueOf(f)
	for name := range strings.SplitSeq(key, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") == name {
				v = v.Field(i)
				break
			}
		}
	}
	return v
}

// listChanges describes what was added to a list, and what was removed from it.
func listChanges(key string, before, now reflect.Value) (list []string) {
	was, is := entryTexts(before), entryTexts(now)
	for _, x := range is {
		if !slices.Contains(was, x) {
			list = append(list, key+": added "+x)
		}
	}
	for _, x := range was {
		if !slices.Contains(is, x) {
			list = append(list, key+": removed "+x)
		}
	}
	if list == nil {
		list = append(list, key+": in another order")
	}
	return list
}

// entryTexts are the entries of a list, in a line each.
func entryTexts(v reflect.Value) (list []string) {
	for i := range v.Len() {
		e := v.Index(i)
		if e.Kind() != reflect.Struct {
			list = append(list, printable(fmt.Sprint(e.Interface())))
			continue
		}
		var parts []string
		for j := range e.NumField() {
			if !e.Field(j).IsZero() {
				parts = append(parts, fmt.Sprintf("%s %v", e.Type().Field(j).Tag.Get("yaml"),
					e.Field(j).Interface()))
			}
		}
		list = append(list, printable(strings.Join(parts, ", ")))
	}
	return list
}
