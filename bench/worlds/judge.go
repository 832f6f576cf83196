package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"spamsensor/bench/worlds/traffic"
)

// event is what is read of the sensor's events.
type event struct {
	Type    string `json:"event_type"`
	Src     string `json:"src_ip"`
	Finding *struct {
		Class  string `json:"class"`
		Level  string `json:"level"`
		Action string `json:"action"`
		Close  string `json:"close_reason"`
	} `json:"finding"`
	Source *struct {
		Attempts    int    `json:"attempts"`
		Retransmits int    `json:"syn_retransmits"`
		Sessions    int    `json:"sessions"`
		Messages    int    `json:"messages"`
		Role        string `json:"role"`
	} `json:"source"`
}

// findings are the findings about one host in one class.
type findings struct {
	Host, Class string
	Highest     string // level
	Last        string // level of the latest event
	Close       string // reason of the end
}

// observed is what the sensor reported.
type observed struct {
	findings map[string]*findings // by host and class
	sources  map[string]*traffic.Counts
}

// ranks are the levels in their order.
var ranks = []string{"", "suspect", "likely", "confirmed"}

func rank(level string) int { return slices.Index(ranks, level) }

// readCapture runs the sensor on a capture.
func readCapture(sensor, path string, args []string) (*observed, error) {
	c := exec.Command(sensor, append([]string{"read", "-q", "--no-progress", "--workers", "1",
		"--set", "output.sessions=evidence", "--events", "-", path}, args...)...)
	var out, messages bytes.Buffer
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, messages.Bytes())
	}
	o := &observed{map[string]*findings{}, map[string]*traffic.Counts{}}
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%w in the event %s", err, lines.Bytes())
		}
		o.add(&e)
	}
	return o, lines.Err()
}

// add adds an event.
func (o *observed) add(e *event) {
	if s := e.Source; s != nil {
		o.sources[e.Src] = &traffic.Counts{Attempts: s.Attempts, Retransmits: s.Retransmits,
			Sessions: s.Sessions, Messages: s.Messages}
	}
	f := e.Finding
	if f == nil {
		return
	}
	k := e.Src + " " + f.Class
	x := o.findings[k]
	if x == nil {
		x = &findings{Host: e.Src, Class: f.Class}
		o.findings[k] = x
	}
	if rank(f.Level) > rank(x.Highest) {
		x.Highest = f.Level
	}
	x.Last, x.Close = f.Level, f.Close
}

// result is the judgement of one run.
type result struct {
	Scenario string   `json:"scenario"`
	Seed     uint64   `json:"seed"`
	Kind     string   `json:"kind"`
	Declared bool     `json:"declared"`
	Bad      int      `json:"bad"`     // hosts that must be found
	Found    int      `json:"found"`   // of these
	Benign   int      `json:"benign"`  // machines
	Days     float64  `json:"days"`    // host-days of these
	Accused  int      `json:"accused"` // benign machines at likely or above
	Stay     int      `json:"stay"`    // benign machines that are suspects at the end
	Wrong    int      `json:"wrong"`   // classes that the truth does not accept
	Off      int      `json:"off"`     // sources whose counts differ
	Sources  int      `json:"sources"` // sources with counts
	Framed   int      `json:"framed"`  // hosts above suspect in a scenario with forged packets
	Faults   []string `json:"faults,omitempty"`
}

// blaming are the classes that blame the host itself.
var blaming = []string{"spambot", "hijacked_account", "open_relay"}

// judge compares the sensor's report with the truth.
func judge(t *traffic.Truth, o *observed, declared bool) *result {
	r := &result{Scenario: t.Scenario, Seed: t.Seed, Declared: declared, Bad: len(t.Bad),
		Benign: len(t.Benign), Days: float64(len(t.Benign)) * t.Span / 86400}
	for _, host := range slices.Sorted(maps.Keys(t.Bad)) {
		if why := missed(t, o, host); why == "" {
			r.Found++
		} else {
			r.fault("bad %s", why)
		}
	}
	r.benign(t, o)
	r.classes(t, o)
	for i, host := range t.NoLevel {
		if t.MachineOf(host)[0] == t.MachineOf(t.NoLevel[0])[0] && i > 0 {
			continue // another address of the same machine
		}
		for _, f := range o.of(t.MachineOf(host)) {
			if rank(f.Highest) > rank("suspect") && f.Class != "direct_smtp" {
				r.Framed++
				r.fault("%s may be a suspect at most, and is a %s %s", host, f.Highest, f.Class)
			}
		}
	}
	r.counts(t, o)
	return r
}

func (r *result) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// of are the findings about the addresses of a machine, in a fixed order.
func (o *observed) of(machine []string) (list []*findings) {
	for _, k := range slices.Sorted(maps.Keys(o.findings)) {
		if f := o.findings[k]; slices.Contains(machine, f.Host) {
			list = append(list, f)
		}
	}
	return list
}

// missed says how a bad host was missed; "": it was found.
func missed(t *traffic.Truth, o *observed, host string) string {
	best := "is not reported"
	for _, f := range o.of(t.MachineOf(host)) {
		for _, c := range t.Bad[host] {
			if c[0] != f.Class {
				continue
			}
			if rank(f.Highest) >= rank(c[1]) && f.Close != "reclassified" {
				return ""
			}
			best = fmt.Sprintf("is a %s %s, closed as %s", f.Highest, f.Class, f.Close)
		}
	}
	if best == "is not reported" {
		for _, f := range o.of(t.MachineOf(host)) {
			best += fmt.Sprintf(" (but as a %s %s)", f.Highest, f.Class)
		}
	}
	return host + " " + best
}

// benign counts the accused among the benign, and those that stay suspects.
func (r *result) benign(t *traffic.Truth, o *observed) {
	for _, host := range t.Benign {
		if slices.Contains(t.NoLevel, host) {
			continue // a suspicion is what anybody may cause
		}
		accused, stays := false, false
		for _, f := range o.of(t.MachineOf(host)) {
			if slices.Contains(t.Advisory[f.Host], f.Class) {
				continue
			}
			if slices.Contains(blaming, f.Class) && rank(f.Highest) >= rank("likely") {
				accused = true
				r.fault("benign %s is a %s %s", f.Host, f.Highest, f.Class)
			}
			if f.Class == "spambot" && f.Close == "end_of_input" {
				stays = true
				r.fault("benign %s stays a %s spambot", f.Host, f.Last)
			}
		}
		if accused {
			r.Accused++
		}
		if stays {
			r.Stay++
		}
	}
}

// classes counts findings whose class is not acceptable. A host that sends to port 25 itself may
// always be told so; a suspicion of spam that ends is counted elsewhere.
func (r *result) classes(t *traffic.Truth, o *observed) {
	for _, k := range slices.Sorted(maps.Keys(o.findings)) {
		f := o.findings[k]
		var right []string
		bad := false
		for _, m := range t.MachineOf(f.Host) {
			if t.Limits[m] != "" {
				right = append(right, blaming...)
			}
			right = append(right, t.Advisory[m]...)
			for _, c := range t.Bad[m] {
				right = append(right, c[0])
			}
			bad = bad || t.Bad[m] != nil || t.Limits[m] != ""
		}
		if slices.Contains(right, f.Class) || f.Class == "direct_smtp" ||
			f.Class == "spambot" && !bad || slices.Contains(t.NoLevel, f.Host) {
			continue
		}
		if f.Highest == "suspect" && (bad || f.Close != "end_of_input") ||
			bad && (f.Close == "reclassified" || f.Close == "superseded") {
			continue
		}
		if slices.Contains(blaming, f.Class) && !bad {
			continue // counted as accused, if it was at likely
		}
		r.Wrong++
		r.fault("wrong class: %s is a %s %s, closed as %s", f.Host, f.Highest, f.Class, f.Close)
	}
}

// counts compares the counts of each machine.
func (r *result) counts(t *traffic.Truth, o *observed) {
	done := map[string]bool{}
	for _, host := range slices.Sorted(maps.Keys(t.Sources)) {
		if done[host] {
			continue
		}
		var want, got traffic.Counts
		machine := t.MachineOf(host)
		for _, m := range machine {
			done[m] = true
			plus(&want, t.Sources[m])
			plus(&got, o.sources[m])
		}
		var off []string
		for _, c := range []struct {
			name      string
			want, got int
		}{{"attempts", want.Attempts, got.Attempts},
			{"retransmits", want.Retransmits, got.Retransmits},
			{"sessions", want.Sessions, got.Sessions},
			{"messages", want.Messages, got.Messages}} {
			if c.want >= 0 && c.want != c.got {
				off = append(off, fmt.Sprintf("%d %s instead of %d", c.got, c.name, c.want))
			}
		}
		r.Sources++
		if len(off) > 0 {
			r.Off++
			r.fault("%s has %s", strings.Join(machine, "/"), strings.Join(off, ", "))
		}
	}
}

// plus adds counts; -1 stays.
func plus(to, c *traffic.Counts) {
	if c == nil {
		return
	}
	for _, p := range [][2]*int{{&to.Attempts, &c.Attempts}, {&to.Retransmits, &c.Retransmits},
		{&to.Sessions, &c.Sessions}, {&to.Messages, &c.Messages}} {
		if *p[1] < 0 || *p[0] < 0 {
			*p[0] = -1
		} else {
			*p[0] += *p[1]
		}
	}
}
