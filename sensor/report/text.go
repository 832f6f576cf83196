package report

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/verdict"
)

// Text writes the report for a terminal of 100 columns.
func (r *Report) Text(out io.Writer, in *Input, color bool) {
	p := &printer{out: out, color: color}
	r.input(p, in)
	found := r.sorted()
	r.verdict(p, in, found)
	for i, f := range found {
		r.finding(p, i+1, f, in)
	}
	if r.more > 0 {
		p.line("")
		p.line(fmt.Sprintf("and %s more findings: all are in the events", grouped(uint64(r.more))))
	}
	if p.shortened {
		p.line("")
		p.line("<...@domain>: the local part is not kept (evidence.mail_from)")
	}
	r.table(p, "Declared mail servers", &r.servers)
	r.mailServers(p)
	r.table(p, "Other hosts of yours that tried to send mail", &r.others)
	r.withdrawn(p)
	r.limits(p, in)
	if len(in.Unused) > 0 {
		p.section("Settings without effect")
		p.item(fmt.Sprintf("They had no effect on this capture, so they may be wrong or out of "+
			"date: %s",
			strings.Join(in.Unused, ", ")))
	}
	r.hints(p, in, found)
}

// printer writes lines of at most width columns.
type printer struct {
	out       io.Writer
	color     bool
	shortened bool // a line has an address without its local part
}

const width = 100

func (p *printer) line(s string) {
	p.shortened = p.shortened || strings.Contains(s, "<...@")
	fmt.Fprintln(p.out, strings.TrimRight(s, " "))
}

func (p *printer) paint(c text.Color, s string) string {
	if !p.color {
		return s
	}
	text.EnableColors()
	return c.Sprint(s)
}

func (p *printer) section(title string) {
	p.line("")
	p.line(p.paint(text.Bold, title))
}

// item writes a paragraph behind a dash.
func (p *printer) item(s string) { p.wrap("   - ", "     ", s) }

func (p *printer) wrap(first, rest, s string) {
	for i, l := range strings.Split(text.WrapSoft(s, width-len(rest)), "\n") {
		if i == 0 {
			p.line(first + l)
			continue
		}
		p.line(rest + strings.TrimLeft(l, " "))
	}
}

// field writes a name in a column of its own and a text.
func (p *printer) field(name, s string) {
	p.wrap(fmt.Sprintf("%-11s", name), strings.Repeat(" ", 11), s)
}

func (r *Report) input(p *printer, in *Input) {
	names := in.Names
	if len(names) > 3 {
		names = append(slices.Clone(names[:3]), fmt.Sprintf("and %d more", len(in.Names)-3))
	}
	p.field("Input",
		fmt.Sprintf("%s: %s packets, %s", strings.Join(names, ", "), grouped(in.Frames),
			bytesText(in.Bytes)))
	switch {
	case in.First > 0 && in.First == in.Last && in.Frames > 1:
		p.field("Period", "all packets have the time "+clock(in.First)+" UTC: the capture has no "+
			"times, and what is said of durations and rates is not known")
	case in.First > 0:
		p.field("Period", period(in.First, in.Last))
	}
	s := in.Took.Seconds()
	p.field("Read in",
		fmt.Sprintf("%.2f s (%s packets/s)", s, grouped(uint64(float64(in.Frames)/max(s, 1e-6)))))
	for _, err := range in.Problems {
		p.field("Unread", err.Error())
	}
	if in.Refused > 0 {
		p.field("Refused",
			fmt.Sprintf("%s packets could not be decoded: %s", grouped(in.Refused),
				strings.Join(in.RefusedBy, ", ")))
	}
	if in.Drops > 0 {
		p.field("Lost", fmt.Sprintf("%s packets were dropped while capturing", grouped(in.Drops)))
	}
	p.field("Frames", in.Account)
	if in.Loss > 0.005 {
		p.field("Loss",
			fmt.Sprintf("about %.1f %% of the bytes of mail connections are missing from the "+
				"capture",
				100*in.Loss))
	}
}

// period is the time of the capture, in UTC and in the local time zone.
func period(first, last int64) string {
	a, b := time.Unix(0, frame.ShownTime(first)), time.Unix(0, frame.ShownTime(last))
	s := fmt.Sprintf("%s to %s UTC", a.UTC().Format(time.DateTime), b.UTC().Format(time.DateTime))
	if zone, offset := a.Zone(); offset != 0 {
		s += fmt.Sprintf(" (%s to %s %s)", a.Format(time.DateTime), b.Format(time.DateTime), zone)
	}
	return s + ", " + b.Sub(a).Round(time.Second).String()
}

// sorted are the findings, worst first, without those that another one replaced.
func (r *Report) sorted() []*finding.Finding {
	found := slices.Clone(r.findings)
	found = slices.DeleteFunc(found, func(f *finding.Finding) bool {
		return f.Revoked()
	})
	slices.SortStableFunc(found, func(a, b *finding.Finding) int {
		return cmp.Or(-cmp.Compare(a.Worst(), b.Worst()), -cmp.Compare(a.Highest, b.Highest),
			cmp.Compare(a.Decided.At, b.Decided.At), a.Source.Addr.Compare(b.Source.Addr))
	})
	return found
}

// once appends an address if the list does not have it: it may have several findings.
func once(list []string, a string) []string {
	if slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

func (r *Report) verdict(p *printer, in *Input, found []*finding.Finding) {
	var bots, former, maybe, info, servers []string
	for _, f := range found {
		a := f.Source.Addr.String()
		switch {
		case f.Class >= verdict.OpenRelay, f.Class == verdict.OnBlocklist &&
			f.Source.Role == "mailserver":
			servers = append(servers, fmt.Sprintf("%s %s", a, classText[f.Class]))
		case f.Worst() >= verdict.High && over(f, in.Last):
			former = once(former, a)
		case f.Worst() >= verdict.High:
			bots = once(bots, a)
		case f.Worst() > verdict.Info:
			maybe = once(maybe, a)
		default:
			info = once(info, a)
		}
	}
	p.line("")
	former = slices.DeleteFunc(former, func(a string) bool { return slices.Contains(bots, a) })
	switch {
	case len(bots) == 1:
		p.line(p.paint(text.FgHiRed, fmt.Sprintf("%-11s1 host sends spam: %s", "VERDICT", bots[0])))
	case len(bots) > 1:
		p.line(p.paint(text.FgHiRed,
			fmt.Sprintf("%-11s%d hosts send spam: %s", "VERDICT", len(bots), list(bots))))
	case len(former) == 1:
		p.line(p.paint(text.FgHiRed, fmt.Sprintf("%-11s1 host sent spam: %s; quiet at the end",
			"VERDICT", former[0])))
	case len(former) > 1:
		p.line(p.paint(text.FgHiRed, fmt.Sprintf("%-11s%d hosts sent spam: %s; quiet at the end",
			"VERDICT", len(former), list(former))))
	case len(servers) > 0:
		p.line(p.paint(text.FgHiRed, fmt.Sprintf("%-11sLook at your mail servers", "VERDICT")))
	case len(maybe) > 0:
		p.line(p.paint(text.FgHiYellow,
			fmt.Sprintf("%-11sNo host is confirmed to send spam; look at "+
				"%s", "VERDICT", list(maybe))))
	case in.UnjudgedCount > 0:
		p.line(p.paint(text.FgHiYellow, fmt.Sprintf("%-11sNo host of your networks sends spam; "+
			"%s of other networks may", "VERDICT", verdict.Plural(in.UnjudgedCount, "host"))))
	case in.Frames == 0:
		p.line(fmt.Sprintf("%-11sNone: the capture has no packet to judge", "VERDICT"))
	default:
		p.line(p.paint(text.FgHiGreen,
			fmt.Sprintf("%-11sNo host sends spam, as far as could be seen", "VERDICT")))
	}
	for _, s := range servers {
		p.field("", "Mail server "+s)
	}
	if s, _ := finding.UnjudgedText(in.Unjudged, in.UnjudgedCount, in.Home); s != "" {
		p.field("", "Not judged: "+s)
	}
	if len(bots) > 0 && len(former) > 0 {
		p.field("", "Sent spam earlier, quiet at the end: "+list(former))
	}
	if len(bots)+len(former)+len(servers) > 0 && len(maybe) > 0 {
		p.field("", "Suspicious: "+list(maybe))
	}
	if len(info) > 0 {
		p.field("", "For information: "+list(info))
	}
	if s := r.site; s != nil && s.PublicIP.IsValid() {
		p.field("", fmt.Sprintf("Your public address seems to be %s (quoted by %d servers).",
			s.PublicIP, s.Servers))
	}
	if s := r.site; s != nil && len(s.Lists) > 0 {
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
}

func list(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}

var classText = [verdict.Classes]string{verdict.Spambot: "spambot",
	verdict.UndeclaredServer: "sends as a mail server does, and is not declared",
	verdict.Scanner:          "looks for mail servers",
	verdict.NotSMTP:          "uses a mail port for something that is not mail",
	verdict.OnBlocklist:      "is refused because of a blocklist",
	verdict.OpenRelay:        "relays mail for external clients",
	verdict.HijackedAccount:  "has a hijacked account",
	verdict.VolumeAnomaly:    "does not send as usual"}

func (r *Report) finding(p *printer, n int, f *finding.Finding, in *Input) {
	head := fmt.Sprintf("%d. %s  %s", n, f.Source.Addr, classText[f.Class])
	if f.Class == verdict.DirectSMTP {
		head = fmt.Sprintf("%d. %s  %s", n, f.Source.Addr, f.Straight())
	} else if f.Class == verdict.Spambot {
		head = fmt.Sprintf("%d. %s  %s spambot, severity %s", n, f.Source.Addr, f.Highest,
			f.Worst())
	} else if f.Worst() > verdict.Info {
		head += fmt.Sprintf(", severity %s", f.Worst())
	}
	if f.Class >= verdict.OpenRelay {
		r.serverFinding(p, n, f, in)
		return
	}
	p.section(head)
	s := &f.Source
	where := r.name(s.Input)
	if s.MAC != [6]byte{} {
		whose := ""
		if !f.OnLink {
			whose = " (perhaps a router's)"
		}
		where = fmt.Sprintf("MAC %s%s, %s", net.HardwareAddr(s.MAC[:]), whose, where)
	}
	if len(s.VLAN) > 0 {
		where += fmt.Sprintf(", VLAN %v", s.VLAN)
	}
	p.wrap("   ", "   ", where)
	how := modeText[f.Mode]
	if f.Severity == verdict.Info {
		how = ""
	}
	p.wrap("   ", "   ",
		fmt.Sprintf("First seen %s, last %s UTC. Decided after %s, %s%s.", clock(s.Counters.First),
			clock(s.Counters.Last),
			verdict.Count(f.Decided.Attempts, "attempt", "attempts"), short(f.DecidedIn), how))
	if text := became(f, in.Last); text != "" && f.Class != verdict.DirectSMTP {
		p.wrap("   ", "   ", text)
	}
	fa := &s.Counters
	givenUp := ""
	if s.GivenUp > 0 {
		givenUp = fmt.Sprintf("%s abandoned after the answer, ", grouped(uint64(s.GivenUp)))
	}
	p.wrap("   ", "   ",
		fmt.Sprintf("%s to %s in %s: %s, %s refused, %s unreachable, %s%s without an answer. %s.",
			counted(fa.Attempts, "attempt"), counted(s.DestIPs, "server"),
			counted(s.DestNets, "network"), counted(fa.Sessions, "session"),
			counted(fa.Refused, "connection"), grouped(uint64(fa.Unreachable)), givenUp,
			grouped(uint64(s.Silent-s.GivenUp)),
			verdict.Count(fa.Messages, "message was accepted", "messages were accepted")))
	if text := egressText[f.Egress]; text != "" {
		p.wrap("   ", "   ", text)
	}
	if text := f.SameMachine(); text != "" {
		p.wrap("   ", "   ", text)
	}
	r.reasons(p, f)
	if proof := r.sessions[s.Addr]; len(proof) > 0 && f.Class != verdict.DirectSMTP {
		p.line("   Proof")
		for _, s := range proof {
			p.item(r.proofText(&s))
		}
	}
	p.advice(f)
}

// reasons writes the reasons of a finding.
func (r *Report) reasons(p *printer, f *finding.Finding) {
	if len(f.Reasons) == 0 {
		return
	}
	p.line("   Why")
	for _, reason := range f.Reasons {
		p.item(r.clean(reason.Text))
	}
}

// advice writes the blind spots and the advice of a finding.
func (p *printer) advice(f *finding.Finding) {
	if len(f.Blind) > 0 {
		p.line("   What could not be seen")
		for _, b := range f.Blind {
			p.item(b)
		}
	}
	p.line("   Do")
	p.item(f.Advice)
}

// modeText describes the basis of a decision.
var modeText = map[string]string{"syn": ", from connection attempts alone",
	"flow":  ", from connections and their outcomes",
	"clear": ", from connections and SMTP dialogues"}

// egressText describes the cause that stops a host's connections.
var egressText = map[string]string{
	"drop":  "Nothing came back: outgoing mail seems to be blocked (packets are dropped).",
	"reset": "Every attempt was reset at once: outgoing mail seems to be blocked (by a reset).",
	"icmp":  "A router rejected every attempt: outgoing mail seems to be blocked (by ICMP).",
}

// counted is a number with its noun.
func counted[N uint32 | int](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(uint64(n)) + " " + noun + "s"
}

func (r *Report) proofText(s *session) string {
	t := fmt.Sprintf("%s to %s", clock(s.start), s.to)
	if s.helo != "" {
		t += fmt.Sprintf(" as %s", r.clean(s.helo))
	}
	for i, f := range s.from {
		if i == 0 {
			t += ", mail from "
		} else {
			t += ", "
		}
		t += "<" + r.clean(f) + ">"
	}
	switch {
	case s.accepted > 0:
		t += fmt.Sprintf(": %s accepted", counted(s.accepted, "message"))
	case s.refused.Code != 0:
		t += r.refusalText(&s.refused)
	case s.tls != "none":
		t += ": encrypted"
	}
	return t
}

// refusalText describes a refusal by its code: a 4xx reply asks for another attempt (RFC 5321,
// section 4.2.1).
func (r *Report) refusalText(f *finding.RefusalText) string {
	what := "refused"
	if f.Code < 500 {
		what = "deferred"
	}
	if f.Text == "" {
		return fmt.Sprintf(": %s with %d (%s)", what, f.Code, f.Phase)
	}
	return fmt.Sprintf(": %s with %d, \"%s\"", what, f.Code, r.clean(f.Text))
}

func (r *Report) table(p *printer, title string, sources *top) {
	if sources.n == 0 {
		return
	}
	p.section(fmt.Sprintf("%s (%s)", title, grouped(uint64(sources.n))))
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"host", "attempts", "networks", "sessions", "no answer", "messages",
		"refusals", "recipients", "level"})
	for _, s := range sources.first {
		f := &s.Counters
		t.AppendRow(table.Row{s.Addr, f.Attempts, s.DestNets, f.Sessions,
			s.Silent + f.Refused + f.Unreachable, f.Messages,
			f.Rejected + f.Deferred + f.RecipientsRejected, f.Recipients, s.Level})
	}
	p.line(t.Render())
	if more := sources.n - len(sources.first); more > 0 {
		p.line(fmt.Sprintf("and %s more: all are in the events", grouped(uint64(more))))
	}
}

// limits writes the limits of the capture: sessions and bytes that could not be judged.
func (r *Report) limits(p *printer, in *Input) {
	var items []string
	add := func(n uint64, format string) {
		if n > 0 {
			items = append(items, fmt.Sprintf(format, grouped(n)))
		}
	}
	add(r.servers.tls+r.others.tls,
		"encrypted sessions of your hosts: %s; their content is unknown")
	add(in.SeenClient, "sessions seen from the client's side only: %s")
	add(in.SeenServer, "sessions seen from the server's side only: %s")
	add(in.Gaps, "gaps, bytes that were sent but are not in the capture: %s")
	add(in.Midstream, "%s connections had begun before the capture")
	items = append(items, r.health...)
	if len(items) == 0 {
		return
	}
	p.section("What could not be judged")
	for _, s := range items {
		p.item(s)
	}
}

// hints writes options that would improve the next run.
func (r *Report) hints(p *printer, in *Input, found []*finding.Finding) {
	var hints []string
	if !in.HomeSeen && in.Attempts > 0 {
		hint := "No address of your networks was seen, so every source was judged. Name your " +
			"networks"
		if p := r.home.guess(in.Attempts); p.IsValid() {
			hint += ": --home " + p.String()
		}
		hints = append(hints, hint)
	}
	if _, s := finding.UnjudgedText(in.Unjudged, in.UnjudgedCount, in.Home); s != "" {
		hints = append(hints, strings.ToUpper(s[:1])+s[1:])
	}
	for _, f := range found {
		if f.Class == verdict.DirectSMTP {
			hints = append(hints,
				fmt.Sprintf("If %s is a mail server of yours: --mail-server %s", f.Source.Addr,
					f.Source.Addr))
			break
		}
	}
	for _, s := range r.undeclared() {
		if slices.ContainsFunc(hints,
			func(h string) bool { return strings.HasPrefix(h, "If "+s.String()+" ") }) {
			continue
		}
		hints = append(hints,
			fmt.Sprintf("%s accepts mail like a mail server. If it is one: --mail-server %s, "+
				"or in the configuration smtp_servers: [{ip: %q, role: mailserver}]. If not, "+
				"find out what it is.", s, s, s.String()))
	}
	if r.domainsMissing() {
		hints = append(hints,
			"To check whether your mail servers relay for external clients: --local-domain for "+
				"each domain that you accept mail for, backup domains included (local_domains "+
				"in the configuration).")
	}
	if in.Attempts == 0 {
		hints = append(hints,
			"No connection to a mail port was seen. Other ports: --set capture.ports=[25,1025]")
	}
	if len(hints) == 0 {
		return
	}
	p.section("Run again with")
	for _, h := range hints {
		p.item(h)
	}
}

func clock(ns int64) string {
	return time.Unix(0, frame.ShownTime(ns)).UTC().Format(time.DateTime)
}

// short is a duration for a reader.
func short(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// grouped is a number with its thousands set apart.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesText(n uint64) string {
	f := float64(n)
	for _, unit := range []string{"bytes", "kB", "MB", "GB"} {
		if f < 1000 || unit == "GB" {
			if unit == "bytes" {
				return fmt.Sprintf("%d bytes", n)
			}
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1000
	}
	return ""
}
