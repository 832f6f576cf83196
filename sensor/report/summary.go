package report

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// Bounds of a report that does not show all.
const (
	maxSummary = 50  // rows of the table of findings
	maxDetails = 10  // findings in detail
	maxLines   = 130 // lines of these, after the third
)

// verdict writes the headline.
func (p *printer) verdict(h *Headline) {
	if h.Alarm == Grey {
		p.field("VERDICT", p.tr.Sentence(h.Sentence))
	} else {
		p.headline(alarmColor[h.Alarm], "VERDICT", p.tr.Sentence(h.Sentence))
	}
	for _, s := range h.More {
		p.field("", p.tr.Sentence(s))
	}
}

// alarmColor are the colours of headlines.
var alarmColor = map[Alarm]text.Color{Red: text.FgHiRed, Yellow: text.FgHiYellow,
	Green: text.FgHiGreen}

// writeFindings writes the table of the findings, if there are several, what to do about those that
// have the same advice, and the worst in detail.
func (p *printer) writeFindings(m *Model) {
	found := m.Findings
	var shared []*advice
	if len(found) > 1 {
		p.summary(found, m.Period.Last)
		if !p.all { // else each finding shall be complete
			var list []*advice
			shared, list = p.together(found, maxDetails)
			for _, a := range list {
				a.write(p)
			}
		}
	}
	p.details(m, shared)
	if m.MoreFindings > 0 {
		p.line("")
		p.line(p.tr.Sprintf("and %s more findings: all are in the events",
			p.number(uint64(m.MoreFindings))))
	}
}

// summary writes the table of the findings; end is the end of the input.
func (p *printer) summary(found []Finding, end Time) {
	p.section(p.tr.Sprintf("Findings (%s)", p.number(uint64(len(found)))))
	rows := found
	if !p.all {
		rows = found[:min(len(found), maxSummary)]
	}
	var cells [][]string
	for i := range rows {
		f := &rows[i]
		c := &f.Counts
		last := "-"
		if f.LastSign != 0 {
			last = p.minute(f.LastSign)
		}
		attempts, messages := p.number(uint64(c.Attempts)), p.number(uint64(c.Messages))
		if f.Class >= verdict.OpenRelay { // its counts are in the table of mail servers
			attempts, messages = "-", "-"
		}
		cells = append(cells, []string{fmt.Sprint(i + 1), f.Called(), p.tr.Sentence(f.Title),
			p.minute(f.Since()), last, p.active(f, end), attempts, messages})
	}
	p.columns([]column{{name: "#", right: true}, {name: "host", hosts: true},
		{name: "finding", cut: true, least: 20}, {name: "since", drop: 5},
		{name: lastName(found), drop: 3}, {name: "active", drop: 4},
		{name: "attempts", right: true, drop: 2}, {name: "accepted", right: true, drop: 1}}, cells)
	if more := len(found) - len(rows); more > 0 {
		p.line(p.tr.Sprintf("   and %s more, with -v", p.number(uint64(more))))
	}
}

// lastName is what a table calls the last sign of findings: spam, if all are about spambots.
func lastName(found []Finding) string {
	for i := range found {
		if found[i].Class != verdict.Spambot {
			return "last sign"
		}
	}
	return "last spam"
}

// active says whether the host of a finding went on to the end of the input, and if not, for how
// long it has been quiet; "-" if that is not known.
func (p *printer) active(f *Finding, end Time) string {
	if f.Latest() == 0 || f.lost() {
		return "-"
	}
	switch d := f.Silent(end); {
	case d == 0:
		return p.tr.Text("yes")
	case d < 48*time.Hour:
		return p.tr.Sprintf("quiet %d h", int(d.Hours()))
	default:
		return p.tr.Sprintf("quiet %d days", int(d.Hours())/24)
	}
}

// title is what a finding is, in a few words.
func title(f *finding.Finding) string {
	if f.Class == verdict.DirectSMTP {
		return "direct mail"
	}
	return f.Highest.String() + " " + className[f.Class]
}

// className are the classes in words for a table.
var className = [verdict.Classes]string{verdict.Spambot: "spambot",
	verdict.DirectSMTP: "direct mail", verdict.UndeclaredServer: "undeclared server",
	verdict.Scanner: "scanner", verdict.NotSMTP: "other protocol",
	verdict.OnBlocklist: "blocklisted", verdict.OpenRelay: "open relay",
	verdict.HijackedAccount: "hijacked account", verdict.VolumeAnomaly: "unusual volume",
	verdict.Backscatter: "backscatter"}

// ignoredFindings writes the findings that the configuration has ignored.
func (p *printer) ignoredFindings(found []Finding) {
	if len(found) == 0 {
		return
	}
	p.section(p.tr.Sprintf("Ignored by your configuration (%s)", p.number(uint64(len(found)))))
	rows := found
	if !p.all {
		rows = found[:min(len(found), maxRows)]
	}
	for i := range rows {
		f := &rows[i]
		until := p.tr.Text("without an end")
		if f.Ignored.Until != 0 {
			until = p.tr.Sprintf("until the end of %s", p.time(f.Ignored.Until-1, time.DateOnly))
		}
		p.item(p.tr.Sprintf("%s: %s, decided %s, %s. Ignored %s, because: %s", f.Called(),
			p.tr.Sentence(f.Title), p.clock(f.Decided.At),
			p.plural(uint64(f.Counts.Attempts), "attempt"), until,
			f.Ignored.Why))
	}
	if more := len(found) - len(rows); more > 0 {
		p.line(p.tr.Sprintf("   and %s more, with -v", p.number(uint64(more))))
	}
}
