package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
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
	kept map[string]*detail // by path
}

// of returns what a page needs; nil if it needs nothing.
func (d *details) of(q question) *detail {
	path := ""
	switch q.kind {
	case "host":
		ip, err := netip.ParseAddr(q.id)
		if err != nil {
			return nil
		}
		path = "explain/" + ip.String()
	case "settings":
		path = "settings"
	default:
		return nil
	}
	now := d.asker.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if x := d.kept[path]; x != nil && now.Sub(x.at) < detailAge {
		return x
	}
	if d.kept == nil || len(d.kept) >= maxDetails {
		d.kept = map[string]*detail{}
	}
	x := &detail{at: now}
	x.ask(d.asker.sensor, q.kind, path)
	d.kept[path] = x
	return x
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

// Unanswered says why a detail is not known.
func (s *Sheet) Unanswered() string {
	if s.detail == nil || s.detail.err == nil {
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
