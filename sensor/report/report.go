// Package report says at the end what was found: in words, for whoever has to act, with
// the numbers for whoever has to check.
package report

import (
	"net/netip"
	"slices"
	"time"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// Report collects what was found. Its methods are called by one goroutine. A nil Report takes in
// nothing.
type Report struct {
	// Name names an input, Clean makes a text from the wire safe to print. Both are
	// required.
	name  func(from uint16) string
	clean func(string) string

	findings []*detect.Finding // latest state of each, in the order in which they were opened
	byID     map[string]int
	accused  map[netip.Addr]bool // who has a finding
	more     int                 // findings that are only counted
	worst    verdict.Level       // of those
	proof    map[netip.Addr][]session
	servers  top
	talkers  top // of ours, undeclared, that tried to mail
	others   int // external sources
	health   []string
	mail     map[netip.Addr]mailserver.Record
	site     *detect.Site
	homes    homes
}

// session is what the report keeps of one that belongs to a finding.
type session struct {
	number  uint64
	start   int64
	to      netip.AddrPort
	helo    string
	from    []string
	rcpts   uint32
	taken   uint32
	refusal string
	tls     string
}

// maxProof is how many sessions are shown with a finding, maxTalkers how many sources in
// a table.
const (
	maxProof   = 5
	maxTalkers = 15
)

// maxFindings is how many findings are kept in all, maxInfos up to how many those that are for
// information only: nobody reads more, and a site can have a hundred thousand hosts.
const (
	maxFindings = 5000
	maxInfos    = 1000
)

// New makes an empty report.
func New(name func(uint16) string, clean func(string) string) *Report {
	return &Report{name: name, clean: clean, byID: map[string]int{}, accused: map[netip.Addr]bool{}, proof: map[netip.Addr][]session{}, homes: homes{}}
}

// Input is what was read, and how well.
type Input struct {
	Names                            []string
	Frames, Refused, Bytes           uint64
	RefusedBy                        []string
	First, Last                      int64
	Took                             time.Duration
	Drops                            uint64
	Loss                             float64 // estimated share of what was sent and not captured
	Account                          string  // what became of all frames
	Problems                         []error
	HomeSeen                         bool
	Attempts, Sessions               uint64
	SeenBoth, SeenClient, SeenServer uint64
	Gaps, Midstream                  uint64
	Settings                         []string // what differs from the defaults
	Unused                           []string // entries of the configuration that were never of use
}

// Session takes in a session that was given out; number is that of its event, zero if
// there is none.
func (r *Report) Session(number uint64, s *detect.Session) {
	if r == nil {
		return
	}
	a := s.Client.Addr()
	r.homes.add(s.Server.Addr(), 1)
	if len(r.proof) > 1000 {
		return
	}
	p := session{number: number, start: s.Start, to: s.Server, helo: s.Helo, rcpts: s.Rcpts, taken: s.Messages, tls: s.TLS}
	for _, f := range s.MailFrom {
		if len(p.from) < 3 {
			p.from = append(p.from, f)
		}
	}
	if len(s.Refusals) > 0 {
		p.refusal = s.Refusals[0].Text
		if p.refusal == "" {
			p.refusal = s.Refusals[0].Phase
		}
	}
	r.proof[a] = keep(r.proof[a], p)
}

// keep adds a session to those that are shown. When they are enough one that can be read takes the place of the latest one that
// cannot: people read their mail while the bot on their machine sends.
func keep(list []session, p session) []session {
	if len(list) >= maxProof {
		i := len(list) - 1
		for i >= 0 && list[i].telling() {
			i--
		}
		if i < 0 || !p.telling() {
			return list
		}
		list = slices.Delete(list, i, i+1)
	}
	return append(list, p)
}

// telling reports whether a session shows what was said.
func (s *session) telling() bool { return s.refusal != "" || s.taken > 0 || len(s.from) > 0 }

// Finding takes in an event of a finding.
func (r *Report) Finding(f *detect.Finding) {
	if r == nil {
		return
	}
	i, known := r.byID[f.ID]
	if !known {
		limit := maxFindings
		if f.Severity == verdict.Info {
			limit = maxInfos
		}
		if len(r.findings) >= limit {
			if f.Action == "opened" {
				r.more++
			}
			if f.Severity > verdict.Info {
				r.worst = max(r.worst, f.Level)
			}
			return
		}
		r.byID[f.ID] = len(r.findings)
		r.accused[f.Source.Addr] = true
		r.findings = append(r.findings, f)
		return
	}
	r.findings[i] = f
}

// Source takes in a source.
func (r *Report) Source(s *detect.SourceRecord) {
	if r == nil {
		return
	}
	r.homes.add(s.Addr, uint64(s.Facts.Attempts)+1)
	switch s.Role {
	case "mailserver":
		r.servers.add(s)
	case "external":
		r.others++
	default:
		if r.accused[s.Addr] {
			return
		}
		r.talkers.add(s)
	}
}

// top holds the first sources of a kind, which are the worst, and sums up all: there may be a
// hundred thousand of them.
type top struct {
	first []detect.SourceRecord
	n     int
	tls   uint64 // sessions
}

func (t *top) add(s *detect.SourceRecord) {
	t.n++
	t.tls += uint64(s.Facts.TLSSessions)
	if len(t.first) < maxTalkers {
		t.first = append(t.first, *s)
	}
}

// Site takes in what was learned about the networks as a whole.
func (r *Report) Site(s *detect.Site) {
	if r == nil {
		return
	}
	latest := *s
	r.site = &latest
}

// Health takes in a condition of the sensor itself.
func (r *Report) Health(text string) {
	if r != nil && !slices.Contains(r.health, text) {
		r.health = append(r.health, text)
	}
}

// Worst is the highest level of any finding that is more than information.
func (r *Report) Worst() verdict.Level {
	worst := r.worst
	for _, f := range r.findings {
		if f.Severity > verdict.Info {
			worst = max(worst, f.Level)
		}
	}
	return worst
}
