// Package report writes the report of a run for an administrator: the verdict, each finding with
// its reasons and sessions, tables of hosts and mail servers, the limits of the capture, and hints
// for the next run. The sentences serve the reader who acts, the numbers the reader who checks.
//
// A Report collects findings, sources, sessions and servers while the engine outputs them, and
// makes a Model of them. Every form of the report shows the Model: Text writes it for a terminal.
// The package does not judge: levels, reasons and advice come with the findings. Events hold the
// complete data; the report shows a bounded part.
package report

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/timeline"
	"spamsensor/sensor/verdict"
)

// Report collects the content of a report. One goroutine calls its methods. A nil Report collects
// nothing.
type Report struct {
	name  func(from uint16) string // name of an input
	clean func(string) string      // makes a text from the wire safe to print

	findings  []*finding.Finding // latest state of each, in the order in which they were opened
	byID      map[string]int
	named     map[netip.Addr]bool    // addresses with a finding
	first     map[netip.Addr]string  // worstFindings, while Model runs
	more      int                    // findings that are only counted
	worst     verdict.Level          // highest level of these
	sessions  map[netip.Addr]proofs  // by client
	hosts     []finding.SourceRecord // of ours, and those that are judged; the worst first
	hostCount int                    // all of them
	tls       uint64                 // encrypted sessions of hosts without a finding
	stories   map[string][]Step      // of findings, by id
	health    []Health
	mail      map[netip.Addr]mailserver.Record
	hours     map[netip.Addr][]ServerHour
	times     map[netip.Addr]*timeline.Series
	site      *finding.Site
	home      homeCounts
	explained map[string]*finding.Finding // with the reasons of now, by id; see Renew
	names     map[netip.Addr]string       // that people know hosts by
	live      bool                        // no end: old findings make room

	only                    []netip.Prefix // see Only
	leftFindings, leftHosts int            // of hosts that are not shown
	leftServers             map[netip.Addr]bool
	table                   *sessionTable // nil: none is wanted
}

// session is the part of a session that a finding shows.
type session struct {
	number   uint64
	start    int64
	to       netip.AddrPort
	helo     string
	from     []string
	accepted uint32              // messages
	refused  finding.RefusalText // that says most; its code is zero if there was none
	tls      string
	kind     kind
}

// maxSessions bounds the sessions of a finding, maxRows the rows of a table.
const (
	maxSessions = 5
	maxRows     = 15
)

// maxClients bounds the clients whose sessions are kept.
const maxClients = 1000

// maxFindings bounds the findings that are kept. Findings for information are kept up to maxInfos
// in all. Nobody reads more, and a site may have a hundred thousand hosts.
const (
	maxFindings = 5000
	maxInfos    = 1000
)

// New returns an empty report. name is the name of an input, clean makes a text from the wire safe
// to print. Both are required. live says that the run has no end: then findings that were closed
// make room for new ones.
func New(name func(uint16) string, clean func(string) string, live bool) *Report {
	return &Report{name: name, clean: clean, live: live,
		byID: map[string]int{}, named: map[netip.Addr]bool{},
		sessions: map[netip.Addr]proofs{}, stories: map[string][]Step{}}
}

// Names sets the names that people know hosts by, which are safe to print.
func (r *Report) Names(names map[netip.Addr]string) { r.names = names }

// called is a host with its name, if it has one.
func (r *Report) called(a netip.Addr) string { return called(a, r.names[a]) }

// called is an address with the name of its host, which may be empty.
func called(a netip.Addr, name string) string {
	if name == "" {
		return a.String()
	}
	return a.String() + " (" + name + ")"
}

// Input describes the input of a run and its limits.
type Input struct {
	Names     []string      `json:"names"`  // files
	Frames    uint64        `json:"frames"` // packets
	Refused   uint64        `json:"refused"`
	Bytes     uint64        `json:"bytes"`
	RefusedBy []string      `json:"refused_by,omitempty"` // numbers of refused frames by reason
	First     int64         `json:"-"`                    // times of frames, in ns since 1970
	Last      int64         `json:"-"`
	Took      time.Duration `json:"took_ns"` // the run
	Drops     uint64        `json:"drops"`   // frames that were lost during the capture
	// Loss is the estimated share of bytes that were not captured, 0 to 1.
	Loss     float64  `json:"loss_estimate"`
	Account  string   `json:"account"`            // of all frames
	Problems []string `json:"problems,omitempty"` // of files
	HomeSeen bool     `json:"home_seen"`          // an address of the home networks occurred
	// Unjudged are the first of UnjudgedCount hosts in none of the Home networks that would have
	// a level.
	Unjudged      []finding.Unjudged `json:"-"`
	UnjudgedCount int                `json:"not_judged"`
	Home          []netip.Prefix     `json:"home"`
	Roles         []Declared         `json:"-"` // that the configuration declares
	Relays        []netip.Prefix     `json:"-"` // that our hosts may send to
	Attempts      uint64             `json:"attempts"`
	// Sessions of which only this side was captured.
	SeenClient uint64       `json:"-"`
	SeenServer uint64       `json:"-"`
	Gaps       uint64       `json:"-"`        // in dialogues
	Midstream  uint64       `json:"-"`        // connections that began before the capture
	Unused     []string     `json:"-"`        // configuration entries that had no effect
	Version    string       `json:"-"`        // of the program
	Sensor     string       `json:"-"`        // its name
	Live       bool         `json:"-"`        // the sensor runs
	Only       *Restriction `json:"-"`        // nil: all
	Settings   []string     `json:"settings"` // options and files that the result depends on
	Sums       []Sum        `json:"sha256,omitempty"`
}

// Sum is the SHA-256 of an input, in hexadecimal digits.
type Sum struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Session adds a session; number is the number of its event, zero if there is none.
func (r *Report) Session(number uint64, s *finding.Session) {
	if r == nil {
		return
	}
	r.home.add(s.Server.Addr(), 1)
	r.addToTable(number, s)
	if len(r.sessions) > maxClients {
		if !r.live {
			return
		}
		r.forget()
		if len(r.sessions) > maxClients {
			return
		}
	}
	a := s.Client.Addr()
	p := r.sessions[a]
	if len(p.list) >= maxSessions && !p.unread() {
		if p.seen == maxSeen { // as for most sessions of a storm
			return
		}
		p.seen++
		r.sessions[a] = p
	}
	kind, by := kindOf(s)
	place := p.place(kind, s.Direction == "inbound")
	if place < 0 {
		return
	}
	// Texts are copied: each may be a part of one that holds all texts of the session.
	x := session{number: number, start: s.Start, to: s.Server, helo: strings.Clone(s.Helo),
		accepted: s.Messages, tls: s.TLS, kind: kind}
	for _, f := range s.MailFrom[:min(len(s.MailFrom), 3)] {
		x.from = append(x.from, strings.Clone(f))
	}
	if by != nil {
		x.refused = *by
		x.refused.Text = strings.Clone(by.Text)
	}
	p.add(x, place)
	r.sessions[a] = p
}

// Finding adds a finding, or replaces it by its latest state.
func (r *Report) Finding(f *finding.Finding) {
	if r == nil {
		return
	}
	if !r.shows(f.Source.Addr) {
		r.leaveOut(f)
		return
	}
	i, known := r.byID[f.ID]
	if known {
		r.findings[i] = f
		r.addStep(f)
		return
	}
	if r.live && len(r.findings) >= maxInfos {
		r.forget()
	}
	limit := maxFindings
	if f.Severity == verdict.Info {
		limit = maxInfos
	}
	if len(r.findings) >= limit {
		if f.Action == "opened" {
			r.more++
		}
		if f.Severity > verdict.Info {
			r.worst = max(r.worst, f.Highest)
		}
		return
	}
	r.byID[f.ID] = len(r.findings)
	r.named[f.Source.Addr] = true
	r.findings = append(r.findings, f)
	r.addStep(f)
}

// forget removes half of the findings that are closed, those that were closed first, and the
// sessions of hosts without a finding.
func (r *Report) forget() {
	var closed []*finding.Finding
	for _, f := range r.findings {
		if f.Action == finding.Closed {
			closed = append(closed, f)
		}
	}
	slices.SortStableFunc(closed, func(a, b *finding.Finding) int {
		return cmp.Compare(a.Time, b.Time)
	})
	gone := map[string]bool{}
	for _, f := range closed[:(len(closed)+1)/2] {
		gone[f.ID] = true
		delete(r.stories, f.ID)
	}
	r.findings = slices.DeleteFunc(r.findings, func(f *finding.Finding) bool { return gone[f.ID] })
	clear(r.byID)
	clear(r.named)
	for i, f := range r.findings {
		r.byID[f.ID] = i
		r.named[f.Source.Addr] = true
	}
	maps.DeleteFunc(r.sessions, func(a netip.Addr, _ proofs) bool { return !r.named[a] })
}

// OpenHosts are the hosts with an open finding: at most limit, those of the worst findings.
func (r *Report) OpenHosts(limit int) map[netip.Addr]bool {
	open := map[netip.Addr]bool{}
	for _, f := range r.sorted() {
		if len(open) < limit && f.Action != finding.Closed && f.Class < verdict.OpenRelay {
			open[f.Source.Addr] = true
		}
	}
	return open
}

// Renew replaces the hosts: whoever asks a running sensor adds them anew. total is the number of
// all hosts, of which list has the worst. explained are findings with the reasons of now; they take
// the place of those of the latest events.
func (r *Report) Renew(list []finding.SourceRecord, total int, explained []*finding.Finding) {
	r.hosts, r.hostCount, r.tls = nil, 0, 0
	r.explained = map[string]*finding.Finding{}
	for _, f := range explained {
		if f.ID != "" {
			r.explained[f.ID] = f
		}
	}
	for i := range list {
		r.Source(&list[i])
	}
	r.hostCount += total - len(list)
}

// maxSteps bounds the story of a finding: its beginning, and its latest steps.
const maxSteps = 24

// addStep adds a step to the story of a finding.
func (r *Report) addStep(f *finding.Finding) {
	steps := append(r.stories[f.ID], Step{Time(f.Time), f.Action, f.Level.String(),
		f.Source.Counters.Attempts})
	if len(steps) > maxSteps {
		steps = slices.Delete(steps, maxSteps/2, maxSteps/2+1)
	}
	r.stories[f.ID] = steps
}

// Source adds a source. The worst come first. External hosts without a level are counted for the
// guess of the home network alone.
func (r *Report) Source(s *finding.SourceRecord) {
	if r == nil {
		return
	}
	if !r.live { // else each question adds all of them
		r.home.add(s.Addr, uint64(s.Counters.Attempts)+1)
	}
	if s.Role == "external" {
		return
	}
	if !r.shows(s.Addr) {
		r.leftHosts++
		return
	}
	r.hostCount++
	if s.Role == "mailserver" || !r.named[s.Addr] {
		r.tls += uint64(s.Counters.TLSSessions)
	}
	if len(r.hosts) < MaxHosts {
		r.hosts = append(r.hosts, *s)
	}
}

// Site adds the facts about the internal networks as a whole; the latest replace earlier ones.
func (r *Report) Site(s *finding.Site) {
	if r == nil {
		return
	}
	latest := *s
	r.site = &latest
}

// Health adds a condition of the sensor itself.
func (r *Report) Health(h Health) {
	if r != nil && !slices.ContainsFunc(r.health, func(x Health) bool { return x.Text == h.Text }) {
		r.health = append(r.health, h)
	}
}

// NotJudged adds hosts that are not judged because they are in no home network: nobody may take
// the report for one without a finding.
func (r *Report) NotJudged(list []finding.Unjudged) {
	for _, u := range list {
		if !r.shows(u.Addr) {
			continue
		}
		r.worst = max(r.worst, u.Level)
	}
}

// Worst is the highest level of all findings that stand and are more than information, and of
// hosts that are not judged.
func (r *Report) Worst() verdict.Level {
	worst := r.worst
	for _, f := range r.findings {
		if f.Worst() > verdict.Info && !f.Revoked() {
			worst = max(worst, f.Highest)
		}
	}
	return worst
}
