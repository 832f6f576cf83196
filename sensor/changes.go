package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// liveKeys are the settings, or groups of them, that a reload applies. The others need a restart.
var liveKeys = []string{"home_net", "smtp_servers", "allowed_relays", "local_domains", "ignore",
	"names", "detect", "evidence", "output", "log"}

// services are the other commands that run for long: the settings that each reads at its start, and
// the unit that runs it.
var services = []struct {
	command, unit string
	keys          []string
}{
	{"notify", "spamsensor-notify",
		[]string{"notify", "notify_limits", "reputation", "output.file", "state.dir",
			"sensor.name", "sensor.lang"}},
	{"serve", "spamsensor-serve", []string{"serve", "control.socket", "state.dir"}},
}

// foreignKeys are settings of other commands than run.
var foreignKeys = []string{"sensor.lang", "capture.workers", "notify", "notify_limits",
	"reputation", "serve"}

// hasKey reports whether a list has a key or a group that it is in.
func hasKey(list []string, key string) bool {
	return slices.ContainsFunc(list, func(k string) bool {
		return key == k || strings.HasPrefix(key, k+".")
	})
}

// changes describes what another configuration changes, one line each. What cannot be applied is
// compared with the configuration at the start, so that it is named until the restart. What other
// services read at their start is named once: when they start is not known here.
func (r *reloader) changes(next *config) (list []string) {
	is, was, started := next.inForce(), r.cfg.inForce(), r.started.inForce()
	for _, key := range leafKeys(reflect.TypeFor[fileConfig](), "") {
		now, before := field(is, key), field(was, key)
		live := hasKey(liveKeys, key) && (key != "output.file" || r.movesOutput(next))
		if !live && !hasKey(foreignKeys, key) {
			before = field(started, key)
		}
		if reflect.DeepEqual(now.Interface(), before.Interface()) {
			continue
		}
		switch {
		case hasKey(foreignKeys, key):
		case !live:
			list = append(list, key+" changed: takes effect at the next start of run"+
				r.whyLater(key, next)+restartOf("spamsensor"))
			if key == "output.file" {
				next.output, next.file.Output.File = r.cfg.output, r.cfg.file.Output.File
			}
		case now.Kind() == reflect.Slice:
			list = append(list, listChanges(key, before, now)...)
		default:
			list = append(list, printable(fmt.Sprintf("%s is %s, and was %s", key,
				scalar(now.Interface()), scalar(before.Interface()))))
		}
		for _, s := range services {
			if hasKey(s.keys, key) {
				list = append(list, fmt.Sprintf("%s changed: %s reads it at its start%s", key,
					s.command, restartOf(s.unit)))
			}
		}
	}
	if next.namesFile == r.cfg.namesFile && !maps.Equal(next.names, r.cfg.names) {
		list = append(list, nameChanges(r.cfg.names, next.names))
	}
	return list
}

// nameChanges counts the hosts that got a name, have another, and have none any more.
func nameChanges(was, is map[netip.Addr]string) string {
	var added, changed, removed int
	for a, name := range is {
		switch before, known := was[a]; {
		case !known:
			added++
		case before != name:
			changed++
		}
	}
	for a := range was {
		if _, known := is[a]; !known {
			removed++
		}
	}
	return fmt.Sprintf("names: %d added, %d changed, %d removed", added, changed, removed)
}

// restartOf is the command that restarts a service, behind a line of changes.
func restartOf(unit string) string { return " (systemctl restart " + unit + ")" }

// whyLater says why another file of the events is not opened before the next start.
func (r *reloader) whyLater(key string, next *config) string {
	if key != "output.file" || isStdout(next.output) || r.p.mayWrite(next.output) {
		return ""
	}
	places := slices.Compact(slices.Sorted(slices.Values(*r.p.writable.Load())))
	return printable(fmt.Sprintf(", and events go on to %s: the sandbox allows to write in %s only",
		cmp.Or(r.cfg.output, "-"), strings.Join(places, ", ")))
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
