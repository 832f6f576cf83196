package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// Model implements status.Sensor: what a report says of the run so far.
func (q *questions) Model() any {
	p := q.p
	var hosts []finding.SourceRecord
	var total int
	if p.health.live {
		total = p.engine.Sources(report.MaxHosts, func(s *finding.SourceRecord) {
			hosts = append(hosts, *s)
		})
	}
	c := p.sources()
	var m *report.Model
	p.engine.Between(func() {
		in := p.input(c)
		in.Live, in.Sensor = p.health.live, p.cfg.name
		if in.Live {
			in.Last = max(in.Last, time.Now().UnixNano()) // it is silent, and not in the past
			p.report.Renew(hosts, total)
		}
		p.report.Times(p.engine.Times)
		m = p.report.Model(&in)
		for _, key := range slices.Sorted(maps.Keys(p.health.raised)) {
			h := p.health.raised[key]
			m.Health = append(m.Health, report.Health{Check: h.Check, Text: h.Text, Hint: h.Hint,
				Since: report.Time(h.Since)})
		}
	})
	return m
}

// Settings implements status.Sensor.
func (q *questions) Settings() *status.Settings {
	s := &status.Settings{Config: q.config()}
	if q.reloads != nil {
		s.YAML = q.reloads.settings()
		return s
	}
	s.YAML = q.p.cfg.settings()
	return s
}

// settings are the settings in force as YAML.
func (c *config) settings() string {
	var b strings.Builder
	c.printSettings(&b) // a Builder takes everything
	return b.String()
}
