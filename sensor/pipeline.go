package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/report"
)

// pipeline is the way from frames to events: what `read` and `run` share.
type pipeline struct {
	cfg     *config
	engine  *engine.Engine
	events  *event.Writer // nil without an output
	queue   *event.Queue
	closer  io.Closer
	report  *report.Report
	sources func() capture.Stats // of all sources together
	health  health
	last    event.Stats
}

// newPipeline puts the parts together. out is where events go, nil for nowhere; block
// says that events wait for room rather than being dropped.
func newPipeline(cfg *config, run string, live bool, out io.Writer, input func(uint16) string, sources func() capture.Stats) *pipeline {
	p := &pipeline{cfg: cfg, report: report.New(input, cfg.evidence.Clean), sources: sources}
	o := engine.Output{Finding: p.finding, Source: p.source, Stats: p.stats, Server: p.server, Site: p.site}
	if out != nil {
		p.queue = event.NewQueue(out, !live)
		p.events = event.NewWriter(event.Config{Run: run, Host: cfg.name, Live: live, Input: input, Evidence: cfg.evidence}, p.queue)
	}
	o.Session = p.session
	if out == nil && cfg.engine.AllSessions {
		cfg.engine.AllSessions = false // the report needs only what belongs to findings
	}
	p.engine = engine.New(cfg.engine, o)
	p.health.live = live
	return p
}

func (p *pipeline) session(s *detect.Session) uint64 {
	var n uint64
	if p.events != nil {
		n = p.events.Session(s)
	}
	p.report.Session(n, s)
	return n
}

func (p *pipeline) finding(f *detect.Finding) {
	if p.events != nil {
		p.events.Finding(f)
	}
	p.report.Finding(f)
}

func (p *pipeline) source(s *detect.SourceRecord) {
	if p.events != nil {
		p.events.Source(s)
	}
	p.report.Source(s)
}

func (p *pipeline) server(s *detect.ServerRecord) {
	if p.events != nil {
		p.events.Server(s)
	}
	p.report.Server(s)
}

func (p *pipeline) site(s *detect.SiteRecord) {
	if p.events != nil {
		p.events.Site(s)
	}
	p.report.Site(s)
}

// stats tells the counters, and what they say about the sensor's own condition.
func (p *pipeline) stats(now int64) {
	if now == 0 { // not a frame was seen
		now = time.Now().UnixNano()
	}
	st := p.engine.Stats()
	c := p.sources()
	p.last = eventStats(&st, &c, p.queue)
	if p.events != nil {
		p.events.Stats(now, &p.last)
	}
	for _, h := range p.health.check(now, &st, &c, p.queue) {
		if p.events != nil {
			p.events.Health(now, &h)
		}
		p.report.Health(h.Text)
	}
}

// eventStats maps the counters of all parts to an event.
func eventStats(st *engine.Stats, c *capture.Stats, q *event.Queue) event.Stats {
	var s event.Stats
	s.Capture.KernelPackets, s.Capture.KernelDrops, s.Capture.KernelIfdrops = c.Frames, c.KernelDrops, c.InterfaceDrops
	s.Capture.Errors, s.Capture.Bytes = c.Errors, c.Bytes
	s.Frames, s.Refused, s.SYN = st.Frames, st.Refused, st.SYN
	for _, n := range st.Outcomes {
		s.Decode = append(s.Decode, event.Count{Name: n.Name, N: n.N})
	}
	s.Flow.Active, s.Flow.Total, s.Flow.Evicted = st.FlowsActive, st.FlowsTotal, st.FlowsEvicted
	s.Flow.Expired = st.FlowsTotal - st.FlowsActive - st.FlowsEvicted
	s.Flow.Memuse, s.Flow.Memcap = st.Memory, st.MemoryCap
	for _, n := range st.TCP {
		s.Counters = append(s.Counters, event.Count{Name: n.Name, N: n.N})
	}
	for _, n := range st.SMTP {
		s.SMTP = append(s.SMTP, event.Count{Name: n.Name, N: n.N})
	}
	if q != nil {
		written, dropped := q.Totals()
		s.Output.Written = written
		for _, n := range dropped {
			s.Output.Dropped += n
		}
	}
	return s
}

// finish ends everything. lost is the error with which events were lost.
func (p *pipeline) finish(reason string) (lost error) {
	p.engine.Finish(reason)
	if p.queue == nil {
		return nil
	}
	err := p.queue.Close()
	if p.closer != nil {
		err = errors.Join(err, p.closer.Close())
	}
	_, dropped := p.queue.Totals()
	text := ""
	for t, n := range dropped {
		if n > 0 {
			text += fmt.Sprintf(", %d %s", n, event.Type(t))
		}
	}
	if text != "" {
		return fmt.Errorf("events were lost (%s): %w", text[2:], err)
	}
	return nil
}

// openEvents opens where events go: "-" is standard output.
func openEvents(name string, stdout io.Writer) (io.Writer, io.Closer, error) {
	if name == "-" {
		return stdout, nil, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write events: %w", err)
	}
	return f, f, nil
}

// randomRun is the id of a live run.
func randomRun() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
