package main

import (
	"maps"
	"slices"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/report"
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
