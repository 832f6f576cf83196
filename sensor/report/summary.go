package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// sorted are the findings that stand and are not ignored: by severity, level and time.
func (r *Report) sorted() []*finding.Finding {
	found := slices.DeleteFunc(slices.Clone(r.findings), func(f *finding.Finding) bool {
		return f.Revoked() || f.Ignored != nil
	})
	slices.SortStableFunc(found, func(a, b *finding.Finding) int {
		return cmp.Or(-cmp.Compare(a.Worst(), b.Worst()), -cmp.Compare(a.Highest, b.Highest),
			cmp.Compare(a.Decided.At, b.Decided.At), a.Source.Addr.Compare(b.Source.Addr))
	})
	return found
}

// ignored are the findings about hosts that the configuration has ignored, as sorted.
func (r *Report) ignored() []*finding.Finding {
	list := slices.DeleteFunc(slices.Clone(r.findings), func(f *finding.Finding) bool {
		return f.Revoked() || f.Ignored == nil
	})
	slices.SortStableFunc(list, func(a, b *finding.Finding) int {
		return cmp.Or(-cmp.Compare(a.Highest, b.Highest), a.Source.Addr.Compare(b.Source.Addr))
	})
	return list
}

// groups are the hosts of the findings by what the headline says of them.
type groups struct {
	bots, former, maybe, info []string
	servers, mild             []string // mail servers, with what they do; mild if severity is low
}

// once appends an address if the list does not have it: it may have several findings.
func once(list []string, a string) []string {
	if slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

// group divides the findings.
func group(found []*finding.Finding, end int64) (g groups) {
	seen := map[string]bool{} // hosts with a graver finding before
	for _, f := range found {
		a := f.Source.Addr.String()
		server := f.Class >= verdict.OpenRelay || f.Class == verdict.OnBlocklist &&
			f.Source.Role == "mailserver"
		switch {
		case server && f.Worst() > verdict.Low:
			g.servers = append(g.servers, a+" "+predicate(f))
		case server:
			g.mild = append(g.mild, a+" "+predicate(f))
		case seen[a]:
		case f.Worst() >= verdict.High && over(f, end):
			g.former = append(g.former, a)
		case f.Worst() >= verdict.High:
			g.bots = append(g.bots, a)
		case f.Worst() > verdict.Info:
			g.maybe = append(g.maybe, a)
		default:
			g.info = append(g.info, a)
		}
		seen[a] = seen[a] || !server
	}
	return g
}

// verdict writes the headline.
func (r *Report) verdict(p *printer, in *Input, found []*finding.Finding) {
	g := group(found, in.Last)
	ignored := r.ignored()
	p.line("")
	switch {
	case len(g.bots) > 0:
		p.headline(text.FgHiRed, "VERDICT", hosts(len(g.bots), "sends", "send")+" spam: "+
			list(g.bots))
	case len(g.former) > 0:
		p.headline(text.FgHiRed, "VERDICT", hosts(len(g.former), "sent", "sent")+" spam: "+
			list(g.former)+"; quiet at the end")
	case len(g.servers) > 0:
		p.headline(text.FgHiRed, "VERDICT", "Look at your mail servers")
	case len(g.maybe) > 0:
		p.headline(text.FgHiYellow, "VERDICT",
			"No host is confirmed to send spam; look at "+list(g.maybe))
	case in.UnjudgedCount > 0:
		p.headline(text.FgHiYellow, "VERDICT", fmt.Sprintf("No host of your networks sends spam; "+
			"%s of other networks may", verdict.Plural(in.UnjudgedCount, "host")))
	case in.Frames == 0:
		p.line(fmt.Sprintf("%-11sNone: the capture has no packet to judge", "VERDICT"))
	case len(ignored) > 0:
		p.headline(text.FgHiYellow, "VERDICT", fmt.Sprintf("No other host sends spam, as far as "+
			"could be seen; %s ignored", verdict.Count(uint32(len(ignored)), "finding is",
			"findings are")))
	default:
		p.headline(text.FgHiGreen, "VERDICT", "No host sends spam, as far as could be seen")
	}
	for i, s := range append(g.servers, g.mild...) {
		if i == maxRows {
			p.field("", fmt.Sprintf("and %d more mail servers", len(g.servers)+len(g.mild)-i))
			break
		}
		p.field("", "Mail server "+s)
	}
	if s, _ := finding.UnjudgedText(in.Unjudged, in.UnjudgedCount, in.Home); s != "" {
		p.field("", "Not judged: "+s)
	}
	if len(g.bots) > 0 && len(g.former) > 0 {
		p.field("", "Sent spam earlier, quiet at the end: "+list(g.former))
	}
	if len(g.bots)+len(g.former)+len(g.servers) > 0 && len(g.maybe) > 0 {
		p.field("", "Suspicious: "+list(g.maybe))
	}
	if len(g.info) > 0 {
		p.field("", "For information: "+list(g.info))
	}
	if len(ignored) > 0 {
		var names []string
		for _, f := range ignored {
			names = once(names, f.Source.Addr.String())
		}
		p.field("", "Ignored by your configuration: "+list(names))
	}
	r.publicAddress(p)
}

// publicAddress writes what receiving servers said of the site as a whole.
func (r *Report) publicAddress(p *printer) {
	s := r.site
	if s == nil {
		return
	}
	if s.PublicIP.IsValid() {
		p.field("", fmt.Sprintf("Your public address seems to be %s (quoted by %s).", s.PublicIP,
			verdict.Plural(s.Servers, "server")))
	}
	if len(s.Lists) == 0 {
		return
	}
	var names []string
	for _, l := range s.Lists {
		names = append(names, r.clean(l.Name))
	}
	noun := "blocklist"
	if len(names) > 1 {
		noun = "blocklists"
	}
	p.field("", fmt.Sprintf("Receiving servers named the %s %s.", noun, list(names)))
}

func hosts(n int, one, many string) string {
	return verdict.Count(uint32(n), "host "+one, "hosts "+many)
}

func list(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}

// findings writes the table of the findings, if there are several, and the worst in detail.
func (r *Report) writeFindings(p *printer, in *Input, found []*finding.Finding) {
	if len(found) > 1 {
		r.summary(p, found)
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
	for i, f := range found {
		if !p.all && (i == maxDetails) {
			break
		}
		one := *p
		var text bytes.Buffer
		one.out = &text
		r.finding(&one, i+1, f, in, depth)
		if !p.all && i > 2 && one.lines-began > maxLines {
			break
		}
		text.WriteTo(p.out)
		p.lines, p.shortened = one.lines, one.shortened
		shown++
	}
	if more := len(found) - shown; more > 0 {
		p.line("")
		p.line(fmt.Sprintf("%s in detail: with -v", verdict.Count(uint32(more), "more finding",
			"more findings")))
	}
	if r.more > 0 {
		p.line("")
		p.line(fmt.Sprintf("and %s more findings: all are in the events", grouped(uint64(r.more))))
	}
}

// summary writes the table of the findings.
func (r *Report) summary(p *printer, found []*finding.Finding) {
	p.section(fmt.Sprintf("Findings (%s)", grouped(uint64(len(found)))))
	rows := found
	if !p.all {
		rows = found[:min(len(found), maxSummary)]
	}
	var cells [][]string
	for i, f := range rows {
		c := &f.Source.Counters
		last := "-"
		if at := f.LastSign(); at != 0 {
			last = p.minute(at)
		}
		attempts, messages := grouped(uint64(c.Attempts)), grouped(uint64(c.Messages))
		if f.Class >= verdict.OpenRelay { // its counts are in the table of mail servers
			attempts, messages = "-", "-"
		}
		cells = append(cells, []string{fmt.Sprint(i + 1), f.Source.Addr.String(), title(f),
			f.Worst().String(), p.minute(f.Decided.At), last, attempts, messages})
	}
	p.columns([]column{{name: "#", right: true}, {name: "host"}, {name: "finding", cut: true},
		{name: "severity"}, {name: "decided", drop: 4}, {name: "last sign", drop: 2},
		{name: "attempts", right: true, drop: 3}, {name: "accepted", right: true, drop: 1}}, cells)
	if more := len(found) - len(rows); more > 0 {
		p.line(fmt.Sprintf("   and %s more, with -v", grouped(uint64(more))))
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
	verdict.HijackedAccount: "hijacked account", verdict.VolumeAnomaly: "unusual volume"}

// ignoredFindings writes the findings that the configuration has ignored.
func (r *Report) ignoredFindings(p *printer) {
	found := r.ignored()
	if len(found) == 0 {
		return
	}
	p.section(fmt.Sprintf("Ignored by your configuration (%s)", grouped(uint64(len(found)))))
	rows := found
	if !p.all {
		rows = found[:min(len(found), maxRows)]
	}
	for _, f := range rows {
		until := "without an end"
		if f.Ignored.Until != 0 {
			until = "until the end of " + p.time(f.Ignored.Until-1, time.DateOnly)
		}
		p.item(fmt.Sprintf("%s: %s, decided %s, %s. Ignored %s, because: %s", f.Source.Addr,
			title(f), p.clock(f.Decided.At), counted(f.Source.Counters.Attempts, "attempt"), until,
			r.clean(f.Ignored.Why)))
	}
	if more := len(found) - len(rows); more > 0 {
		p.line(fmt.Sprintf("   and %s more, with -v", grouped(uint64(more))))
	}
}
