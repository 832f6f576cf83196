package serve

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of what the sensor says: series of one metric, and bytes of a label.
const (
	maxSeries = 200
	maxLabel  = 256
)

// metric is a metric of the sensor: its description, and where its series come from.
type metric struct {
	name   string // without the prefix
	help   string
	kind   prometheus.ValueType
	labels []string
	// read gives each series to emit, with the values of the labels. The sensor answers if
	// s.status is not nil; always says that read is called even if it does not.
	read   func(s *snapshot, emit emitter)
	always bool
}

// emitter takes a series.
type emitter func(value float64, labels ...string)

// prefix begins the name of each metric.
const prefix = "spamsensor_"

// collector makes the metrics of a snapshot; it is a prometheus.Collector.
type collector struct {
	asker   *asker
	metrics []metric
	descs   []*prometheus.Desc
	omitted *prometheus.Desc
}

func newCollector(a *asker) *collector {
	c := &collector{asker: a, metrics: sensorMetrics(), omitted: prometheus.NewDesc(
		prefix+omittedName, omittedHelp, nil, nil)}
	for i := range c.metrics {
		m := &c.metrics[i]
		c.descs = append(c.descs, prometheus.NewDesc(prefix+m.name, m.help, m.labels, nil))
	}
	return c
}

const (
	omittedName = "series_left_out"
	omittedHelp = "Series of this scrape that were left out: a metric has at most 200, " +
		"and mail servers 50."
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
	out <- c.omitted
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.asker.ask()
	omitted := max(0, len(s.servers)-maxServers)
	for i := range c.metrics {
		m := &c.metrics[i]
		if s.status == nil && !m.always {
			continue
		}
		seen := map[string]bool{}
		m.read(s, func(value float64, labels ...string) {
			for j, l := range labels {
				labels[j] = label(l)
			}
			key := strings.Join(labels, "\xff")
			if len(seen) >= maxSeries || seen[key] {
				omitted++
				return
			}
			seen[key] = true
			out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, value, labels...)
		})
	}
	out <- prometheus.MustNewConstMetric(c.omitted, prometheus.GaugeValue, float64(omitted))
}

// label makes a label's value of a text.
func label(s string) string {
	if len(s) > maxLabel {
		s = s[:maxLabel]
	}
	return strings.ToValidUTF8(s, "?")
}
