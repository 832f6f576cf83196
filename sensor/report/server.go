package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"spamsensor/sensor/detect"
)

// Server takes in what is known of a mail server; the latest counts.
func (r *Report) Server(s *detect.ServerRecord) {
	if r == nil {
		return
	}
	if r.mail == nil {
		r.mail = map[netip.Addr]detect.ServerRecord{}
	}
	r.mail[s.Addr] = *s
}

// mailServers is the section on mail servers.
func (r *Report) mailServers(p *printer) {
	if len(r.mail) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Values(r.mail), func(a, b detect.ServerRecord) int {
		return cmp.Or(-cmp.Compare(a.Count.MessagesOut, b.Count.MessagesOut), a.Addr.Compare(b.Addr))
	})
	p.section(fmt.Sprintf("Mail servers (%d)", len(list)))
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"server", "declared", "out", "in", "refused", "put off", "waiting", "usual/h", "relay test"})
	for i := range list[:min(len(list), maxTalkers)] {
		s := &list[i]
		usual := "learning"
		if s.Hour.Known {
			usual = fmt.Sprintf("%.0f", s.Hour.Mean)
		}
		t.AppendRow(table.Row{s.Addr, yes(s.Declared), s.Count.MessagesOut, s.Count.MessagesIn, s.Count.FailedOut, s.Count.DeferredOut, s.Queue.Estimate, usual, relaying(s)})
	}
	p.line(t.Render())
	for i := range list[:min(len(list), maxTalkers)] {
		r.serverDetails(p, &list[i])
	}
}

// serverDetails is what a table has no room for: a sentence for each thing that is worth one.
func (r *Report) serverDetails(p *printer, s *detect.ServerRecord) {
	c := &s.Count
	say := func(format string, args ...any) {
		p.item(fmt.Sprintf("%s: ", s.Addr) + fmt.Sprintf(format, args...))
	}
	var at, why []string
	refused := uint64(0)
	for phase, n := range c.FailedBy {
		refused += n
		if n > 0 {
			at = append(at, fmt.Sprintf("%s %s", phaseText[phase], grouped(n)))
		}
	}
	causes := make([]detect.Cause, 0, detect.Causes)
	for cause, n := range c.FailedWhy {
		if n > 0 {
			causes = append(causes, detect.Cause(cause))
		}
	}
	slices.SortStableFunc(causes, func(a, b detect.Cause) int { return cmp.Compare(c.FailedWhy[b], c.FailedWhy[a]) })
	for _, cause := range causes {
		why = append(why, fmt.Sprintf("%s %s", cause, grouped(c.FailedWhy[cause])))
	}
	if refused > 0 {
		say("%s by receiving servers: %s. Reasons: %s.", refusals(refused), strings.Join(at, ", "), strings.Join(why, ", "))
	}
	if s.Queue.Estimate > 0 {
		q := &s.Queue
		text := fmt.Sprintf("about %s for %s, the oldest for %s", detect.Count(uint32(q.Estimate), "message seems to wait in its queue", "messages seem to wait in its queue"),
			detect.Count(uint32(q.Destinations), "destination", "destinations"), short(q.Oldest))
		if q.Listed > 0 {
			text += fmt.Sprintf("; %d of them because a blocklist names your address: find out why it is listed before you ask for removal", q.Listed)
		}
		say("%s.", text)
	}
	if c.Backscatter() {
		say("%d of %d messages that it sent are bounces. It takes mail for recipients that it does not have and returns it later, to people who never wrote it: have it refuse unknown recipients at once.", c.BouncesOut, c.MessagesOut)
	}
	if len(c.Port25) > 0 {
		var who []string
		for _, a := range slices.SortedFunc(slices.Values(c.Port25), netip.Addr.Compare) {
			who = append(who, a.String())
		}
		say("your own hosts submit mail on port 25, which is meant for servers: %s. Have them use port 587 with a password, so that port 25 can be closed to them.", list(who))
	}
}

var phaseText = [detect.PhaseClasses]string{detect.AtConnect: "at the greeting", detect.AtMail: "the sender", detect.AtRcpt: "a recipient", detect.AtData: "the message"}

func refusals(n uint64) string {
	if n == 1 {
		return "1 delivery was refused"
	}
	return grouped(n) + " deliveries were refused"
}

// events are numbers of session events, in words.
func events(numbers []uint64) string {
	var text []string
	for _, n := range numbers {
		text = append(text, fmt.Sprint(n))
	}
	return strings.Join(text, ", ")
}

// undeclared are hosts of ours that took mail and that nobody declared, up to five.
func (r *Report) undeclared() (list []netip.Addr) {
	for a, s := range r.mail {
		if !s.Declared && s.Count.MessagesIn > 0 {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list[:min(len(list), 5)]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// relaying is the standing test of a server: what it did with strangers' foreign recipients.
func relaying(s *detect.ServerRecord) string {
	switch {
	case s.Relayed > 0:
		return fmt.Sprintf("FAILED: %d relayed", s.Relayed)
	case s.RelayDenied > 0:
		return fmt.Sprintf("passed %d times, last %s", s.RelayDenied, clock(s.RelayDeniedLast))
	}
	return "nobody tried"
}

// serverFinding is a finding about a mail server.
func (r *Report) serverFinding(p *printer, n int, f *detect.Finding) {
	p.section(fmt.Sprintf("%d. mail server %s  %s, %s, severity %s", n, f.Source.Addr, classText[f.Class], f.Level, f.Severity))
	p.wrap("   ", "   ", fmt.Sprintf("First seen %s, last %s UTC.", clock(f.Decided.At), clock(f.Source.Facts.Last)))
	r.why(p, f)
	if len(f.Evidence) > 0 {
		p.line("   Proof")
		p.item("The sessions in the events " + events(f.Evidence) + ".")
	}
	p.rest(f)
}
