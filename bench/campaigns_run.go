package main

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"spamsensor/bench/campaign"
	"spamsensor/bench/campaign/reference"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/verdict"
)

// hostResult holds the findings about a host, beside the truth. Times are nanoseconds since 1970;
// zero means never.
type hostResult struct {
	host *campaign.Host
	// reached is the time at which each level was first reached by a finding of the expected class
	// or, for a clean host, of a class that accuses it.
	reached      [4]int64
	diagnosedAt  int64 // the first diagnosis as expected
	namedAt      int64 // the first finding that names what it must name
	score        float64
	wrongClasses map[string]verdict.Level // the level of each class that is wrong for it
	classes      map[string]verdict.Level // the level of each class of its findings
	references   []int64                  // the first alarm of each reference
	reasons      string                   // the reasons of the latest finding
	// decisions are the sensor's statements about its decisions: the number of attempts, and the
	// time.
	decisions []verdict.Decision
}

// highestLevel is the highest level of a finding that counts for precision and recall.
func (o *hostResult) highestLevel() verdict.Level {
	l := verdict.NoLevel
	for i := verdict.Suspect; i <= verdict.Confirmed; i++ {
		if o.reached[i] != 0 {
			l = i
		}
	}
	return l
}

// secondsSinceBad is the time in seconds from the first bad act to at.
func (o *hostResult) secondsSinceBad(at int64) float64 { return float64(at-o.host.Bad) / 1e9 }

// correct reports whether the host has the findings that it should have, and no wrong one.
func (o *hostResult) correct() bool {
	return len(o.wrongClasses) == 0 && (!o.host.Infected() || o.diagnosedAt != 0)
}

// badActs is the number of bad acts until a time: relayed messages, or attempts.
func (o *hostResult) badActs(at int64) int {
	if m := &o.host.Marks; len(m.Relayed) > 0 {
		return campaign.Before(m.Relayed, at)
	}
	return campaign.Before(o.host.Marks.Attempts, at)
}

// runResult is the result of one campaign in one variant.
type runResult struct {
	variant      *campaign.Variant
	hosts        []*hostResult
	packets      uint64
	unknownHosts int // findings about addresses that no host had at that time
	references   []string
}

// runVariant runs all sites of a campaign through the sensor and the references, as many sites at a
// time as there are workers.
func runVariant(cfg campaign.Config, v *campaign.Variant, workers int,
	c copyOptions) (*runResult, error) {
	cfg.V6, cfg.TLS = v.V6, v.TLS
	sites := campaign.Sites(cfg)
	runs := make([]*siteRun, len(sites))
	errs := make([]error, len(sites))
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				runs[i], errs[i] = runSite(sites[i], v, cfg.Seed, c)
			}
		})
	}
	for i := range sites {
		next <- i
	}
	close(next)
	wg.Wait()
	r := &runResult{variant: v}
	for _, a := range reference.NewDetectors() {
		r.references = append(r.references, a.Name())
	}
	if c.suricata != "" {
		r.references = append(r.references, "suricata")
	}
	for i, run := range runs {
		if errs[i] != nil {
			return nil, errs[i]
		}
		r.packets += run.packets
		r.unknownHosts += run.unknownHosts
		r.hosts = append(r.hosts, run.hosts...)
	}
	return r, nil
}

// siteRun is one site with the results of the sensor and the references.
type siteRun struct {
	site         *campaign.Site
	hosts        []*hostResult
	results      map[*campaign.Host]*hostResult
	textPatterns map[*campaign.Scenario]*regexp.Regexp
	packets      uint64
	unknownHosts int
}

// newSiteRun makes empty results for all hosts of a site.
func newSiteRun(site *campaign.Site) *siteRun {
	run := &siteRun{site: site, results: map[*campaign.Host]*hostResult{},
		textPatterns: map[*campaign.Scenario]*regexp.Regexp{}}
	for _, h := range site.Hosts {
		o := &hostResult{host: h, score: detect.Prior, wrongClasses: map[string]verdict.Level{},
			classes: map[string]verdict.Level{}}
		run.results[h] = o
		run.hosts = append(run.hosts, o)
		if e := h.Scenario.Expect.Pattern; e != "" {
			run.textPatterns[h.Scenario] = regexp.MustCompile(e)
		}
	}
	return run
}

// runSite runs a site. The sensor's configuration holds the declared servers and their domains, and
// nothing else. It runs as on a live interface, so that its clock advances when no frame comes.
func runSite(site *campaign.Site, v *campaign.Variant, seed uint64,
	c copyOptions) (*siteRun, error) {
	run := newSiteRun(site)
	e := engine.New(engine.Config{MailServers: site.Declared(), LocalDomains: site.LocalDomains(),
		Live: true, Seed: []byte{1}},
		engine.Output{Finding: run.finding, Source: run.source,
			Session: func(*finding.Session) uint64 { return 0 }})
	f := &frameFeed{w: e.Worker(), link: frame.LinkType(v.Link()), data: make([]byte, 0, 1<<20)}
	suite := reference.NewSuite(reference.NewDetectors(), site.Declared())
	framer := campaign.Framer{Wrap: v.Wrap}
	copied, err := c.open(site, v)
	if err != nil {
		return nil, err
	}
	defer copied.remove()
	site.Run(v.Filter(seed+uint64(site.Number), func(p *campaign.Packet) {
		frame := framer.Frame(p)
		f.add(p.Time, v.Truncate(frame), len(frame))
		copied.write(p.Time, v.Truncate(frame), len(frame))
		suite.Packet(p, v.CapturedPayload(p))
	}))
	f.flush()
	f.advance(f.now + int64(120e9))
	e.Finish(finding.Shutdown)
	run.packets = f.packets
	all := suite.Alarms
	alarms, err := copied.close(site)
	if err != nil {
		return nil, err
	}
	if alarms != nil {
		all = append(all, alarms)
	}
	for _, o := range run.hosts {
		o.references = make([]int64, len(all))
		for i, alarms := range all {
			// A host that had the address before may have caused the alarm.
			if at := alarms[o.host.WireAddr()]; at >= o.host.From &&
				site.HostAt(o.host.WireAddr(), at) == o.host {
				o.references[i] = at
			}
		}
	}
	return run, nil
}

// frameFeed passes frames to an engine in batches, and advances its clock between them.
type frameFeed struct {
	w       *engine.Worker
	link    frame.LinkType
	now     int64
	frames  []frame.Frame
	data    []byte
	packets uint64
}

// add copies a frame to the batch; length is its length on the wire.
func (f *frameFeed) add(at int64, data []byte, length int) {
	if len(f.data)+len(data) > cap(f.data) || len(f.frames) == 1024 || at-f.now > 2e9 {
		f.flush()
		f.advance(at - 1)
	}
	i := len(f.data)
	f.data = append(f.data, data...)
	f.frames = append(f.frames, frame.Frame{Data: f.data[i:len(f.data):len(f.data)], Time: at,
		Len: length, Link: f.link})
	f.now = max(f.now, at)
	f.packets++
}

// flush passes the batch to the engine.
func (f *frameFeed) flush() {
	if len(f.frames) > 0 {
		f.w.Take(f.frames)
		f.w.EmitDue()
	}
	f.frames, f.data = f.frames[:0], f.data[:0]
}

// advance moves the engine's clock over a time without frames, in steps as an idle interface has
// them: 2 s at first, when an attempt may wait for an answer, later up to 64 s.
func (f *frameFeed) advance(until int64) {
	if f.now == 0 {
		return
	}
	for step := int64(2e9); f.now+step < until; {
		f.now += step
		f.w.Idle(f.now)
		if step < 60e9 && until-f.now > 20*step {
			step *= 2
		}
	}
}

// finding takes in a finding of the sensor.
func (run *siteRun) finding(f *finding.Finding) {
	if f.Action == "closed" {
		return
	}
	h := run.site.HostAt(f.Source.Addr.Unmap(), f.Time)
	if h == nil {
		run.unknownHosts++
		return
	}
	o := run.results[h]
	class, sc := f.Class.String(), h.Scenario
	o.classes[class] = max(o.classes[class], f.Level)
	o.score = max(o.score, f.Score)
	text, families := "", ""
	o.reasons = ""
	for i := range f.Reasons {
		r := &f.Reasons[i]
		text += r.Text + "\n"
		families += r.Code.Family().String()
		o.reasons += fmt.Sprintf(" %s:%s %.1f", r.Code.Family(), r.Code, r.Reason.Weight)
	}
	if class == "spambot" && (len(o.decisions) == 0 ||
		o.decisions[len(o.decisions)-1] != f.Decided) {
		o.decisions = append(o.decisions, f.Decided)
	}
	if !h.Infected() {
		if !allowed(sc, class) {
			o.wrongClasses[class] = max(o.wrongClasses[class], f.Level)
			o.reachLevels(f)
		}
		return
	}
	switch {
	case class == sc.Expect.Class && f.Time >= h.Bad:
		o.reachLevels(f)
	case class != sc.Expect.Class && !allowed(sc, class) && class != "direct_smtp" &&
		class != "blocklisted" && class != "not_smtp",
		class == sc.Expect.Class: // before its first bad act
		o.wrongClasses[class] = max(o.wrongClasses[class], f.Level)
	}
	named := h.MustName == "" || strings.Contains(text, h.MustName)
	if o.namedAt == 0 && h.MustName != "" && named {
		o.namedAt = f.Time
	}
	least, _ := verdict.ParseLevel(sc.Expect.Level)
	pattern := run.textPatterns[sc]
	if o.diagnosedAt == 0 && class == sc.Expect.Class && f.Level >= least && named &&
		strings.Contains(families, sc.Expect.Family) &&
		(pattern == nil || pattern.MatchString(text)) &&
		(sc.Expect.Egress == "" || sc.Expect.Egress == f.Egress) && f.Time >= h.Bad {
		o.diagnosedAt = f.Time
	}
}

// allowed reports whether the scenario allows findings of a class.
func allowed(sc *campaign.Scenario, class string) bool {
	for _, a := range sc.Allowed {
		if a == class {
			return true
		}
	}
	return false
}

// reachLevels notes the time at which a finding first reached each level.
func (o *hostResult) reachLevels(f *finding.Finding) {
	for l := verdict.Suspect; l <= f.Level; l++ {
		if o.reached[l] == 0 {
			o.reached[l] = f.Time
		}
	}
}

// source takes in the score of a host without a finding. The score is exactly zero for a host that
// was never judged.
func (run *siteRun) source(r *finding.SourceRecord) {
	if r.Score == 0 {
		return
	}
	if h := run.site.HostAt(r.Addr.Unmap(), r.Time); h != nil {
		o := run.results[h]
		o.score = max(o.score, r.Score)
	}
}
