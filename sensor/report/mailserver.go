package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/mailserver"
)

// Server adds the state of a mail server; the latest replaces earlier ones.
func (r *Report) Server(s *mailserver.Record) {
	if r == nil {
		return
	}
	if !r.shows(s.Addr) {
		r.leftServers[s.Addr] = true
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
	p.section(p.tr.Sprintf("Mail servers (%d)", len(list)))
	var cells [][]string
	rows := list[:min(len(list), maxRows)]
	for i := range rows {
		s := &rows[i]
		usual := p.tr.Text("learning")
		switch {
		case s.Hidden():
			usual = "-"
		case s.Usual != nil:
			usual = fmt.Sprintf("%.0f", *s.Usual)
		}
		cells = append(cells, []string{s.Called(), p.yes(s.Declared), p.number(s.Sent),
			p.number(s.Received), p.number(s.Failed), p.number(s.Deferred),
			p.number(uint64(s.Queue.Estimate)), usual, p.relaying(&s.Relay)})
	}
	p.columns([]column{{name: "server", hosts: true}, {name: "declared", drop: 2},
		{name: "sent", right: true}, {name: "received", right: true},
		{name: "refused", right: true, drop: 4}, {name: "deferred", right: true, drop: 3},
		{name: "waiting", right: true}, {name: "usual/h", right: true, drop: 1},
		{name: "relay test", cut: true}}, cells)
	if more := len(list) - len(rows); more > 0 {
		p.line(p.tr.Sprintf("   and %d more: all are in the events", more))
	}
	if !p.all {
		rows = rows[:min(len(rows), maxServerDetails)]
	}
	for i := range rows {
		for _, s := range p.serverDetails(&rows[i]) {
			p.item(p.tr.Sprintf("%s: %s", rows[i].Called(), s))
		}
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
	return p.tr.Sprintf(", since it is known as a mail server (%s)", p.clock(s.First))
}

// serverDetails are sentences about a server for which the table has no column.
func (p *printer) serverDetails(s *Server) (facts []string) {
	say := func(format string, args ...any) {
		facts = append(facts, p.tr.Sprintf(format, args...))
	}
	if s.Counted > 0 || s.Sessions > 0 {
		say("it sent %s to %s in %s (%s)%s.", p.plural(s.Counted, "message"),
			p.plural(s.Recipients, "recipient"), p.plural(s.Sessions, "session"),
			p.bytes(s.Bytes), p.since(s))
	}
	switch {
	case s.Encrypted > 0 && s.Hidden():
		say("%s of its %s are encrypted, so that only %s could be counted: whether it sends as "+
			"usual cannot be said from that; see its log.", p.number(s.Encrypted),
			p.plural(s.Sessions, "session"), p.plural(s.Counted, "message"))
	case s.Encrypted > 0:
		say("%s of its %s are encrypted: their messages are not counted.",
			p.number(s.Encrypted), p.plural(s.Sessions, "session"))
	}
	if s.Well() {
		say("nothing unusual was seen of it.")
	}
	if s.AuthOK+s.AuthFailed > 0 {
		say("clients outside your networks logged in in %s; in %s the login failed.",
			p.plural(s.AuthOK, "session"), p.number(s.AuthFailed))
	}
	if s.Relay.Relayed+s.Relay.Denied == 0 && !s.Relay.Known {
		say("whether it relays for strangers is not tested, because your mail domains are not " +
			"known: give each with --local-domain (local_domains in the configuration).")
	}
	if s.Relay.Denied > 0 {
		say("it refused to relay for external clients %s, from %s. This is the test for an "+
			"open relay, and it passed.", p.times(s.Relay.Denied),
			p.plural(s.Relay.Strangers, "network"))
	}
	if o := s.Outage; o != nil {
		until := p.tr.Text("and it continues")
		if o.To != 0 {
			until = p.tr.Sprintf("until %s", p.clock(o.To))
		}
		say("from %s %s most deliveries failed; at most %s were queued. Their later delivery "+
			"raises no alarm.", p.clock(o.From), until,
			p.plural(uint64(o.Waited), "message"))
	}
	if len(s.FailedAt) > 0 {
		say("receiving servers refused or deferred something in %s: %s. Reasons: %s.",
			p.plural(sum(s.FailedAt), "transaction"), p.causes(s.FailedAt),
			p.causes(s.FailedWhy))
	}
	if s.Queue.Estimate > 0 {
		say("%s.", p.queue(&s.Queue))
	}
	if s.Backscatter {
		say("%d of %d messages that it sent are bounces. It accepts mail for unknown "+
			"recipients and bounces it later to forged senders: configure it to refuse unknown "+
			"recipients at once.", s.Bounces, s.Counted)
	}
	if len(s.Port25) > 0 {
		say("your own hosts submit mail on port 25, which is meant for servers: %s. Have them "+
			"use port 587 with a password, so that port 25 can be closed to them.",
			p.tr.Sentence(list(s.Port25)))
	}
	return facts
}

// queue is the queue of a server in a sentence.
func (p *printer) queue(q *Queue) string {
	about := "about %s for %s, the oldest for %s"
	if q.LowerBound {
		about = "at least %s for %s, the oldest for %s"
	}
	text := p.tr.Sprintf(about,
		p.count(uint32(q.Estimate), "message seems to be waiting in its queue",
			"messages seem to be waiting in its queue"),
		p.count(uint32(q.Destinations), "destination", "destinations"), p.short(q.Oldest))
	if q.Listed > 0 {
		text += p.tr.Sprintf("; %d of them because a blocklist names your address: find out "+
			"why it is listed before you ask for removal", q.Listed)
	}
	return text
}

// causes are counts with their names.
func (p *printer) causes(list []Cause) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, p.tr.Text(c.Name)+" "+p.number(c.N))
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

func (p *printer) times(n uint64) string {
	if n == 1 {
		return p.tr.Text("once")
	}
	return p.tr.Plural(n, "time", "times")
}

func (p *printer) yes(b bool) string {
	if b {
		return p.tr.Text("yes")
	}
	return p.tr.Text("no")
}

// relaying is the result of the passive relay test: how a server answered external clients that
// named external recipients.
func (p *printer) relaying(s *Relay) string {
	switch {
	case s.Relayed > 0:
		return p.tr.Sprintf("FAILED: %d relayed", s.Relayed)
	case s.Denied > 0:
		return p.tr.Sprintf("passed %s, last %s", p.times(s.Denied), p.minute(s.DeniedLast))
	case !s.Known:
		return p.tr.Text("not tested")
	}
	return p.tr.Text("nobody tried")
}
