package playbook

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/timeline"
	"spamsensor/sensor/verdict"
)

// State is whether a host is quiet.
type State string

// The states.
const (
	Clean    State = "clean"
	NotClean State = "not_clean"
	Unknown  State = "unknown" // it was never seen, or not watched for long enough
)

// Check says whether a host is quiet, since when, and what speaks against it.
type Check struct {
	IP    netip.Addr  `json:"ip"`
	Name  string      `json:"name,omitempty"`
	State State       `json:"state"`
	Now   report.Time `json:"now"` // the end of the input
	// Watched is when the sensor, or the capture, began.
	Watched report.Time `json:"watched_since"`
	// LastAttempt is of any connection to a mail port, LastSign of a finding.
	LastAttempt report.Time `json:"last_attempt"`
	LastSign    report.Time `json:"last_sign"`
	LastHour    uint64      `json:"attempts_last_hour"`
	LastDay     uint64      `json:"attempts_last_day"`
	LastWeek    uint64      `json:"attempts_last_7_days"`
	// Uncounted says that these numbers are not known: a report does not have the attempts of a
	// host over time, nor has a sensor those of each of very many hosts.
	Uncounted bool `json:"attempts_not_counted,omitempty"`
	// Needed is how long there must be no sign, in ns; CleanAt is when that is reached, if none
	// comes until then.
	Needed   time.Duration `json:"needed_ns"`
	CleanAt  report.Time   `json:"clean_at"`
	Findings []About       `json:"findings"`
	Against  []Point       `json:"against"`         // why it is not clean, or not known
	Notes    []Point       `json:"notes,omitempty"` // what else a person should know
}

// About is a finding about the host.
type About struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Class    verdict.Class `json:"class"`
	Open     bool          `json:"open"`
	Reason   string        `json:"close_reason,omitempty"`
	LastSign report.Time   `json:"last_sign"`
	Ignored  bool          `json:"ignored,omitempty"`
}

// Point is something that speaks against a host. Texts are English; a person reads them through
// lang.Printer.Sentence.
type Point struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// week is as long as attempts are counted for.
const week = report.Time(7 * 24 * time.Hour)

// Verify checks whether a host is quiet. s are its attempts over time, known says that the sensor
// has seen it at all.
func Verify(m *report.Model, ip netip.Addr, s *timeline.Series, known bool) *Check {
	ip = plain(ip)
	c := &Check{IP: ip, State: Clean, Now: m.Period.Last, Watched: m.Period.First,
		Needed: needed(verdict.Spambot), Findings: []About{}, Against: []Point{}}
	host := c.host(m)
	c.count(s)
	c.findings(m)
	c.Uncounted = c.LastWeek == 0 && c.LastAttempt != 0 && c.Now-c.LastAttempt < week
	c.judge(m, host, known || host != nil || len(c.Findings) > 0)
	return c
}

// host sums up the records of an address, of which each VLAN has one; nil if there is none.
func (c *Check) host(m *report.Model) (h *report.Host) {
	for i := range m.Hosts {
		if x := &m.Hosts[i]; plain(x.IP) == c.IP {
			if h == nil || x.Last > h.Last {
				h = x
			}
			c.LastAttempt, c.Name = max(c.LastAttempt, x.Last), x.Name
		}
	}
	return h
}

// count counts attempts until now: by hours, and by minutes in the hour in which the time begins. A
// busy sensor drops minutes first, so that there may be too few of these; see attempts.
func (c *Check) count(s *timeline.Series) {
	if s == nil {
		return
	}
	now := int64(c.Now)
	sum := func(span int64) (n uint64) {
		for _, b := range s.Hours {
			if b.At*timeline.Hour >= now-span {
				n += uint64(b.N)
			}
		}
		for _, b := range s.Minutes {
			whole := b.At*timeline.Minute/timeline.Hour*timeline.Hour >= now-span
			if (b.At+1)*timeline.Minute > now-span && !whole {
				n += uint64(b.N)
			}
		}
		return n
	}
	c.LastHour, c.LastDay = sum(timeline.Hour), sum(24*timeline.Hour)
	for _, b := range s.Hours {
		if (b.At+1)*timeline.Hour > now-7*24*timeline.Hour {
			c.LastWeek += uint64(b.N)
		}
	}
	if n := len(s.Minutes); n > 0 {
		c.LastAttempt = max(c.LastAttempt, report.Time(s.Minutes[n-1].At*timeline.Minute))
	}
}

// findings takes in the findings about the host and about its machine.
func (c *Check) findings(m *report.Model) {
	for _, list := range [][]report.Finding{m.Findings, m.Ignored} {
		for i := range list {
			f := &list[i]
			if plain(f.IP) != c.IP && !slices.Contains(f.Also, c.IP) {
				continue
			}
			c.Findings = append(c.Findings, About{ID: f.ID, Title: f.Title, Class: f.Class,
				Open: f.Open || stopped(f.CloseReason), Reason: f.CloseReason, LastSign: f.LastSign,
				Ignored: f.Ignored != nil})
			if f.Severity == verdict.Info.String() && f.Ignored == nil {
				continue // it is not spam
			}
			c.LastSign = max(c.LastSign, f.LastSign)
			c.Needed = max(c.Needed, needed(f.Class))
			if f.Class < verdict.OpenRelay && plain(f.IP) == c.IP {
				c.LastAttempt = max(c.LastAttempt, f.Last)
			}
			c.sign(f)
		}
	}
}

// stopped reports whether a finding was closed because the input ended, which says nothing of the
// host.
func stopped(reason string) bool { return reason == "end_of_input" || reason == "shutdown" }

// sign says what a finding has against the host.
func (c *Check) sign(f *report.Finding) {
	quiet := time.Duration(c.Now - f.LastSign)
	need := needed(f.Class)
	at := report.Time(int64(f.LastSign) + int64(need))
	switch {
	case f.LastSign == 0 && f.Open:
		c.against("open_finding", fmt.Sprintf("The finding %s is open.", f.ID))
	case f.LastSign != 0 && quiet < need:
		c.CleanAt = max(c.CleanAt, at)
		c.against("recent_sign", fmt.Sprintf("The last sign of %s was %s ago; %s without one are "+
			"needed.", f.ID, verdict.Span(int64(max(quiet, 0))), days(need)))
	case f.Open:
		c.note("still_open", fmt.Sprintf("The finding %s is still open, and will be closed.", f.ID))
	}
}

func (c *Check) against(code, text string) { c.Against = append(c.Against, Point{code, text}) }
func (c *Check) note(code, text string)    { c.Notes = append(c.Notes, Point{code, text}) }

// blind are the health checks that make silence say nothing.
var blind = []string{"no_packets", "link", "loss", "drops"}

// judge decides.
func (c *Check) judge(m *report.Model, host *report.Host, known bool) {
	if !known {
		c.State = Unknown
		if m.LeftOut.Hides() {
			c.against("left_out", "This host is not in the report, which was shortened: it may be "+
				"one of those that are left out.")
			return
		}
		c.against("never_seen", "The sensor has never seen a connection of this host to a mail "+
			"port: either it is quiet, or its traffic does not pass the mirror port.")
		return
	}
	c.attempts(host)
	if len(c.Against) > 0 {
		c.State = NotClean
		return
	}
	c.missing(m, host)
	if watched := time.Duration(c.Now - c.Watched); watched < c.Needed {
		c.State = Unknown
		c.CleanAt = report.Time(int64(c.Watched) + int64(c.Needed))
		c.against("watched_too_short", fmt.Sprintf("It was watched for %s only; %s are needed.",
			verdict.Span(int64(max(watched, 0))), days(c.Needed)))
	}
	for _, h := range m.Health {
		if m.Live && slices.Contains(blind, h.Check) {
			c.State = Unknown
			c.against("blind", fmt.Sprintf("The sensor does not see all: %s", h.Text))
		}
	}
}

// missing is what the model lacks that may speak against the host: a finding that was left out when
// a report was shortened, or that is only counted.
func (c *Check) missing(m *report.Model, host *report.Host) {
	switch {
	case host != nil && host.Finding != "" && !slices.ContainsFunc(c.Findings,
		func(a About) bool { return a.ID == host.Finding }):
		c.against("left_out", fmt.Sprintf("The finding %s about it is left out: its last sign is "+
			"not known.", host.Finding))
	case len(c.Findings) == 0 && (m.MoreFindings > 0 || m.LeftOut != nil && m.LeftOut.Others > 0):
		c.against("left_out", "Not all findings are listed: one of the others may be about it.")
	default:
		return
	}
	c.State = Unknown
}

// attempts judges connections without a sign. The time of the last one decides: among very many
// hosts, the attempts of some are not counted by time.
func (c *Check) attempts(host *report.Host) {
	recent := c.LastAttempt != 0 && time.Duration(c.Now-c.LastAttempt) < 24*time.Hour
	if c.LastDay == 0 && !recent && len(c.Findings) > 0 {
		c.note("silent", "It made no attempt in the last 24 hours: a host that is off is quiet, "+
			"too.")
	}
	if host == nil || c.LastDay == 0 && !recent {
		return
	}
	made := verdict.Plural(int(c.LastDay), "attempt")
	if c.LastDay == 0 {
		made = "attempts that are not counted by time"
	}
	// A machine that sends through its own server, on a port of submission, is as it should be;
	// so is a mail server.
	bot := slices.ContainsFunc(c.Findings, func(a About) bool {
		return a.Class == verdict.Spambot && !a.Ignored
	})
	if bot && !host.Declared() && host.Outside &&
		uint64(host.On(25))*2 > uint64(host.Counts.Attempts) {
		c.CleanAt = max(c.CleanAt, report.Time(int64(c.LastAttempt)+int64(c.Needed)))
		c.against("still_tries", fmt.Sprintf("It made %s in the last 24 hours, and connects to "+
			"port 25 of servers outside.", made))
		return
	}
	c.note("other_attempts", fmt.Sprintf("It made %s in the last 24 hours, without a sign of "+
		"spam: a mail program does that, too.", made))
}

// verdicts are the states in words.
var verdicts = map[State]string{
	Clean:    "%s counts as clean: there was no sign of spam for %s.",
	NotClean: "%s is NOT clean.",
	Unknown:  "It cannot be told whether %s is clean.",
}

// Write writes a check for a terminal.
func (c *Check) Write(out io.Writer, l Layout) error {
	w := newWriter(l)
	p := l.Lang
	ago := func(t report.Time, none string) string {
		if t == 0 {
			return none
		}
		return p.Sprintf("%s (%s ago)", w.clock(t),
			p.Sentence(verdict.Span(int64(max(c.Now-t, 0)))))
	}
	host := called(c.IP, c.Name)
	head := p.Sprintf(verdicts[c.State], host)
	if c.State == Clean {
		since := max(c.Watched, c.LastSign)
		head = p.Sprintf(verdicts[Clean], host,
			p.Sentence(verdict.Span(int64(c.Now-since))))
	}
	w.line(w.bold(head))
	rows := [][2]string{}
	add := func(name, text string) { rows = append(rows, [2]string{p.Text(name), text}) }
	for _, x := range c.Against {
		add("Against", p.Sentence(x.Text))
	}
	if c.CleanAt != 0 && c.State != Clean {
		add("Clean", p.Sprintf("from %s on, if there is no sign until then",
			w.clock(c.CleanAt)))
	}
	add("Last attempt", ago(c.LastAttempt, p.Text("none seen")))
	add("Last sign", ago(c.LastSign, p.Text("none")))
	attempts := p.Sprintf("%s in the last hour, %s in 24 hours, %s in 7 days",
		p.Number(c.LastHour), p.Number(c.LastDay), p.Number(c.LastWeek))
	if c.Uncounted {
		attempts = p.Text("not counted by time")
	}
	add("Attempts", attempts)
	add("Watched", p.Sprintf("since %s", ago(c.Watched, p.Text("none"))))
	for _, f := range c.Findings {
		add("Finding", c.about(p, &f))
	}
	for _, x := range c.Notes {
		add("Note", p.Sentence(x.Text))
	}
	w.rows(rows)
	_, err := io.WriteString(out, w.b.String())
	return err
}

// about is a finding in a line.
func (c *Check) about(p *lang.Printer, f *About) string {
	state := p.Text("open")
	if !f.Open {
		state = p.Text("closed")
	}
	parts := []string{f.ID, p.Sentence(f.Title), state}
	if f.Ignored {
		parts = append(parts, p.Text("ignored by your configuration"))
	}
	return strings.Join(parts, ", ")
}
