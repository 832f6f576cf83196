package report

import (
	"bytes"
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
	p.line("")
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

// writeFindings writes the table of the findings, if there are several, and the worst in detail.
func (p *printer) writeFindings(m *Model) {
	found := m.Findings
	if len(found) > 1 {
		p.summary(found)
	}
	depth := full
	switch {
	case p.all:
	case len(found) <= 3:
		depth = usual
	default:
		depth = brief
	}
	shown, began := 0, p.lines
	for i := range found {
		if !p.all && i == maxDetails {
			break
		}
		one := *p
		var text bytes.Buffer
		one.out = &text
		one.finding(i+1, &found[i], m.Period.Last, depth)
		if !p.all && i > 2 && one.lines-began > maxLines {
			break
		}
		text.WriteTo(p.out)
		p.lines, p.shortened = one.lines, one.shortened
		shown++
	}
	if more := len(found) - shown; more > 0 {
		p.line("")
		p.line(p.tr.Sprintf("%s in detail: with -v", p.count(uint32(more), "more finding",
			"more findings")))
	}
	if m.MoreFindings > 0 {
		p.line("")
		p.line(p.tr.Sprintf("and %s more findings: all are in the events",
			p.number(uint64(m.MoreFindings))))
	}
}

// summary writes the table of the findings.
func (p *printer) summary(found []Finding) {
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
			p.tr.Text(f.Severity), p.minute(f.Decided.At), last, attempts, messages})
	}
	p.columns([]column{{name: "#", right: true}, {name: "host"}, {name: "finding", cut: true},
		{name: "severity"}, {name: "decided", drop: 4}, {name: "last sign", drop: 2},
		{name: "attempts", right: true, drop: 3}, {name: "accepted", right: true, drop: 1}}, cells)
	if more := len(found) - len(rows); more > 0 {
		p.line(p.tr.Sprintf("   and %s more, with -v", p.number(uint64(more))))
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
