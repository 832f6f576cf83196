package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/report"
)

// probe is called while a shard is locked, in tests that hold up a worker; see engine.Config.
var probe func()

// pipeline is the way from frames to events: what `read` and `run` share.
type pipeline struct {
	cfg     *config
	watch   *watch // of watchedBy
	engine  *engine.Engine
	events  *event.Writer // nil without an output
	queue   *event.Queue
	closer  io.Closer
	report  *report.Report
	sources func() capture.Stats // of all sources together
	health  health
	last    event.Stats
	lost    int64  // frames in no part of the account, as of the last look
	kept    func() // keeps what the finding in hand leaves behind; nil if nothing is kept
	flight  int64  // how many can be on their way between the sources and the engine
}

// keep has what the next finding leaves behind kept before its event is written: a sensor that is
// killed in between goes on with an update of it.
func (p *pipeline) keep(saved *engine.Saved) {
	p.kept = func() { p.cfg.journal.Add(saved) }
}

// newPipeline puts the parts together. out is where events go, nil for nowhere; block
// says that events wait for room rather than being dropped.
func newPipeline(cfg *config, run string, live bool, out io.Writer, input func(uint16) string, sources func() capture.Stats) *pipeline {
	p := &pipeline{cfg: cfg, sources: sources}
	if !live { // a service has nobody to report to at its end, and no end
		p.report = report.New(input, cfg.evidence.Clean)
	}
	o := engine.Output{Finding: p.finding, Source: p.source, Site: p.site, Stats: p.stats, Server: p.server}
	if out != nil {
		p.queue = event.NewQueue(out, !live)
		p.events = event.NewWriter(event.Config{Run: run, Host: cfg.name, Live: live, Input: input, Evidence: cfg.evidence}, p.queue)
	}
	o.Session = p.session
	if cfg.journal != nil {
		o.Keep = p.keep
	}
	if out == nil && cfg.engine.AllSessions {
		cfg.engine.AllSessions = false // the report needs only what belongs to findings
	}
	cfg.engine.Probe = probe
	p.engine = engine.New(cfg.engine, o)
	p.limitMemory()
	p.health.live = live
	return p
}

// watchedBy has its work be looked after. Without a call nobody does so.
func (p *pipeline) watchedBy(w *watch) {
	p.watch = w
	w.output(p.queue)
}

// limitMemory tells the collector what is left beside the tables, the kernel's buffers, and the
// program itself with the windows of files, none of which it knows. There is little for it to do,
// so it may do that twice as often: a flood then has less to spread over.
func (p *pipeline) limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(p.cfg.memory) - int64(p.engine.Stats().MemoryCap) - int64(p.cfg.captureBuffers()) - nonHeapMemory)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// nonHeapMemory is what the program takes beside its heap: its code, libpcap, stacks, and windows
// of files.
const nonHeapMemory = 28 << 20

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
		p.events.Before(p.kept)
		p.events.Finding(f)
		p.kept = nil
	}
	p.report.Finding(f)
}

func (p *pipeline) source(s *detect.SourceRecord) {
	if p.events != nil {
		p.events.Source(s)
	}
	p.report.Source(s)
}

func (p *pipeline) server(s *mailserver.Record) {
	if p.events != nil {
		p.events.Server(s)
	}
	p.report.Server(s)
}

func (p *pipeline) site(s *detect.Site) {
	if p.events != nil {
		p.events.Site(s)
	}
	p.report.Site(s)
}

// stats tells the counters, and what they say about the sensor's own condition.
func (p *pipeline) stats(now int64) {
	before := p.sources()
	st := p.engine.Stats()
	if now == 0 && p.health.live {
		now = time.Now().UnixNano()
	} else if now == 0 { // no packet of mail; 1970 where the input has no frame at all: reading it again says the same
		now = st.Last
	}
	c := p.sources()
	p.last = eventStats(&st, &c, p.queue)
	lost := p.last.Lost()
	if !p.health.over && p.flight > 0 {
		// Other workers go on while we look: frames were given that are not yet counted.
		lost = max(0, int64(before.Frames-st.Frames)-p.flight) + min(0, lost)
	}
	p.lost = lost
	if p.events != nil {
		p.events.Stats(now, &p.last)
	}
	for _, h := range p.health.check(now, &st, &c, p.queue, lost) {
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
	s.Capture.Unread, s.Capture.Arrived = c.Unread, c.Arrived
	s.Loss, s.Panics = ratio(st.MissingBytes, st.MissingBytes+st.StreamBytes), st.Panics
	if q != nil {
		s.Output.Written, s.Output.Dropped = q.Totals()
	}
	return s
}

// settleTime is how long the end waits for a slow output before it tells what was lost.
const settleTime = 2 * time.Second

// finish ends everything. Its error says what went wrong with the sensor itself, with the exit
// code for it; nil if nothing did.
func (p *pipeline) finish(reason string) error {
	p.health.over = true
	if p.queue != nil { // so that the last stats event knows what was lost before it
		p.queue.Settle(settleTime)
	}
	ending := p.watch.add("the end of the analysis", p.engine.Finishing(), false)
	ending.begin()
	p.engine.Finish(reason)
	ending.end()
	var err error
	if p.queue != nil {
		err = p.queue.Close()
		if p.closer != nil {
			err = errors.Join(err, p.closer.Close())
		}
		if _, dropped := p.queue.Totals(); dropped.Sum() > 0 {
			err = exit(exitLost, fmt.Errorf("events were lost (%s): %w", dropped, err))
		} else {
			err = nil
		}
	}
	if p.lost != 0 {
		err = exit(exitInternal, errors.Join(fmt.Errorf("frames are unaccounted for (%d): %s; this is a fault of spamsensor, please report it", p.lost, p.last.Account()), err))
	}
	if fault := p.engine.Fault(); fault != nil {
		err = exit(exitInternal, errors.Join(fault, err))
	}
	return err
}

// randomRun is the id of a live run.
func randomRun() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
