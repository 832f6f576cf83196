package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// Server adds the state of a mail server; the latest replaces earlier ones.
func (r *Report) Server(s *mailserver.Record) {
	if r == nil {
		return
	}
	if r.mail == nil {
		r.mail = map[netip.Addr]mailserver.Record{}
		r.hours = map[netip.Addr][]ServerHour{}
	}
	r.mail[s.Addr] = *s
	r.hours[s.Addr] = addHour(r.hours[s.Addr], s)
}

// maxServerHours bounds the hours of a server: a month.
const maxServerHours = 31 * 24

// addHour adds the last whole hour of a server, which its first record does not have.
func addHour(list []ServerHour, s *mailserver.Record) []ServerHour {
	at := Time((s.Time/hour - 1) * hour)
	if s.First/hour*hour > int64(at) || len(list) > 0 && list[len(list)-1].At >= at {
		return list
	}
	h := &s.Hour
	list = append(list, ServerHour{At: at, N: h.Count, Known: h.Known, Usual: h.Mean, Z: h.Z})
	return slices.Delete(list, 0, max(0, len(list)-maxServerHours))
}

// mailServers writes the section on mail servers.
func (p *printer) mailServers(list []Server) {
	if len(list) == 0 {
		return
	}
	p.section(fmt.Sprintf("Mail servers (%d)", len(list)))
	var cells [][]string
	rows := list[:min(len(list), maxRows)]
	for i := range rows {
		s := &rows[i]
		usual := "learning"
		if s.Usual != nil {
			usual = fmt.Sprintf("%.0f", *s.Usual)
		}
		cells = append(cells, []string{s.IP.String(), yes(s.Declared), grouped(s.Sent),
			grouped(s.Received), grouped(s.Failed), grouped(s.Deferred),
			grouped(uint64(s.Queue.Estimate)), usual, p.relaying(&s.Relay)})
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
		p.serverDetails(&rows[i])
	}
}

// maxServerDetails bounds the mail servers of which sentences are written.
const maxServerDetails = 5

// since says from when on a server's messages are counted, if that is not from its first one: the
// first ones of a server that is not declared made it known.
func (p *printer) since(s *Server) string {
	if s.Counted == s.Sent {
		return ""
	}
	return ", since it is known as a mail server (" + p.clock(s.First) + ")"
}

// serverDetails writes sentences about a server for which the table has no column.
func (p *printer) serverDetails(s *Server) {
	say := func(format string, args ...any) {
		p.item(fmt.Sprintf("%s: ", s.IP) + fmt.Sprintf(format, args...))
	}
	if s.Counted > 0 || s.Sessions > 0 {
		say("it sent %s to %s in %s (%s)%s.", plural(s.Counted, "message"),
			plural(s.Recipients, "recipient"), plural(s.Sessions, "session"),
			bytesText(s.Bytes), p.since(s))
	}
	if s.AuthOK+s.AuthFailed > 0 {
		say("clients outside your networks logged in in %s; in %s the login failed.",
			plural(s.AuthOK, "session"), grouped(s.AuthFailed))
	}
	if s.Relay.Denied > 0 {
		say("it refused to relay for external clients %s, from %s. This is the test for an "+
			"open relay, and it passed.", times(s.Relay.Denied),
			plural(s.Relay.Strangers, "network"))
	}
	if o := s.Outage; o != nil {
		until := "and it continues"
		if o.To != 0 {
			until = "until " + p.clock(o.To)
		}
		say("from %s %s most deliveries failed; at most %s were queued. Their later delivery "+
			"raises no alarm.", p.clock(o.From), until,
			plural(uint64(o.Waited), "message"))
	}
	if len(s.FailedAt) > 0 {
		say("receiving servers refused or deferred something in %s: %s. Reasons: %s.",
			plural(sum(s.FailedAt), "transaction"), causes(s.FailedAt), causes(s.FailedWhy))
	}
	if s.Queue.Estimate > 0 {
		say("%s.", queueText(&s.Queue))
	}
	if s.Backscatter {
		say("%d of %d messages that it sent are bounces. It accepts mail for unknown "+
			"recipients and bounces it later to forged senders: configure it to refuse unknown "+
			"recipients at once.", s.Bounces, s.Counted)
	}
	if len(s.Port25) > 0 {
		say("your own hosts submit mail on port 25, which is meant for servers: %s. Have them "+
			"use port 587 with a password, so that port 25 can be closed to them.", list(s.Port25))
	}
}

// queueText is the queue of a server in a sentence.
func queueText(q *Queue) string {
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
	return text
}

// causes are counts with their names.
func causes(list []Cause) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, c.Name+" "+grouped(c.N))
	}
	return strings.Join(parts, ", ")
}

// sum adds counts up.
func sum(list []Cause) (n uint64) {
	for _, c := range list {
		n += c.N
	}
	return n
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
func (p *printer) relaying(s *Relay) string {
	switch {
	case s.Relayed > 0:
		return fmt.Sprintf("FAILED: %d relayed", s.Relayed)
	case s.Denied > 0:
		return fmt.Sprintf("passed %s, last %s", times(s.Denied), p.minute(s.DeniedLast))
	case !s.Known:
		return "not known, see below"
	}
	return "nobody tried"
}
