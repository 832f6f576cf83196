package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// Server adds the state of a mail server; the latest replaces earlier ones.
func (r *Report) Server(s *mailserver.Record) {
	if r == nil {
		return
	}
	if r.mail == nil {
		r.mail = map[netip.Addr]mailserver.Record{}
	}
	r.mail[s.Addr] = *s
}

// mailServers writes the section on mail servers.
func (r *Report) mailServers(p *printer) {
	if len(r.mail) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Values(r.mail), func(a, b mailserver.Record) int {
		return cmp.Or(-cmp.Compare(a.Count.MessagesOut, b.Count.MessagesOut),
			a.Addr.Compare(b.Addr))
	})
	p.section(fmt.Sprintf("Mail servers (%d)", len(list)))
	var cells [][]string
	rows := list[:min(len(list), maxRows)]
	for i := range rows {
		s := &rows[i]
		usual := "learning"
		if s.Hour.Known {
			usual = fmt.Sprintf("%.0f", s.Hour.Mean)
		}
		cells = append(cells, []string{s.Addr.String(), yes(s.Declared), grouped(r.sent(s)),
			grouped(s.Count.MessagesIn), grouped(s.Count.FailedOut), grouped(s.Count.DeferredOut),
			grouped(uint64(s.Queue.Estimate)), usual, p.relaying(s)})
	}
	p.columns([]column{{name: "server"}, {name: "declared", drop: 2},
		{name: "sent", right: true}, {name: "received", right: true},
		{name: "refused", right: true, drop: 4}, {name: "deferred", right: true, drop: 3},
		{name: "waiting", right: true}, {name: "usual/h", right: true, drop: 1},
		{name: "relay test", cut: true}}, cells)
	if more := len(list) - len(rows); more > 0 {
		p.line(fmt.Sprintf("   and %d more: all are in the events", more))
	}
	if !p.all {
		rows = rows[:min(len(rows), maxServerDetails)]
	}
	for i := range rows {
		r.serverDetails(p, &rows[i])
	}
}

// maxServerDetails bounds the mail servers of which sentences are written.
const maxServerDetails = 5

// sent is the number of messages that a server sent. The first messages of an undeclared server are
// counted only in its counters as a source.
func (r *Report) sent(s *mailserver.Record) uint64 {
	n := s.Count.MessagesOut
	if s.Declared {
		return n
	}
	for i := range r.others.first {
		if t := &r.others.first[i]; t.Addr == s.Addr {
			n = max(n, uint64(t.Counters.Messages))
		}
	}
	for _, f := range r.findings {
		if f.Source.Addr == s.Addr {
			n = max(n, uint64(f.Source.Counters.Messages))
		}
	}
	return n
}

// since says from when on a server's messages are counted, if that is not from its first one: the
// first ones of a server that is not declared made it known.
func (r *Report) since(p *printer, s *mailserver.Record) string {
	if s.Count.MessagesOut == r.sent(s) {
		return ""
	}
	return ", since it is known as a mail server (" + p.clock(s.First) + ")"
}

// serverDetails writes sentences about a server for which the table has no column.
func (r *Report) serverDetails(p *printer, s *mailserver.Record) {
	c := &s.Count
	say := func(format string, args ...any) {
		p.item(fmt.Sprintf("%s: ", s.Addr) + fmt.Sprintf(format, args...))
	}
	var at, why []string
	transactions := uint64(0) // in which something was refused
	for phase, n := range c.FailedBy {
		transactions += n
		if n > 0 {
			at = append(at, fmt.Sprintf("%s %s", phaseText[phase], grouped(n)))
		}
	}
	causes := make([]refusal.Reason, 0, refusal.Reasons)
	for cause, n := range c.FailedWhy {
		if n > 0 {
			causes = append(causes, refusal.Reason(cause))
		}
	}
	slices.SortStableFunc(causes,
		func(a, b refusal.Reason) int { return cmp.Compare(c.FailedWhy[b], c.FailedWhy[a]) })
	for _, cause := range causes {
		why = append(why, fmt.Sprintf("%s %s", cause, grouped(c.FailedWhy[cause])))
	}
	if c.MessagesOut > 0 || c.SessionsOut > 0 {
		say("it sent %s to %s in %s (%s)%s.", plural(c.MessagesOut, "message"),
			plural(c.RecipientsOut, "recipient"), plural(c.SessionsOut, "session"),
			bytesText(c.BytesOut), r.since(p, s))
	}
	if c.AuthOK+c.AuthFailed > 0 {
		say("clients outside your networks logged in in %s; in %s the login failed.",
			plural(c.AuthOK, "session"), grouped(c.AuthFailed))
	}
	if s.RelayDenied > 0 {
		say("it refused to relay for external clients %s, from %s. This is the test for an "+
			"open relay, and it passed.", times(s.RelayDenied), plural(s.RelayStrangers, "network"))
	}
	if o := &s.Outage; o.From != 0 {
		until := "and it continues"
		if o.To != 0 {
			until = "until " + p.clock(o.To)
		}
		say("from %s %s most deliveries failed; at most %s were queued. Their later delivery "+
			"raises no alarm.", p.clock(o.From), until,
			plural(uint64(o.Waited), "message"))
	}
	if transactions > 0 {
		say("receiving servers refused or deferred something in %s: %s. Reasons: %s.",
			plural(transactions, "transaction"), strings.Join(at, ", "), strings.Join(why, ", "))
	}
	if s.Queue.Estimate > 0 {
		q := &s.Queue
		about := "about"
		if q.LowerBound {
			about = "at least"
		}
		text := fmt.Sprintf(about+" %s for %s, the oldest for %s",
			verdict.Count(uint32(q.Estimate), "message seems to be waiting in its queue",
				"messages seem to be waiting in its queue"),
			verdict.Count(uint32(q.Destinations), "destination", "destinations"), short(q.Oldest))
		if q.Listed > 0 {
			text += fmt.Sprintf("; %d of them because a blocklist names your address: find out "+
				"why it is listed before you ask for removal", q.Listed)
		}
		say("%s.", text)
	}
	if c.Backscatter() {
		say("%d of %d messages that it sent are bounces. It accepts mail for unknown "+
			"recipients and bounces it later to forged senders: configure it to refuse unknown "+
			"recipients at once.", c.BouncesOut, c.MessagesOut)
	}
	if len(c.Port25) > 0 {
		var who []string
		for _, a := range slices.SortedFunc(slices.Values(c.Port25), netip.Addr.Compare) {
			who = append(who, a.String())
		}
		say("your own hosts submit mail on port 25, which is meant for servers: %s. Have them "+
			"use port 587 with a password, so that port 25 can be closed to them.", list(who))
	}
}

var phaseText = [mailserver.PhaseClasses]string{mailserver.AtConnect: "at the greeting",
	mailserver.AtMail: "the sender", mailserver.AtRcpt: "a recipient",
	mailserver.AtData: "the message"}

// events lists numbers of session events.
func events(numbers []uint64) string {
	var text []string
	for _, n := range numbers {
		text = append(text, fmt.Sprint(n))
	}
	return strings.Join(text, ", ")
}

// domainsMissing reports whether a server accepted mail and no local domain is configured.
func (r *Report) domainsMissing() bool {
	for _, s := range r.mail {
		if !s.DomainsConfigured && s.Count.MessagesIn > 0 {
			return true
		}
	}
	return false
}

// undeclared are internal hosts that accepted mail and are no declared servers, up to five.
func (r *Report) undeclared() (list []netip.Addr) {
	for a, s := range r.mail {
		if !s.Declared && s.Count.MessagesIn > 0 {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list[:min(len(list), 5)]
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(n) + " " + what + "s"
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return grouped(n) + " times"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// relaying is the result of the passive relay test: how a server answered external clients that
// named external recipients.
func (p *printer) relaying(s *mailserver.Record) string {
	switch {
	case s.Relayed > 0:
		return fmt.Sprintf("FAILED: %d relayed", s.Relayed)
	case s.RelayDenied > 0:
		return fmt.Sprintf("passed %s, last %s", times(s.RelayDenied), p.minute(s.RelayDeniedLast))
	case !s.DomainsConfigured:
		return "not known, see below"
	}
	return "nobody tried"
}

// serverSessions are the sessions that prove a finding about a mail server: sessions of the
// external client, or sessions that its evidence names.
func (r *Report) serverSessions(p *printer, f *finding.Finding, d depth) (list []string) {
	for _, client := range slices.SortedFunc(maps.Keys(r.sessions), netip.Addr.Compare) {
		if f.Relay != nil && f.Relay.Client != client {
			continue
		}
		for _, s := range r.sessions[client] {
			if s.to.Addr() == f.Source.Addr &&
				(s.number == 0 && !r.named[client] || slices.Contains(f.Evidence, s.number)) &&
				len(list) < maxSessions {
				list = append(list, fmt.Sprintf("%s: %s", client, r.proofText(p, &s, d)))
			}
		}
	}
	if more := len(f.Evidence) - len(list); more > 0 && len(list) == 0 {
		list = append(list, "The sessions in the events "+events(f.Evidence)+".")
	}
	return list
}
