package report

import (
	"fmt"
	"strings"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// The report is a history. A finding counts with its highest level; that its evidence is old does
// not lower it. What became of it is said in a sentence of its own. A finding that other evidence
// has withdrawn accuses nobody: it is listed at the end.

// quiet is how long there must be no sign of a finding at the end of the input until it is told as
// over; a shorter silence, from stillActive on, is told with the finding alone.
const (
	quiet       = 24 * hour
	stillActive = hour
	hour        = 60 * minute
	minute      = 60 * int64(1e9)
)

// over reports whether a finding is about the past: it had no sign in the last day of the input.
func over(f *finding.Finding, end int64) bool {
	at := f.LastSign()
	return at != 0 && end-at >= quiet
}

// became says what became of a finding until the end of the input; empty if it went on to the end.
func (p *printer) became(f *Finding, end Time) string {
	var list []string
	if n := len(f.Periods); n > 1 {
		var times []string
		for _, x := range f.Periods {
			times = append(times, p.span(x.First, x.Last))
		}
		list = append(list, p.tr.Sprintf("Signs came in %d periods: %s.", n,
			strings.Join(times, p.tr.Text("; "))))
	} else if f.Reopened > 0 {
		list = append(list, p.tr.Sprintf("It came back %s, the last time after %s.",
			p.times(uint64(f.Reopened)), p.lasting(f.CleanFor)))
	}
	switch at := f.LastSign; {
	case f.CloseReason == finding.Evicted:
		list = append(list, p.tr.Sprintf("It was watched until %s: the table of hosts was full.",
			p.clock(f.Time)))
	case f.CloseReason == finding.MACChanged:
		list = append(list, p.tr.Sprintf("Another machine has the address since %s.",
			p.clock(f.Time)))
	case at == 0 || int64(end-at) < stillActive ||
		f.Class != verdict.Spambot && int64(end-at) < quiet:
	case f.Class == verdict.Spambot:
		list = append(list, p.spamEnded(f, end))
	case int64(f.Last-at) >= stillActive:
		list = append(list, p.tr.Sprintf("Last sign %s. It went on until %s without another one.",
			p.clock(at), p.clock(f.Last)))
	case p.live:
		list = append(list, p.tr.Sprintf("Quiet since %s (%s).", p.clock(at),
			p.lasting(int64(end-at))))
	default:
		list = append(list, p.tr.Sprintf("Quiet since %s, for %s until the end of the capture.",
			p.clock(at), p.lasting(int64(end-at))))
	}
	return strings.Join(list, " ")
}

// spamEnded says what is known of a host since the last sign of its spam: its attempts, of which
// nothing shows whether they were spam, and its silence.
func (p *printer) spamEnded(f *Finding, end Time) string {
	text := p.tr.Sprintf("Last spam seen %s.", p.clock(f.LastSign))
	switch after := int64(f.Last - f.LastSign); {
	case after >= stillActive:
		text += " " + p.tr.Sprintf("It made attempts until %s; whether they were spam is not "+
			"known.", p.clock(f.Last))
	case after >= minute:
		text = p.tr.Sprintf("Last spam seen %s, last attempt %s.", p.clock(f.LastSign),
			p.clock(f.Last))
	}
	switch silent := int64(end - f.Latest()); {
	case silent < stillActive:
	case p.live:
		text += " " + p.tr.Sprintf("No attempt since then, for %s.", p.lasting(silent))
	default:
		text += " " + p.tr.Sprintf("No attempt since then, in the last %s of the capture.",
			p.lasting(silent))
	}
	return text + " " + p.tr.Text("Treat it as infected until it is cleaned.")
}

// lasting is how long something lasted.
func (p *printer) lasting(ns int64) string { return p.tr.Sentence(verdict.Span(ns)) }

// withdrawn writes the findings that other evidence has withdrawn, one in a line.
func (p *printer) withdrawn(list []Withdrawn) {
	if len(list) == 0 {
		return
	}
	p.section(p.tr.Sprintf("Withdrawn (%s)", p.number(uint64(len(list)))))
	for i, w := range list {
		if i == maxRows && !p.all {
			p.line(p.tr.Sprintf("   and %s more, with -v", p.number(uint64(len(list)-i))))
			break
		}
		p.item(p.tr.Sprintf("%s: %s until %s; %s", w.IP, p.tr.Sentence(w.Title), p.clock(w.Until),
			p.tr.Sentence(w.Why)))
	}
}

// predicate is what a finding says of its host, without the subject.
func predicate(f *finding.Finding) string {
	switch f.Class {
	case verdict.Spambot:
		return fmt.Sprintf("is a %s spambot", f.Highest)
	case verdict.DirectSMTP:
		return f.Straight()
	}
	return classText[f.Class]
}
