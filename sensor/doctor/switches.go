package doctor

import (
	"slices"
	"strings"
)

// remedy is a kind of change that the mirror needs.
type remedy uint8

const (
	noRemedy    remedy = iota
	makeMirror         // there is no mirror session, or not to this port
	bothWays           // one direction is missing
	otherSource        // another VLAN or another port is to be mirrored
	oneCopy            // frames are copied twice
)

// system is an operating system of switches, and what to type there. SOURCE is the port to be
// mirrored, usually the one to the router; SENSOR the port to which the sensor is connected; VLAN
// the number of the VLAN to be mirrored.
type system struct {
	key, name  string
	match      []string // in what the switch says about itself, lower case
	title, url string   // the manual of the vendor
	lines      map[remedy][]string
}

// Systems are the keys of the systems that the report has lines for.
func Systems() (keys []string) {
	for i := range systems {
		keys = append(keys, systems[i].key)
	}
	return keys
}

// systemOf finds the system in what a device says about itself; "" if it is not known.
func systemOf(text string) string {
	text = strings.ToLower(text)
	for i := range systems {
		for _, m := range systems[i].match {
			if strings.Contains(text, m) {
				return systems[i].key
			}
		}
	}
	return ""
}

// addSwitch adds the lines for the switch that was named or recognised, for the worst fault that
// they mend.
func (r *Report) addSwitch(key string) {
	for i := 0; key == "" && i < len(r.Neighbors); i++ {
		key = r.Neighbors[i].System
	}
	at := slices.IndexFunc(systems, func(s system) bool { return s.key == key })
	if at < 0 {
		return
	}
	for _, l := range r.Lines {
		if lines := systems[at].lines[l.remedy]; l.Level >= Limits && len(lines) > 0 {
			r.Switch = &SwitchHelp{System: systems[at].name, Check: l.Check, Lines: lines,
				Title: systems[at].title, URL: systems[at].url}
			return
		}
	}
}
