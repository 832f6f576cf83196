package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// Options are the form of a report.
type Options struct {
	Color bool
	// Width is the width of the terminal in columns, zero if there is none. The report takes 80 to
	// 120 of them, by default 100.
	Width int
	// All has every finding written in detail, with all reasons.
	All bool
	// Zone is the time zone of the times; nil is UTC.
	Zone *time.Location
	// Lang is the language; nil is English.
	Lang *lang.Printer
}

// Text writes a report for a terminal.
func (m *Model) Text(out io.Writer, o Options) {
	p := &printer{out: out, color: o.Color, width: defaultWidth, all: o.All, zone: time.UTC,
		tr: o.Lang, live: m.Live, inputs: m.SeveralInputs()}
	if o.Width > 0 {
		p.width = min(max(o.Width, minWidth), maxWidth)
	}
	if o.Zone != nil {
		p.zone = o.Zone
	}
	p.verdict(&m.Headline)
	p.period(m)
	p.writeFindings(m)
	if p.shortened {
		p.line("")
		p.line(p.tr.Text("<...@domain>: the local part is not kept (evidence.mail_from)"))
	}
	p.ignoredFindings(m.Ignored)
	p.mailServers(m.Servers)
	p.hostTables(m)
	p.sessionTable(m)
	p.withdrawn(m.Withdrawn)
	p.limits(m)
	if len(m.Unused) > 0 {
		p.section(p.tr.Text("Settings without effect"))
		p.item(p.tr.Sprintf("They had no effect on this capture, so they may be wrong or out of "+
			"date: %s", strings.Join(m.Unused, ", ")))
	}
	p.hints(m.Hints)
	p.glossary(m)
	p.input(&m.Input)
	p.origin(m)
}

// input writes what was read, and the account of its frames.
func (p *printer) input(in *Input) {
	p.line("")
	names := in.Names
	if len(names) > 3 {
		names = append(slices.Clone(names[:3]), p.tr.Sprintf("and %d more", len(in.Names)-3))
	}
	p.field("Input",
		p.tr.Sprintf("%s: %s packets, %s", strings.Join(names, ", "), p.number(in.Frames),
			p.bytes(in.Bytes)))
	s := in.Took.Seconds()
	p.field("Read in",
		p.tr.Sprintf("%.2f s (%s packets/s)", s, p.number(uint64(float64(in.Frames)/max(s, 1e-6)))))
	p.field("Frames", p.tr.Sentence(in.Account))
}

// period writes the time of the input, and what of it the report does not know.
func (p *printer) period(m *Model) {
	first, last := m.Period.First, m.Period.Last
	switch in := &m.Input; {
	case first > 0 && first == last && in.Frames > 1:
		p.field("Period", p.tr.Sprintf("all packets have the time %s: the capture has no times, "+
			"and what is said of durations and rates is not known", p.clock(first)))
	case first > 0:
		p.field("Period", p.wholeTime(first, last))
	}
	if x := m.Only; x != nil && (x.Since != 0 || x.Until != 0) {
		p.field("Only", p.only(x))
	}
	p.losses(&m.Input, p.field)
}

// losses says what of the input is not in the report; say gets each with its name.
func (p *printer) losses(in *Input, say func(name, text string)) {
	for _, problem := range in.Problems {
		say("Unread", p.tr.Sentence(problem))
	}
	if in.Refused > 0 {
		say("Refused",
			p.tr.Sprintf("%s packets could not be decoded: %s", p.number(in.Refused),
				strings.Join(in.RefusedBy, ", ")))
	}
	if in.Drops > 0 {
		say("Lost", p.tr.Sprintf("%s packets were dropped while capturing",
			p.number(in.Drops)))
	}
	if in.Loss > 0.005 {
		text := "about %.1f %% of the bytes of mail connections are missing from the capture"
		if p.live {
			text = "about %.1f %% of the bytes of mail connections were not captured"
		}
		say("Loss", p.tr.Sprintf(text, 100*in.Loss))
	}
}

// wholeTime is the time of the capture, and the time zone of the report.
func (p *printer) wholeTime(first, last Time) string {
	a := first.In(p.zone)
	zone, offset := a.Zone()
	s := fmt.Sprintf("%s %s, %s", p.span(first, last), zone,
		time.Duration(last-first).Round(time.Second))
	if offset != 0 {
		s += p.tr.Sprintf(". All times below are %s (UTC%s); those of events are UTC", zone,
			a.Format("-07:00"))
	}
	return s
}

// origin writes what the report was made with, so that it can be made again.
func (p *printer) origin(m *Model) {
	in := &m.Input
	if m.Version == "" {
		return
	}
	p.section(p.tr.Text("This report"))
	settings := p.tr.Text("no settings")
	if len(in.Settings) > 0 {
		settings = p.tr.Sprintf("with %s", strings.Join(in.Settings, " "))
	}
	p.item(fmt.Sprintf("spamsensor %s, %s", m.Version, settings))
	for i, s := range in.Sums {
		if i == 3 && !p.all {
			p.item(p.tr.Sprintf("and of %d more files: with -v", len(in.Sums)-i))
			break
		}
		p.item(p.tr.Sprintf("SHA-256 of %s: %s", s.Name, s.SHA256))
	}
}

// glossary says what the words of the counts mean, if there are any.
func (p *printer) glossary(m *Model) {
	if len(m.Findings)+len(m.Hosts) == 0 {
		return
	}
	p.section(p.tr.Text("Words"))
	for _, s := range Glossary {
		p.item(p.tr.Text(s))
	}
}

// Glossary says what the words of the counts mean.
var Glossary = []string{
	"Attempt: a connection to a mail port that a host tried to open. Session: an attempt that a " +
		"server accepted.",
	"Server: an address. Network: the servers of a /24, of IPv6 of a /48. Mail provider: the " +
		"servers of one domain; a network, where no name is known.",
}

// fewHosts is how many hosts without a finding have their destinations written in full.
const fewHosts = 5

// hostTables writes the hosts without a finding.
func (p *printer) hostTables(m *Model) {
	named := map[netip.Addr]bool{} // those with a finding, in force or not
	for _, list := range [][]Finding{m.Findings, m.Ignored} {
		for i := range list {
			named[list[i].IP] = true
		}
	}
	for _, w := range m.Withdrawn {
		named[w.IP] = true
	}
	watched := map[netip.Addr]bool{} // then it is in the table of mail servers
	for i := range m.Servers {
		watched[m.Servers[i].IP] = true
	}
	var declared, others []*Host
	for i := range m.Hosts {
		switch h := &m.Hosts[i]; {
		case watched[h.IP]:
		case h.Declared():
			declared = append(declared, h)
		case !named[h.IP]:
			others = append(others, h)
		}
	}
	p.table("Declared hosts", declared, 0)
	p.table("Other hosts of yours that tried to send mail", others, m.HostCount-len(m.Hosts))
}

// table writes hosts; beyond are further ones that the model does not have.
func (p *printer) table(title string, list []*Host, beyond int) {
	n := len(list) + beyond
	rows := list[:min(len(list), maxRows)]
	if len(rows) == 0 {
		return
	}
	p.section(fmt.Sprintf("%s (%s)", p.tr.Text(title), p.number(uint64(n))))
	var cells [][]string
	hidden := false
	for _, h := range rows {
		level := p.tr.Text(h.Level)
		if h.Level == verdict.NoLevel.String() {
			level = "-"
		}
		c := &h.Counts
		accepted, refusals := p.number(uint64(c.Messages)), p.number(c.Refusals())
		if h.Hidden() {
			accepted, refusals, hidden = "-", "-", true
		}
		cells = append(cells, []string{h.Called(), p.number(uint64(c.Attempts)),
			p.number(uint64(c.DestNets)), p.number(uint64(c.Sessions)), p.number(c.Failed()),
			accepted, refusals, level, p.target(h)})
	}
	p.columns([]column{{name: "host", hosts: true}, {name: "attempts", right: true},
		{name: "networks", right: true, drop: 2}, {name: "sessions", right: true, drop: 4},
		{name: "failed", right: true, drop: 5}, {name: "accepted", right: true},
		{name: "refusals", right: true, drop: 3}, {name: "level", drop: 1},
		{name: "mostly to", cut: true, drop: 6}}, cells)
	if hidden {
		p.line(p.tr.Text("   -: all sessions of the host are encrypted, so that it is not known"))
	}
	if len(rows) <= fewHosts { // else the column must do
		for _, h := range rows {
			if to := destinations(h); to != "" {
				p.item(p.tr.Sprintf("%s sends mostly to %s", h.Called(), to))
			}
		}
	}
	if more := n - len(rows); more > 0 {
		p.line(p.tr.Sprintf("   and %s more: all are in the events", p.number(uint64(more))))
	}
}

// limits writes the limits of the capture.
func (p *printer) limits(m *Model) {
	items := p.unjudged(m)
	if len(items) == 0 {
		return
	}
	p.section(p.tr.Text("What could not be judged"))
	for _, s := range items {
		p.item(s)
	}
}

// unjudged are sessions and bytes that could not be judged, and what hinders the sensor.
func (p *printer) unjudged(m *Model) (items []string) {
	add := func(n uint64, format string) {
		if n > 0 {
			items = append(items, p.tr.Sprintf(format, p.number(n)))
		}
	}
	l := &m.Limits
	add(l.Encrypted, "encrypted sessions of your hosts without a finding: %s; their content is "+
		"unknown")
	add(l.SeenClient, "sessions seen from the client's side only: %s")
	add(l.SeenServer, "sessions seen from the server's side only: %s")
	if p.live {
		add(l.Gaps, "gaps, bytes that were sent but not captured: %s")
		add(l.Midstream, "%s connections had begun before the sensor saw them")
	} else {
		add(l.Gaps, "gaps, bytes that were sent but are not in the capture: %s")
		add(l.Midstream, "%s connections had begun before the capture")
	}
	for _, h := range m.Health {
		items = append(items, p.tr.Sentence(h.Text))
	}
	return items
}

func (p *printer) hints(hints []string) {
	if len(hints) == 0 {
		return
	}
	p.section(p.tr.Text("Run again with"))
	for _, h := range hints {
		p.item(p.tr.Sentence(h))
	}
}

// short is a duration for a reader.
func (p *printer) short(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return p.tr.Sprintf("%.0f ms", float64(d)/1e6)
	case d < time.Minute:
		return p.tr.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// bytes is a number of bytes.
func (p *printer) bytes(n uint64) string {
	f := float64(n)
	for _, unit := range []string{"bytes", "kB", "MB", "GB"} {
		if f < 1000 || unit == "GB" {
			if unit == "bytes" {
				return p.tr.Sprintf("%d bytes", n)
			}
			return p.tr.Sprintf("%.1f "+unit, f)
		}
		f /= 1000
	}
	return ""
}
