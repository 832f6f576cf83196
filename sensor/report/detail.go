package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"spamsensor/sensor/verdict"
)

// depth is how much of a finding is written.
type depth struct {
	reasons, proof int
	quote          int // columns of a server's reply
}

// The depths: of a report with many findings, with few, and of one that shows all.
var (
	brief = depth{4, 2, 70}
	usual = depth{6, 3, 90}
	full  = depth{100, maxSessions, 1000}
)

var classText = [verdict.Classes]string{verdict.Spambot: "spambot",
	verdict.UndeclaredServer: "sends as a mail server does, and is not declared",
	verdict.Scanner:          "looks for mail servers",
	verdict.NotSMTP:          "uses a mail port for something that is not mail",
	verdict.OnBlocklist:      "is refused because of a blocklist",
	verdict.OpenRelay:        "relays mail for external clients",
	verdict.HijackedAccount:  "has a hijacked account",
	verdict.VolumeAnomaly:    "does not send as usual",
	verdict.Backscatter:      "returns mail to forged senders"}

// head is the first line of a finding.
func (p *printer) head(n int, f *Finding) string {
	what := p.tr.Sentence(f.What)
	severity := p.tr.Text(f.Severity)
	switch {
	case f.Class >= verdict.OpenRelay:
		return p.tr.Sprintf("%d. mail server %s  %s, %s, severity %s", n, f.Called(), what,
			p.tr.Text(f.Level), severity)
	case f.Class == verdict.Spambot:
		what = p.tr.Sentence(f.Level + " spambot")
	}
	if f.Severity != verdict.Info.String() {
		what += p.tr.Sprintf(", severity %s", severity)
	}
	return fmt.Sprintf("%d. %s  %s", n, f.Called(), what)
}

// finding writes a finding without what to do; end is the end of the input.
func (p *printer) finding(n int, f *Finding, end Time, d depth) {
	p.section(p.head(n, f))
	if f.Class >= verdict.OpenRelay {
		p.text(p.tr.Sprintf("First seen %s, last %s.", p.clock(f.Decided.At), p.clock(f.Last)))
	} else {
		p.host(f)
	}
	if s := p.became(f, end); s != "" && f.Class != verdict.DirectSMTP {
		p.text(s)
	}
	if f.Class != verdict.DirectSMTP { // its reason is what the first line says
		p.reasons(f, d)
	}
	p.proof(f, d)
	if len(f.Blind) > 0 {
		p.labelled("Limits", p.blind(f.Blind))
	}
}

// blind is what a verdict could not rest on, in a sentence.
func (p *printer) blind(list []string) string {
	var parts []string
	for _, s := range list {
		parts = append(parts, p.tr.Sentence(s))
	}
	return strings.Join(parts, p.tr.Text("; ")) + "."
}

// host writes who the host of a finding is, and what it did.
func (p *printer) host(f *Finding) {
	var where []string
	if f.MAC != "" {
		whose := ""
		if !f.OnLink {
			whose = p.tr.Text(" (perhaps a router's)")
		}
		where = append(where, fmt.Sprintf("MAC %s%s", f.MAC, whose))
	}
	if p.inputs {
		where = append(where, f.Input)
	}
	if len(f.VLAN) > 0 {
		where = append(where, fmt.Sprintf("VLAN %v", f.VLAN))
	}
	if len(where) > 0 {
		p.text(strings.Join(where, ", "))
	}
	first := ""
	if at := f.FirstSign(); at != 0 {
		text := " First sign %s."
		if f.Class == verdict.Spambot {
			text = " First spam seen %s."
		}
		first = p.tr.Sprintf(text, p.clock(at))
	}
	if f.Severity != verdict.Info.String() {
		first += p.decided(f)
	}
	p.text(p.tr.Sprintf("Attempts %s.%s", p.span(f.First, f.Last), first))
	p.text(p.activity(&f.Counts))
	if to := destinations(&f.Host); to != "" {
		p.text(p.tr.Sprintf("Mostly to %s.", to))
	}
	if text := egressText[f.Egress]; text != "" {
		p.text(p.tr.Text(text))
	}
	if f.SameMachine != "" {
		p.text(p.tr.Sentence(f.SameMachine))
	}
}

// decided says when a finding was decided, and on what it rests.
func (p *printer) decided(f *Finding) string {
	return p.tr.Sprintf(" Decided %s after %s%s.", p.clock(f.Decided.At),
		p.plural(uint64(f.Decided.Attempts), "attempt"), p.tr.Text(modeText[f.Mode]))
}

// activity are the counts of a host in a sentence.
func (p *printer) activity(c *Counts) string {
	text := p.tr.Sprintf("%s to %s in %s: %s", p.plural(uint64(c.Attempts), "attempt"),
		p.plural(uint64(c.DestIPs), "server"), p.plural(uint64(c.DestNets), "network"),
		p.plural(uint64(c.Sessions), "session"))
	for _, x := range []struct {
		n    uint32
		what string
	}{{c.Refused, ", %s refused"}, {c.Unreachable, ", %s unreachable"},
		{c.GivenUp, ", %s abandoned after the answer"},
		{c.Silent - c.GivenUp, ", %s without an answer"}} {
		if x.n > 0 {
			text += p.tr.Sprintf(x.what, p.number(uint64(x.n)))
		}
	}
	if c.Sessions == 0 {
		return text + "."
	}
	text += ". " + p.count(c.Messages, "message was accepted", "messages were accepted")
	if n := c.Refusals(); n > 0 {
		text += p.tr.Sprintf("; %s: %s", p.plural(n, "refusal"), p.refused(c))
	}
	return text + "."
}

// refused says what the refusals of a host are.
func (p *printer) refused(c *Counts) string {
	var list []string
	add := func(n uint32, one, many string) {
		if n > 0 {
			list = append(list, p.tr.Plural(uint64(n), one, many))
		}
	}
	add(c.RecipientsRejected, "recipient", "recipients")
	add(c.Rejected, "other command", "other commands")
	add(c.Deferred, "reply \"try again later\"", "replies \"try again later\"")
	return strings.Join(list, ", ")
}

// destinations are the servers that a host tries most often; empty if none stands out.
func destinations(h *Host) string {
	var list []string
	for _, d := range h.Destinations {
		text := d.Server.String()
		if d.Name != "" {
			text = fmt.Sprintf("%s (%s)", cut(d.Name, 60), text)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// target is the server that a host tries most often, for the cell of a table.
func (p *printer) target(h *Host) string {
	if len(h.Destinations) == 0 {
		return "-"
	}
	d := &h.Destinations[0]
	text := d.Server.String()
	if d.Name != "" {
		text = fmt.Sprintf("%s:%d", cut(d.Name, 60), d.Server.Port())
	}
	if more := len(h.Destinations) - 1; more > 0 {
		text += " " + p.tr.Sprintf("and %d more", more)
	}
	return text
}

// reasons writes the reasons of a finding that weigh most.
func (p *printer) reasons(f *Finding, d depth) {
	if len(f.Reasons) == 0 {
		return
	}
	p.line("   " + p.tr.Text("Why"))
	order := f.Heaviest(d.reasons)
	for _, i := range order {
		p.item(p.tr.Sentence(f.Reasons[i].Text))
	}
	if more := len(f.Reasons) - len(order); more > 0 {
		p.item(p.tr.Sprintf("%s: with -v", p.plural(uint64(more), "weaker reason")))
	}
}

// Heaviest are the indexes of the n reasons that weigh most, for or against the host, in the order
// of Reasons. A refusal that names a blocklist is among them, whatever it weighs: it is why most
// people look.
func (f *Finding) Heaviest(n int) []int {
	weight := func(i int) float64 {
		if f.Reasons[i].Code == "blocklisted" {
			return math.Inf(1)
		}
		return math.Abs(f.Reasons[i].Weight)
	}
	order := make([]int, len(f.Reasons))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(weight(a), weight(b)) })
	order = order[:min(len(order), n)]
	slices.Sort(order)
	return order
}

// proof writes the sessions that a finding rests on.
func (p *printer) proof(f *Finding, d depth) {
	var lines []string
	for _, s := range f.Telling(d.proof) {
		text := p.proofText(&s, d)
		if f.Class >= verdict.OpenRelay {
			text = p.tr.Sprintf("%s: %s", s.Client, text)
		}
		lines = append(lines, text)
	}
	if f.Class >= verdict.OpenRelay && len(lines) == 0 && len(f.Events) > 0 {
		lines = append(lines, p.tr.Sprintf("The sessions in the events %s.", events(f.Events)))
	}
	if len(lines) == 0 {
		return
	}
	p.line("   " + p.tr.Text("Proof"))
	for _, l := range lines {
		p.item(l)
	}
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

// proofText is a session in a line.
func (p *printer) proofText(s *Session, d depth) string {
	t := p.tr.Sprintf("%s to %s", p.clock(s.Start), s.Server)
	if s.Helo != "" {
		t += p.tr.Sprintf(" as %s", cut(s.Helo, d.quote))
	}
	for i, f := range s.MailFrom {
		if i == 0 {
			t += p.tr.Text(", mail from ")
		} else {
			t += ", "
		}
		t += "<" + cut(f, d.quote) + ">"
	}
	if result := p.result(s, d); result != "" {
		t = p.tr.Sprintf("%s: %s", t, result)
	}
	return t
}

// result is how a session ended; empty if that is not known.
func (p *printer) result(s *Session, d depth) string {
	var parts []string
	if s.Messages > 0 {
		parts = append(parts, p.tr.Plural(uint64(s.Messages), "message accepted",
			"messages accepted"))
	}
	if s.Code != 0 {
		parts = append(parts, p.refusal(s, d))
	}
	if len(parts) == 0 && s.TLS != "none" && s.TLS != "" {
		return p.tr.Text("encrypted")
	}
	return strings.Join(parts, p.tr.Text("; "))
}

// refusal describes a refusal by its code: a 4xx reply asks for another attempt (RFC 5321,
// section 4.2.1).
func (p *printer) refusal(s *Session, d depth) string {
	text := p.tr.Sprintf("refused with %d", s.Code)
	if s.Code < 500 {
		text = p.tr.Sprintf("deferred with %d", s.Code)
	}
	if s.Reply == "" {
		return fmt.Sprintf("%s (%s)", text, s.Phase)
	}
	return p.tr.Sprintf("%s, \"%s\"", text, cut(s.Reply, d.quote))
}
