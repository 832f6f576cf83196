package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"spamsensor/sensor/status"
)

const (
	// detailAge is how long a detail is used again.
	detailAge = 5 * time.Second
	// maxDetails bounds the details that are kept.
	maxDetails = maxViewers
)

// detail is what a page needs beside the model.
type detail struct {
	at       time.Time
	reasons  []status.Reason // for and against a host
	settings *status.Settings
	err      error
}

// details asks the sensor for details of pages, each at most once in detailAge.
type details struct {
	asker *asker

	mu   sync.Mutex
	kept map[string]*kept // by path
}

// kept is the latest detail of a path. Those who come while the sensor is asked for it wait.
type kept struct {
	mu     sync.Mutex
	latest *detail
}

// of returns what a page of a view needs; nil if it needs nothing. A sensor that does not answer
// is not asked: what it said last holds.
func (d *details) of(q question, v *view) *detail {
	path := ""
	switch q.kind {
	case "host":
		ip, err := netip.ParseAddr(q.id)
		if err != nil || ip.Zone() != "" { // a zone is any text, and no packet has one
			return nil
		}
		path = "explain/" + ip.String()
	case "settings":
		path = "settings"
	default:
		return nil
	}
	k := d.keep(path)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := d.asker.now()
	if v.now.status == nil || k.latest != nil && now.Sub(k.latest.at) < detailAge {
		return k.latest
	}
	x := &detail{at: now}
	x.ask(d.asker.sensor, q.kind, path)
	k.latest = x
	return x
}

// keep returns the place for the detail of a path.
func (d *details) keep(path string) *kept {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.kept[path]
	if k == nil {
		if d.kept == nil || len(d.kept) >= maxDetails {
			d.kept = map[string]*kept{}
		}
		k = new(kept)
		d.kept[path] = k
	}
	return k
}

func (x *detail) ask(sensor status.Getter, kind, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	if kind == "settings" {
		x.settings = new(status.Settings)
		x.err = sensor.Get(ctx, path, x.settings)
		return
	}
	var e status.Explanation
	x.err = sensor.Get(ctx, path, &e)
	var wrong *status.Error
	if errors.As(x.err, &wrong) && wrong.Code == http.StatusNotFound {
		x.err = nil
	}
	for _, line := range e.Hosts {
		var event status.Event
		if json.Unmarshal(line, &event) == nil && event.Finding != nil {
			x.reasons = append(x.reasons, event.Finding.Reasons...)
		}
	}
}

// Settings are the settings in force; nil if the sensor did not say them.
func (s *Sheet) Settings() *status.Settings {
	if s.detail == nil || s.detail.err != nil {
		return nil
	}
	return s.detail.settings
}

// YAML is the configuration in force, with its comments in the language of the page.
func (s *Sheet) YAML() string {
	lines := strings.Split(s.Settings().YAML, "\n")
	for i, l := range lines {
		if value, origin, found := cutLast(l, " # "); found {
			lines[i] = value + " # " + s.Printer.Sentence(origin)
		}
	}
	return strings.Join(lines, "\n")
}

// cutLast divides a text at the last place of a separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Unanswered says why a detail is not known.
func (s *Sheet) Unanswered() string {
	switch {
	case s.detail == nil && s.Dead():
		return s.Why()
	case s.detail == nil || s.detail.err == nil:
		return ""
	}
	return s.detail.err.Error()
}

// For are reasons that speak for a finding about the host, Against those that speak against it.
func (s *Sheet) For() []string { return s.reasons(1) }

// Against are the others.
func (s *Sheet) Against() []string { return s.reasons(-1) }

func (s *Sheet) reasons(sign float64) (list []string) {
	if s.detail == nil {
		return nil
	}
	for _, r := range s.detail.reasons {
		if (r.Weight >= 0) == (sign > 0) {
			list = append(list, s.Printer.Sentence(r.Text))
		}
	}
	return list
}
