// Package report writes the report of a run for an administrator: the verdict, each finding with
// its reasons and sessions, tables of hosts and mail servers, the limits of the capture, and hints
// for the next run. The sentences serve the reader who acts, the numbers the reader who checks.
//
// A Report collects findings, sources, sessions and servers while the engine outputs them; Text
// writes it. It does not judge: levels, reasons and advice come with the findings. Events hold the
// complete data; the report shows a bounded part.
package report

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// Report collects the content of a report. One goroutine calls its methods. A nil Report collects
// nothing.
type Report struct {
	name  func(from uint16) string // name of an input
	clean func(string) string      // makes a text from the wire safe to print

	findings []*finding.Finding // latest state of each, in the order in which they were opened
	byID     map[string]int
	named    map[netip.Addr]bool      // addresses with a finding
	more     int                      // findings that are only counted
	worst    verdict.Level            // highest level of these
	sessions map[netip.Addr][]session // by client
	servers  top
	others   top // internal hosts without a finding that are no declared servers
	health   []string
	mail     map[netip.Addr]mailserver.Record
	site     *finding.Site
	home     homeCounts
}

// session is the part of a session that a finding shows.
type session struct {
	number   uint64
	start    int64
	to       netip.AddrPort
	helo     string
	from     []string
	accepted uint32              // messages
	refused  finding.RefusalText // the first one; its code is zero if there was none
	tls      string
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
// to print. Both are required.
func New(name func(uint16) string, clean func(string) string) *Report {
	return &Report{name: name, clean: clean, byID: map[string]int{}, named: map[netip.Addr]bool{},
		sessions: map[netip.Addr][]session{}}
}

// Input describes the input of a run and its limits.
type Input struct {
	Names                  []string      // files
	Frames, Refused, Bytes uint64        // Refused frames could not be decoded
	RefusedBy              []string      // numbers of refused frames by reason
	First, Last            int64         // times of frames, in nanoseconds since 1970
	Took                   time.Duration // of the run
	Drops                  uint64        // frames that were lost during the capture
	Loss                   float64       // estimated share of bytes that were not captured, 0 to 1
	Account                string        // account of all frames
	Problems               []error       // of files
	HomeSeen               bool          // an address of the home networks occurred
	// Unjudged are the first of UnjudgedCount hosts in none of the Home networks that would have
	// a level.
	Unjudged               []finding.Unjudged
	UnjudgedCount          int
	Home                   []netip.Prefix
	Attempts               uint64
	SeenClient, SeenServer uint64   // sessions of which only this side was captured
	Gaps                   uint64   // in dialogues
	Midstream              uint64   // connections that began before the capture
	Unused                 []string // configuration entries that had no effect
	Version                string   // of the program
	Settings               []string // options and files that the result depends on
	Sums                   []Sum    // of files
}

// Sum is the SHA-256 of an input, in hexadecimal digits.
type Sum struct{ Name, SHA256 string }

// Session adds a session; number is the number of its event, zero if there is none.
func (r *Report) Session(number uint64, s *finding.Session) {
	if r == nil {
		return
	}
	r.home.add(s.Server.Addr(), 1)
	if len(r.sessions) > maxClients {
		return
	}
	a := s.Client.Addr()
	list := r.sessions[a]
	if settled(list) { // as for most sessions of a storm
		return
	}
	// Texts are copied: each may be a part of one that holds all texts of the session.
	p := session{number: number, start: s.Start, to: s.Server, helo: strings.Clone(s.Helo),
		accepted: s.Messages, tls: s.TLS}
	for _, f := range s.MailFrom[:min(len(s.MailFrom), 3)] {
		p.from = append(p.from, strings.Clone(f))
	}
	if len(s.Refusals) > 0 {
		p.refused = s.Refusals[0]
		p.refused.Text = strings.Clone(p.refused.Text)
	}
	r.sessions[a] = keep(list, p)
}

// settled reports whether keep would add no further session.
func settled(list []session) bool {
	if len(list) < maxSessions {
		return false
	}
	for i := range list {
		if !list[i].readable() {
			return false
		}
	}
	return true
}

// keep adds a session to the sessions of a client. If the list is full, a readable session replaces
// the latest one that is not: the first sessions of a host with a bot may be its user's own,
// encrypted ones.
func keep(list []session, p session) []session {
	if len(list) >= maxSessions {
		i := len(list) - 1
		for i >= 0 && list[i].readable() {
			i--
		}
		if i < 0 || !p.readable() {
			return list
		}
		list = slices.Delete(list, i, i+1)
	}
	return append(list, p)
}

// readable reports whether the dialogue of a session is known.
func (s *session) readable() bool {
	return s.refused.Code != 0 || s.accepted > 0 || len(s.from) > 0
}

// Finding adds a finding, or replaces it by its latest state.
func (r *Report) Finding(f *finding.Finding) {
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
				r.worst = max(r.worst, f.Highest)
			}
			return
		}
		r.byID[f.ID] = len(r.findings)
		r.named[f.Source.Addr] = true
		r.findings = append(r.findings, f)
		return
	}
	r.findings[i] = f
}

// Source adds a source.
func (r *Report) Source(s *finding.SourceRecord) {
	if r == nil {
		return
	}
	r.home.add(s.Addr, uint64(s.Counters.Attempts)+1)
	switch s.Role {
	case "mailserver":
		r.servers.add(s)
	case "external": // not shown
	default:
		if r.named[s.Addr] {
			return
		}
		r.others.add(s)
	}
}

// top holds the first sources of a kind, which are the worst, and the sums of all: there may be a
// hundred thousand of them.
type top struct {
	first []finding.SourceRecord
	n     int
	tls   uint64 // sessions
}

func (t *top) add(s *finding.SourceRecord) {
	t.n++
	t.tls += uint64(s.Counters.TLSSessions)
	if len(t.first) < maxRows {
		t.first = append(t.first, *s)
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
func (r *Report) Health(text string) {
	if r != nil && !slices.Contains(r.health, text) {
		r.health = append(r.health, text)
	}
}

// NotJudged adds hosts that are not judged because they are in no home network: nobody may take
// the report for one without a finding.
func (r *Report) NotJudged(list []finding.Unjudged) {
	for _, u := range list {
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
