package report

import (
	"fmt"
	"net/netip"
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
func (p *printer) became(f *finding.Finding, end int64) string {
	var list []string
	if n := len(f.Periods); n > 1 {
		var times []string
		for _, x := range f.Periods {
			times = append(times, p.span(x.First, x.Last))
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
			p.clock(f.Time)))
	case f.CloseReason == "mac_changed":
		list = append(list, fmt.Sprintf("Another machine has the address since %s.",
			p.clock(f.Time)))
	case at == 0 || end-at < stillActive || f.Class != verdict.Spambot && end-at < quiet:
	case f.Source.Counters.Last-at >= stillActive:
		list = append(list, fmt.Sprintf("Quiet since %s, for %s until the end of the capture: "+
			"what it sent after that, until %s, gave no new sign.", p.clock(at),
			verdict.Span(end-at), p.clock(f.Source.Counters.Last)))
	default:
		list = append(list, fmt.Sprintf("Quiet since %s, for %s until the end of the capture.",
			p.clock(at), verdict.Span(end-at)))
	}
	return strings.Join(list, " ")
}

// withdrawn writes the findings that other evidence has withdrawn, one in a line: those that
// accused a host of more than what stands now.
func (r *Report) withdrawn(p *printer) {
	standing := map[netip.Addr]*finding.Finding{} // the verdict about a host
	for _, f := range r.findings {
		if finding.IsSum(f.Class) && !f.Revoked() {
			standing[f.Source.Addr] = f
		}
	}
	var list []string
	n := 0
	for _, f := range r.findings {
		if f.CloseReason != finding.Withdrawn && f.CloseReason != finding.Reclassified {
			continue
		}
		reason, now := "later traffic speaks against it", standing[f.Source.Addr]
		if now != nil && (now.Class == verdict.Spambot || f.Class != verdict.Spambot) {
			continue // it became worse
		}
		if now != nil {
			reason = "by later traffic it " + predicate(now)
		}
		if n++; n <= maxRows || p.all {
			list = append(list, fmt.Sprintf("%s: %s until %s; %s", f.Source.Addr, title(f),
				p.clock(f.Time), reason))
		}
	}
	if n == 0 {
		return
	}
	p.section(fmt.Sprintf("Withdrawn (%s)", grouped(uint64(n))))
	for _, s := range list {
		p.item(s)
	}
	if more := n - len(list); more > 0 {
		p.line(fmt.Sprintf("   and %s more, with -v", grouped(uint64(more))))
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
