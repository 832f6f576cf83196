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
	hour        = 3600 * int64(1e9)
)

// over reports whether a finding is about the past: it had no sign in the last day of the input.
func over(f *finding.Finding, end int64) bool {
	at := f.LastSign()
	return at != 0 && end-at >= quiet
}

// became says what became of a finding until the end of the input; empty if it went on to the end.
func became(f *finding.Finding, end int64) string {
	var list []string
	if n := len(f.Periods); n > 1 {
		var times []string
		for _, p := range f.Periods {
			times = append(times, fmt.Sprintf("%s to %s", clock(p.First), clock(p.Last)))
		}
		list = append(list, fmt.Sprintf("Signs came in %d periods: %s.", n,
			strings.Join(times, "; ")))
	} else if f.Reopened > 0 {
		list = append(list, fmt.Sprintf("It came back %s, the last time after %s.",
			times(uint64(f.Reopened)), verdict.Span(f.CleanFor)))
	}
	switch at := f.LastSign(); {
	case f.CloseReason == "evicted":
		list = append(list, fmt.Sprintf("It was watched until %s: the table of hosts was full.",
			clock(f.Time)))
	case f.CloseReason == "mac_changed":
		list = append(list, fmt.Sprintf("Another machine has the address since %s.",
			clock(f.Time)))
	case at == 0 || end-at < stillActive:
	case f.Source.Counters.Last-at >= stillActive:
		list = append(list, fmt.Sprintf("Quiet since %s UTC, for %s until the end of the capture: "+
			"what it sent after that, until %s, gave no new sign.", clock(at),
			verdict.Span(end-at), clock(f.Source.Counters.Last)))
	default:
		list = append(list, fmt.Sprintf("Quiet since %s UTC, for %s until the end of the capture.",
			clock(at), verdict.Span(end-at)))
	}
	return strings.Join(list, " ")
}

// withdrawn writes the findings that other evidence has withdrawn, one in a line.
func (r *Report) withdrawn(p *printer) {
	var list []*finding.Finding
	for _, f := range r.findings {
		if f.CloseReason == finding.Withdrawn || f.CloseReason == finding.Reclassified {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return
	}
	p.section(fmt.Sprintf("Withdrawn (%s)", grouped(uint64(len(list)))))
	for _, f := range list[:min(len(list), maxRows)] {
		reason := "later traffic speaks against it"
		if now := r.standing(f); f.CloseReason == finding.Reclassified && now != nil {
			reason = "by later traffic it " + predicate(now)
		}
		p.item(fmt.Sprintf("%s: %s %s from %s to %s; %s", f.Source.Addr, f.Level,
			strings.ReplaceAll(f.Class.String(), "_", " "), clock(f.Decided.At), clock(f.Time),
			reason))
	}
	if more := len(list) - maxRows; more > 0 {
		p.line(fmt.Sprintf("   and %s more: all are in the events", grouped(uint64(more))))
	}
}

// standing is the finding about the same host that stands, nil if there is none.
func (r *Report) standing(f *finding.Finding) *finding.Finding {
	for _, x := range r.findings {
		if x.Source.Addr == f.Source.Addr && finding.IsSum(x.Class) && !x.Revoked() {
			return x
		}
	}
	return nil
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
