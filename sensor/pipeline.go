package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/report"
)

// probe is called while a shard is locked. It is for tests that stall a worker; see engine.Config.
var probe func()

// pipeline is the way from frames to events: what `read` and `run` share.
type pipeline struct {
	cfg         *config
	watchdog    *watchdog // set by setWatchdog
	engine      *engine.Engine
	run         string        // id of the run
	events      *event.Writer // nil without an output and without questions
	queue       *event.Queue
	closer      io.Closer
	report      *report.Report
	eventConfig event.Config         // of events
	sources     func() capture.Stats // counters of all sources together
	health      health
	inputs      func() []inputState // of a live capture; nil for files
	messages    *healthLog          // of a live capture; nil for files
	terminal    *terminal           // of a live capture on a terminal; else nil
	open        *openFindings       // of a live capture; nil for files
	acks        *acks               // of a live capture; nil for files
	// writable are the directories that the sandbox allows to write in; nil without Landlock.
	writable atomic.Pointer[[]string]
	// Of the last heartbeat.
	lastHeartbeat                          int64
	framesAtHeartbeat, attemptsAtHeartbeat uint64
	last                                   event.Stats // the last stats event
	// unaccounted is the number of frames in no part of the account, as of the last stats event.
	unaccounted int64
	// inFlight bounds the frames on their way from the sources to the engine.
	inFlight int64
	// beforeFinding writes the next finding to the journal; nil without a journal.
	beforeFinding func()
}

// keepFinding writes the next finding to the journal, before its event is written: a sensor that is
// killed in between continues with an update of the finding, and does not open it again.
func (p *pipeline) keepFinding(saved *engine.Saved) {
	p.beforeFinding = func() { p.cfg.journal.Add(wallTime(), saved) }
}

// newPipeline connects engine, events and report. run is the id of the run, out the destination of
// the events (nil: no events), input the name of a source by its number. A live pipeline drops
// events when the output is too slow; the other one waits.
func newPipeline(cfg *config, run string, live bool, out io.Writer, input func(uint16) string,
	sources func() capture.Stats) *pipeline {
	p := &pipeline{cfg: cfg, run: run, sources: sources,
		report: report.New(input, cfg.evidence.Clean, live)}
	o := engine.Output{Session: p.session, Finding: p.finding, Source: p.source, Site: p.site,
		Stats: p.stats, Server: p.server}
	if out != nil {
		p.queue = event.NewQueue(out, !live)
	}
	p.eventConfig = event.Config{Run: run, Host: cfg.name, Live: live, Input: input,
		Evidence: cfg.evidence, Names: cfg.names}
	p.report.Names(cfg.names)
	if cfg.store != nil {
		p.eventConfig.Tap = cfg.store.Add
	}
	if out != nil || cfg.store != nil {
		p.events = event.NewWriter(p.eventConfig, p.queue)
	}
	if cfg.journal != nil {
		o.Keep = p.keepFinding
	}
	if out == nil && cfg.engine.AllSessions && !cfg.sessionTable {
		cfg.engine.AllSessions = false // the report shows only sessions of findings
	}
	cfg.engine.Probe = probe
	p.engine = engine.New(cfg.engine, o)
	p.limitMemory()
	p.health.live = live
	return p
}

// setWatchdog has a watchdog check the work of the pipeline.
func (p *pipeline) setWatchdog(w *watchdog) {
	p.watchdog = w
	w.output(p.queue)
}

// limitMemory sets the limit of the garbage collector: limits.memory without the tables, the
// capture buffers, and the memory outside of the heap, none of which the collector knows. The heap
// is small, so it is collected twice as often as by default: garbage of a flood then takes less
// memory. For a small capture alone this would be the only collection of the run, and a third of
// its time.
func (p *pipeline) limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		tables, buffers := int64(p.engine.Stats().MemoryCap), int64(p.cfg.captureBuffers())
		debug.SetMemoryLimit(max(minHeap, int64(p.cfg.memory)-tables-buffers-nonHeapMemory))
	}
	size := p.sources().BytesTotal // zero is unknown
	if os.Getenv("GOGC") == "" && (size == 0 || size > smallCapture) {
		debug.SetGCPercent(50)
	}
}

// smallCapture bounds the captures, in bytes, of which nothing large is kept.
const smallCapture = 1 << 20

// minHeap is the least limit of the collector: with less it would do nothing but collect.
const minHeap = 8 << 20

// nonHeapMemory is the memory of the process outside of the Go heap: code (27 MB, most of it that
// of serve and notify), libpcap, stacks.
const nonHeapMemory = 50 << 20

func (p *pipeline) session(s *finding.Session) uint64 {
	var n uint64
	if p.events != nil {
		n = p.events.Session(s)
	}
	p.report.Session(n, s)
	return n
}

func (p *pipeline) finding(f *finding.Finding) {
	p.acks.attach(f)
	if p.events != nil {
		p.events.Before(p.beforeFinding)
		p.events.Finding(f)
		p.beforeFinding = nil
	}
	p.report.Finding(f)
	p.terminal.finding(f)
	p.open.follow(f)
}

func (p *pipeline) source(s *finding.SourceRecord) {
	if p.events != nil {
		p.events.Source(s)
	}
	if !p.health.live { // else questions add them
		p.report.Source(s)
	}
}

func (p *pipeline) server(s *mailserver.Record) {
	if p.events != nil {
		p.events.Server(s)
	}
	p.report.Server(s)
}

func (p *pipeline) site(s *finding.Site) {
	if p.events != nil {
		p.events.Site(s)
	}
	p.report.Site(s)
}

// stats writes the stats event, and the health events that follow from its counters. now is the
// time of the packets; 0 means that there was no packet of mail.
func (p *pipeline) stats(now int64) {
	before := p.sources()
	st := p.engine.Stats()
	if now == 0 && p.health.live {
		now = wallTime()
	} else if now == 0 { // 1970 where the input has no frame: the same file gives the same events
		now = st.Last
	}
	c := p.sources()
	p.last = eventStats(&st, &c, p.queue)
	unaccounted := p.last.Lost()
	if !p.health.final && p.inFlight > 0 {
		// The workers go on meanwhile: some frames were delivered and are not yet counted.
		late := int64(before.Frames-st.Frames) - p.inFlight
		unaccounted = max(0, late) + min(0, unaccounted)
	}
	p.unaccounted = unaccounted
	if p.events != nil {
		p.events.Stats(now, &p.last)
	}
	changes := p.health.check(now, &st, &c, p.queue, unaccounted)
	if p.health.final && p.inputs != nil {
		inputs := p.inputs()
		p.checkTimes(wallTime(), steadyTime(), inputs)
		p.health.inputs(now, steadyTime(), inputs)
		changes = p.health.changes
	}
	p.reportHealth(now, changes)
	p.heartbeat(now)
}

// input describes what was read so far; c are the counters of all sources, problems those of files.
func (p *pipeline) input(c capture.Stats, problems []error) report.Input {
	st := p.engine.Stats()
	in := report.Input{Unused: p.engine.Unused(),
		Frames: st.Frames, Refused: st.Refused, Bytes: c.BytesRead, First: st.First, Last: st.Last,
		Drops: c.KernelDrops + c.InterfaceDrops, Loss: p.last.Loss, Account: p.last.Account(),
		HomeSeen: st.HomeSeen, Attempts: st.Attempts,
		Unjudged: st.Unjudged, UnjudgedCount: st.UnjudgedCount, Home: st.Home,
		Relays:     st.Relays,
		SeenClient: st.SeenClient, SeenServer: st.SeenServer,
		Gaps: st.Gaps, Midstream: st.Midstream, Version: version}
	for _, n := range st.Outcomes {
		if n.Refused {
			in.RefusedBy = append(in.RefusedBy, fmt.Sprintf("%d %s", n.N, n.Name))
		}
	}
	for _, x := range st.Roles {
		in.Roles = append(in.Roles, report.Declared{IP: x.Addr, Role: x.Kind})
	}
	for _, problem := range problems {
		in.Problems = append(in.Problems, problem.Error())
	}
	return in
}

// eventStats makes the stats event of the counters of all parts; q may be nil.
func eventStats(st *engine.Stats, c *capture.Stats, q *event.Queue) event.Stats {
	var s event.Stats
	s.Capture.KernelPackets, s.Capture.KernelDrops = c.Frames, c.KernelDrops
	s.Capture.KernelIfdrops = c.InterfaceDrops
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

// outputWait bounds the time that the end of the run waits for a slow output.
const outputWait = 2 * time.Second

// finish ends the analysis and the output. Its error has the exit code for lost events, frames that
// are not accounted for, or a fault of the engine.
func (p *pipeline) finish(reason string) error {
	p.health.final = true
	if p.queue != nil { // the last stats event then counts the events lost before it
		p.queue.Flush(outputWait)
		if p.health.live {
			p.queue.Wait(outputWait)
		}
	}
	ending := p.watchdog.add("the end of the analysis", p.engine.Finishing(), false)
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
	if p.unaccounted != 0 {
		fault := fmt.Errorf("frames are unaccounted for (%d): %s; this is a fault of spamsensor, "+
			"please report it", p.unaccounted, p.last.Account())
		err = exit(exitInternal, errors.Join(fault, err))
	}
	if fault := p.engine.Fault(); fault != nil {
		err = exit(exitInternal, errors.Join(fault, err))
	}
	return err
}

// randomRunID returns the id of a live run.
func randomRunID() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
