package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// compare orders findings: by severity, level and time.
func compare(a, b *finding.Finding) int {
	return cmp.Or(-cmp.Compare(a.Worst(), b.Worst()), -cmp.Compare(a.Highest, b.Highest),
		cmp.Compare(a.Decided.At, b.Decided.At), a.Source.Addr.Compare(b.Source.Addr))
}

// sorted are the findings that stand and are not ignored, the worst first.
func (r *Report) sorted() []*finding.Finding {
	found := slices.DeleteFunc(slices.Clone(r.findings), func(f *finding.Finding) bool {
		return f.Revoked() || f.Ignored != nil
	})
	slices.SortStableFunc(found, compare)
	return found
}

// ignored are the findings about hosts that the configuration has ignored.
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
	last                      int64    // sign of a former one
}

// once appends an address if the list does not have it: it may have several findings.
func once(list []string, a string) []string {
	if slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

// group divides the findings.
func (r *Report) group(found []*finding.Finding, end int64) (g groups) {
	seen := map[string]bool{} // hosts with a graver finding before
	for _, f := range found {
		a := r.called(f.Source.Addr)
		server := f.Class >= verdict.OpenRelay || f.Class == verdict.OnBlocklist &&
			f.Source.Role == "mailserver"
		switch {
		case server && f.Worst() > verdict.Low:
			g.servers = append(g.servers, fmt.Sprintf("Mail server %s %s", a, predicate(f)))
		case server:
			g.mild = append(g.mild, fmt.Sprintf("Mail server %s %s", a, predicate(f)))
		case seen[a]:
		case f.Worst() >= verdict.High && over(f, end):
			g.former = append(g.former, a)
			g.last = max(g.last, f.LastSign())
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

// headline is the verdict about all hosts.
func (r *Report) headline(in *Input, found, ignored []*finding.Finding,
	others []string) (h Headline) {
	g := r.group(found, in.Last)
	switch {
	case len(g.bots) > 0:
		h.Alarm = Red
		h.Sentence = fmt.Sprintf("%s spam: %s", hosts(len(g.bots), "sends", "send"), list(g.bots))
	case len(g.former) > 0:
		h.Alarm = Red
		h.Sentence = fmt.Sprintf("%s spam: %s; %s", hosts(len(g.former), "sent", "sent"),
			list(g.former), g.without(in))
	case len(g.servers) > 0:
		h.Alarm, h.Sentence = Red, "Look at your mail servers"
	case len(g.maybe) > 0:
		h.Alarm = Yellow
		h.Sentence = fmt.Sprintf("No host is confirmed to send spam; look at %s", list(g.maybe))
	case in.UnjudgedCount > 0:
		h.Alarm = Yellow
		h.Sentence = fmt.Sprintf("No host of your networks sends spam; %s of other networks may",
			verdict.Plural(in.UnjudgedCount, "host"))
	case in.Frames == 0 && in.Live:
		h.Alarm, h.Sentence = Grey, "None: the sensor has seen no packet to judge yet"
	case in.Frames == 0:
		h.Alarm, h.Sentence = Grey, "None: the capture has no packet to judge"
	case in.Only != nil && in.Only.Frames == in.Frames:
		h.Alarm, h.Sentence = Grey, "None: the capture has no packet of the chosen time"
	case len(ignored) > 0:
		h.Alarm = Yellow
		h.Sentence = fmt.Sprintf("No other host sends spam, as far as could be seen; %s ignored",
			verdict.Count(uint32(len(ignored)), "finding is", "findings are"))
	default:
		h.Alarm, h.Sentence = Green, "No host sends spam, as far as could be seen"
	}
	if h.Alarm == Green && len(r.only) > 0 {
		h.Sentence = "None of the hosts that are shown sends spam, as far as could be seen"
		if r.leftFindings > 0 {
			h.Alarm = Yellow
		}
	}
	h.More = append(r.furtherSentences(in, &g, ignored), r.publicAddress(others)...)
	return h
}

// without says for how long no spam of former bots was seen; others may send. For a sensor that
// runs it is the least that it must be: the sentence shall not change all the time.
func (g *groups) without(in *Input) string {
	one := len(g.former) == 1
	switch {
	case in.Live && one:
		return "no spam of it was seen in the last 24 hours"
	case in.Live:
		return "no spam of them was seen in the last 24 hours"
	}
	format := "no spam of them was seen in the last %s of the capture"
	if one {
		format = "no spam of it was seen in the last %s of the capture"
	}
	return fmt.Sprintf(format, verdict.Span(in.Last-g.last))
}

// furtherSentences are what the headline says beside its first sentence.
func (r *Report) furtherSentences(in *Input, g *groups,
	ignored []*finding.Finding) (more []string) {
	for i, s := range append(slices.Clip(g.servers), g.mild...) {
		if i == maxRows {
			more = append(more, fmt.Sprintf("and %d more mail servers",
				len(g.servers)+len(g.mild)-i))
			break
		}
		more = append(more, s)
	}
	if s, _ := finding.UnjudgedText(in.Unjudged, in.UnjudgedCount, in.Home); s != "" {
		more = append(more, fmt.Sprintf("Not judged: %s", s))
	}
	if len(g.bots) > 0 && len(g.former) > 0 {
		more = append(more, fmt.Sprintf("Sent spam earlier: %s; %s", list(g.former),
			g.without(in)))
	}
	if len(g.bots)+len(g.former)+len(g.servers) > 0 && len(g.maybe) > 0 {
		more = append(more, fmt.Sprintf("Suspicious: %s", list(g.maybe)))
	}
	if len(g.info) > 0 {
		more = append(more, fmt.Sprintf("For information: %s", list(g.info)))
	}
	if len(ignored) > 0 {
		var names []string
		for _, f := range ignored {
			names = once(names, r.called(f.Source.Addr))
		}
		more = append(more, fmt.Sprintf("Ignored by your configuration: %s", list(names)))
	}
	return more
}

// publicAddress is what receiving servers said of the site as a whole; others are addresses that
// they quoted to single hosts.
func (r *Report) publicAddress(others []string) (more []string) {
	s := r.siteFacts()
	quoted := verdict.Plural(s.Quoted, "server")
	if s.Quoted >= finding.MaxQuoting {
		quoted = fmt.Sprintf("at least %s", quoted)
	}
	switch {
	case s.PublicIP != "" && len(others) > 0:
		more = append(more, fmt.Sprintf("Your public addresses seem to be %s (quoted by %s) and "+
			"%s.", s.PublicIP, quoted, list(others)))
	case s.PublicIP != "":
		more = append(more, fmt.Sprintf("Your public address seems to be %s (quoted by %s).",
			s.PublicIP, quoted))
	}
	if len(s.Blocklists) == 0 {
		return more
	}
	var names []string
	for _, l := range s.Blocklists {
		names = append(names, l.Name)
	}
	format := "Receiving servers named the blocklist %s: all mail that leaves through an address " +
		"on it may be refused, good mail, too."
	if len(names) > 1 {
		format = "Receiving servers named the blocklists %s: all mail that leaves through an " +
			"address on them may be refused, good mail, too."
	}
	return append(more, fmt.Sprintf(format, list(names)))
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
