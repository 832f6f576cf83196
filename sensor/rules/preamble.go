package rules

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"spamsensor/sensor/verdict"
)

// maxRows bounds the hosts that the preamble names, of each kind.
const maxRows = 30

// representative is a period in which most hosts that may send have sent: they have a weekly
// rhythm.
const representative = 7 * 24 * time.Hour

// preamble writes what a person should know before the rules are loaded.
func (g *page) preamble(s *Set) {
	p := g.p
	g.say(p.Text("Port 25 to the Internet for your mail servers only; flagged hosts are cut from " +
		"mail."))
	g.say(p.Sprintf("Made by spamsensor %s from the traffic of %s to %s (%s).", s.Version,
		g.minute(s.Period.First), g.minute(s.Period.Last), s.Period.Last.In(g.zone).Format("MST")))
	g.line("%s", g.mark)
	g.steps(g, s)
	g.heading(p.Text("Before you load these rules"))
	g.warnings(s)
	g.heading(p.Text("Hosts that would have been cut in this period"))
	g.cut(s)
	g.heading(p.Text("What stays as it is"))
	g.item(p.Text("Submission (ports 465 and 587) of all hosts that are not in quarantine, and " +
		"everything else that is not mail."))
	g.item(p.Text("Mail from outside to your networks, and mail between them."))
	g.item(p.Text("What the router itself sends."))
	g.line("")
}

// warnings says what to check first.
func (g *page) warnings(s *Set) {
	p := g.p
	var declared, observed uint64
	for i := range s.Servers {
		if s.Servers[i].Declared {
			declared++
		} else {
			observed++
		}
	}
	switch {
	case declared+observed == 0:
		g.item(p.Text("NO MAIL SERVER IS DECLARED, and none was observed: with these rules no " +
			"host may send on port 25. Declare yours (--mail-server IP, or smtp_servers in the " +
			"configuration), and make the rules again."))
	case observed > 0:
		g.item(p.Sprintf("Observed mail servers that are not declared: %s. Check the lines "+
			"marked NOT DECLARED.", p.Number(observed)))
	}
	if s.HomeUnseen {
		g.item(p.Text("No address of your networks was seen. Name them (--home CIDR), and make " +
			"the rules again."))
	}
	for _, x := range s.Local {
		if x.Bits() == 0 {
			g.item(p.Sprintf("%s is the whole Internet: with it as a network of yours nothing "+
				"is cut.", x.String()))
		}
	}
	g.item(p.Text("The rules know the networks below, and no others: compare them with yours, " +
		"above all the public IPv6 prefix. The addresses are those before translation (NAT)."))
	if d := time.Duration(s.Period.Last - s.Period.First); d < representative {
		g.item(p.Text("The period is short. Devices that send rarely (printers, scanners, " +
			"monitoring, backup) may be missing from the list of hosts that would have been cut."))
	}
	for i := range s.Servers {
		if x := &s.Servers[i]; x.Finding != "" {
			g.item(p.Sprintf("%s is a mail server with a finding: %s. It may still send.",
				x.IP.String(), p.Sentence(x.Finding)))
		}
	}
	if n := s.UnlistedFindings; n > 0 {
		g.item(p.Sprintf("The report does not have all: %s more. Their hosts are not in "+
			"quarantine.", p.Plural(uint64(n), "finding", "findings")))
	}
	if n := s.UnlistedServers; n > 0 {
		g.item(p.Sprintf("The report does not have all: %s more. Those that are not declared "+
			"are cut.", p.Plural(uint64(n), "mail server", "mail servers")))
	}
	for i := range s.Quarantine {
		if x := &s.Quarantine[i]; x.NAT {
			g.item(p.Sprintf("%s is a gateway (NAT): the quarantine cuts all machines behind it. "+
				"Find the one that sends, and take the gateway out of the quarantine.",
				x.IP.String()))
		}
	}
	if len(s.LeftOut) > 0 {
		var names []string
		for _, a := range s.LeftOut {
			names = append(names, a.String())
		}
		g.item(p.Sprintf("Left out, because no router forwards them: %s.",
			strings.Join(names, ", ")))
	}
}

// cut lists the hosts that the rules would have cut: first those that may have a good reason.
func (g *page) cut(s *Set) {
	p := g.p
	var ranks [4][]Cut
	for i := range s.Cut {
		r := s.Cut[i].rank()
		ranks[r] = append(ranks[r], s.Cut[i])
	}
	others, missing, past, flagged := ranks[0], ranks[1], ranks[2], ranks[3]
	if len(s.Cut) == 0 {
		g.item(p.Text("None: no other host tried port 25 of a server outside."))
	}
	if len(others) > 0 {
		g.item(p.Sprintf("CHECK (%s): not flagged, but with the rules they cannot send on port "+
			"25. Declare those that may, or let them send through your mail server.",
			p.Plural(uint64(len(others)), "host", "hosts")))
		g.rows(others)
	}
	if len(missing) > 0 {
		g.item(p.Sprintf("CHECK (%s): their findings are left out of this report, so they are "+
			"not in quarantine, whatever they send. Make the rules from the capture, or from "+
			"read --json.", p.Plural(uint64(len(missing)), "host", "hosts")))
		g.rows(missing)
	}
	if len(past) > 0 {
		g.past(past)
	}
	if len(flagged) > 0 {
		g.item(p.Sprintf("In quarantine (%s):", p.Plural(uint64(len(flagged)), "host", "hosts")))
		g.rows(flagged)
	}
	if s.Unlisted > 0 {
		g.item(p.Sprintf("%s more are not in this list: the report names the worst only.",
			p.Plural(uint64(s.Unlisted), "host", "hosts")))
	}
}

// past lists the hosts that sent spam, and are not in quarantine.
func (g *page) past(list []Cut) {
	p := g.p
	text := p.Sprintf("Not in quarantine any more (%s): they sent spam, and there was no sign of "+
		"it for 24 hours. Port 25 is closed to them, too; see that they are cleaned.",
		p.Plural(uint64(len(list)), "host", "hosts"))
	if slices.ContainsFunc(list, func(x Cut) bool { return x.Silent > 0 }) {
		text += " " + p.Text("Another machine may have the address of one that is quiet.")
	}
	g.item(text)
	g.rows(list)
}

// rows are hosts in columns.
func (g *page) rows(list []Cut) {
	p := g.p
	shown := list[:min(len(list), maxRows)]
	cells := make([][3]string, len(shown))
	var wide [2]int
	for i := range shown {
		x := &shown[i]
		cells[i] = [3]string{x.IP.String(), p.Plural(uint64(x.Attempts), "attempt", "attempts") +
			", " + p.Plural(uint64(x.Messages), "message", "messages"), g.about(x)}
		for j := range wide {
			wide[j] = max(wide[j], utf8.RuneCountInString(cells[i][j]))
		}
	}
	for _, c := range cells {
		start := "    " + padded(c[0], wide[0]) + "  " + padded(c[1], wide[1]) + "  "
		g.remark("", start, strings.Repeat(" ", utf8.RuneCountInString(start)), c[2])
	}
	if more := len(list) - len(shown); more > 0 {
		g.say("    " + p.Sprintf("and %s more: spamsensor rules -o json has all",
			p.Number(uint64(more))))
	}
}

// about says what is known of a host, behind its name if it has one.
func (g *page) about(x *Cut) string {
	if x.Name != "" {
		return x.Name + ", " + g.known(x)
	}
	return g.known(x)
}

// known says what is known of a host.
func (g *page) known(x *Cut) string {
	p := g.p
	switch {
	case x.Why != "":
		return p.Sprintf("your exception: %s", x.Why)
	case x.Missing != "" && x.rank() == 1:
		return p.Sprintf("finding %s", x.Missing)
	case x.Title != "" && x.Past && x.Silent > 0 && !x.Flagged:
		return p.Sprintf("%s, quiet for %s", p.Sentence(x.Title),
			p.Sentence(verdict.Span(int64(x.Silent))))
	case x.Title != "":
		return p.Sentence(x.Title)
	case x.Role == "workstation":
		return p.Text("no finding")
	}
	return p.Sprintf("role: %s", x.Role)
}
