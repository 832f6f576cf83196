package report

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"spamsensor/sensor/finding"
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
	usual = depth{8, 3, 110}
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
func head(n int, f *finding.Finding) string {
	what := predicate(f)
	switch {
	case f.Class >= verdict.OpenRelay:
		return fmt.Sprintf("%d. mail server %s  %s, %s, severity %s", n, f.Source.Addr, what,
			f.Highest, f.Worst())
	case f.Class == verdict.Spambot:
		what = fmt.Sprintf("%s spambot", f.Highest)
	}
	if f.Worst() > verdict.Info {
		what += fmt.Sprintf(", severity %s", f.Worst())
	}
	return fmt.Sprintf("%d. %s  %s", n, f.Source.Addr, what)
}

// finding writes a finding.
func (r *Report) finding(p *printer, n int, f *finding.Finding, in *Input, d depth) {
	p.section(head(n, f))
	if f.Class >= verdict.OpenRelay {
		p.text(fmt.Sprintf("First seen %s, last %s.", p.clock(f.Decided.At),
			p.clock(f.Source.Counters.Last)))
	} else {
		r.host(p, f)
	}
	if s := p.became(f, in.Last); s != "" && f.Class != verdict.DirectSMTP {
		p.text(s)
	}
	if f.Class != verdict.DirectSMTP { // its reason is what the first line says
		r.reasons(p, f, d)
	}
	r.proof(p, f, d)
	if len(f.Blind) > 0 {
		p.labelled("Not seen", strings.Join(f.Blind, "; ")+".")
	}
	p.labelled("Do", f.Advice)
}

// host writes who the host of a finding is, and what it did.
func (r *Report) host(p *printer, f *finding.Finding) {
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
	p.text(where)
	decided := ""
	if f.Worst() > verdict.Info {
		decided = fmt.Sprintf(" Decided %s after %s%s.", p.clock(f.Decided.At),
			counted(f.Decided.Attempts, "attempt"), modeText[f.Mode])
	}
	p.text(fmt.Sprintf("Seen %s.%s", p.span(s.Counters.First, s.Counters.Last), decided))
	p.text(activity(s))
	if to := r.destinations(s); to != "" {
		p.text("Mostly to " + to + ".")
	}
	if text := egressText[f.Egress]; text != "" {
		p.text(text)
	}
	if text := f.SameMachine(); text != "" {
		p.text(text)
	}
}

// activity are the counts of a host in a sentence.
func activity(s *finding.SourceRecord) string {
	c := &s.Counters
	text := fmt.Sprintf("%s to %s in %s: %s", counted(c.Attempts, "attempt"),
		counted(s.DestIPs, "server"), counted(s.DestNets, "network"),
		counted(c.Sessions, "session"))
	for _, x := range []struct {
		n    uint32
		what string
	}{{c.Refused, "refused"}, {c.Unreachable, "unreachable"},
		{s.GivenUp, "abandoned after the answer"}, {s.Silent - s.GivenUp, "without an answer"}} {
		if x.n > 0 {
			text += fmt.Sprintf(", %s %s", grouped(uint64(x.n)), x.what)
		}
	}
	if c.Sessions == 0 {
		return text + "."
	}
	text += fmt.Sprintf(". %s", verdict.Count(c.Messages, "message was accepted",
		"messages were accepted"))
	if n := refusals(s); n > 0 {
		text += fmt.Sprintf("; %s or deferred", verdict.Count(uint32(n), "command was refused",
			"commands were refused"))
	}
	return text + "."
}

// refusals is how many replies refused or deferred something that a host asked for: a connection, a
// sender, a recipient, or a message. The events of its sessions have the same sum.
func refusals(s *finding.SourceRecord) uint64 {
	c := &s.Counters
	return uint64(c.Rejected) + uint64(c.Deferred) + uint64(c.RecipientsRejected)
}

// failed is how many attempts of a host led to no session.
func failed(s *finding.SourceRecord) uint64 {
	return uint64(s.Silent) + uint64(s.Counters.Refused) + uint64(s.Counters.Unreachable)
}

// destinations are the servers that a host tries most often; empty if none stands out.
func (r *Report) destinations(s *finding.SourceRecord) string {
	var list []string
	for _, d := range s.Destinations {
		text := d.Server.String()
		if d.Name != "" {
			text = fmt.Sprintf("%s (%s)", cut(r.clean(d.Name), 60), text)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// target is the server that a host tries most often, for the cell of a table.
func (r *Report) target(s *finding.SourceRecord) string {
	if len(s.Destinations) == 0 {
		return "-"
	}
	d := &s.Destinations[0]
	text := d.Server.String()
	if d.Name != "" {
		text = fmt.Sprintf("%s:%d", cut(r.clean(d.Name), 60), d.Server.Port())
	}
	if more := len(s.Destinations) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// reasons writes the reasons of a finding that weigh most.
func (r *Report) reasons(p *printer, f *finding.Finding, d depth) {
	if len(f.Reasons) == 0 {
		return
	}
	p.line("   Why")
	weight := func(x *finding.ReasonText) float64 { return max(x.Reason.Weight, -x.Reason.Weight) }
	order := make([]int, len(f.Reasons))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return -cmp.Compare(weight(&f.Reasons[a]), weight(&f.Reasons[b]))
	})
	order = order[:min(len(order), d.reasons)]
	slices.Sort(order)
	for _, i := range order {
		p.item(r.clean(f.Reasons[i].Text))
	}
	if more := len(f.Reasons) - len(order); more > 0 {
		p.item(fmt.Sprintf("%s: with -v", counted(more, "weaker reason")))
	}
}

// proof writes the sessions that a finding rests on.
func (r *Report) proof(p *printer, f *finding.Finding, d depth) {
	var lines []string
	switch {
	case f.Class >= verdict.OpenRelay:
		lines = r.serverSessions(p, f, d)
	case f.Class != verdict.DirectSMTP:
		for _, s := range r.sessions[f.Source.Addr] {
			lines = append(lines, r.proofText(p, &s, d))
		}
	}
	if len(lines) == 0 {
		return
	}
	p.line("   Proof")
	for _, l := range lines[:min(len(lines), d.proof)] {
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
func (r *Report) proofText(p *printer, s *session, d depth) string {
	t := fmt.Sprintf("%s to %s", p.clock(s.start), s.to)
	if s.helo != "" {
		t += fmt.Sprintf(" as %s", cut(r.clean(s.helo), d.quote))
	}
	for i, f := range s.from {
		if i == 0 {
			t += ", mail from "
		} else {
			t += ", "
		}
		t += "<" + cut(r.clean(f), d.quote) + ">"
	}
	switch {
	case s.accepted > 0:
		t += fmt.Sprintf(": %s accepted", counted(s.accepted, "message"))
	case s.refused.Code != 0:
		t += r.refusalText(&s.refused, d)
	case s.tls != "none":
		t += ": encrypted"
	}
	return t
}

// refusalText describes a refusal by its code: a 4xx reply asks for another attempt (RFC 5321,
// section 4.2.1).
func (r *Report) refusalText(f *finding.RefusalText, d depth) string {
	what := "refused"
	if f.Code < 500 {
		what = "deferred"
	}
	if f.Text == "" {
		return fmt.Sprintf(": %s with %d (%s)", what, f.Code, f.Phase)
	}
	return fmt.Sprintf(": %s with %d, \"%s\"", what, f.Code, cut(r.clean(f.Text), d.quote))
}
