package main

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

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
	explained := q.explained()
	c := p.sources()
	var m *report.Model
	p.engine.Between(func() {
		in := p.input(c, q.problems)
		in.Live, in.Sensor = p.health.live, p.cfg.name
		if in.Live {
			in.Last = max(in.Last, p.engine.Now()) // time goes on where no packet comes
			p.report.Renew(hosts, total, explained)
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

// maxExplained bounds the hosts whose reasons are taken anew for a model. A finding's event has
// those of its time: the next one comes after half an hour.
const maxExplained = 100

// explained are the findings about hosts with an open finding, with the reasons of now; those of
// other findings are of their latest events.
func (q *questions) explained() []*finding.Finding {
	if !q.p.health.live {
		return nil
	}
	var open map[netip.Addr]bool
	q.p.engine.Between(func() { open = q.p.report.OpenHosts(maxExplained) })
	if len(open) == 0 {
		return nil
	}
	return q.p.engine.Explain(func(a netip.Addr) bool { return open[a] })
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
	c.printSettings(&b, nil) // a Builder takes everything
	return b.String()
}
