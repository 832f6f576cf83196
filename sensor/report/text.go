package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
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
}

// Text writes the report.
func (r *Report) Text(out io.Writer, in *Input, o Options) {
	p := &printer{out: out, color: o.Color, width: defaultWidth, all: o.All, zone: time.UTC}
	if o.Width > 0 {
		p.width = min(max(o.Width, minWidth), maxWidth)
	}
	if o.Zone != nil {
		p.zone = o.Zone
	}
	r.input(p, in)
	found := r.sorted()
	r.verdict(p, in, found)
	r.writeFindings(p, in, found)
	if p.shortened {
		p.line("")
		p.line("<...@domain>: the local part is not kept (evidence.mail_from)")
	}
	r.ignoredFindings(p)
	r.mailServers(p)
	r.table(p, "Declared hosts", &r.servers)
	r.table(p, "Other hosts of yours that tried to send mail", &r.others)
	r.withdrawn(p)
	r.limits(p, in)
	if len(in.Unused) > 0 {
		p.section("Settings without effect")
		p.item(fmt.Sprintf("They had no effect on this capture, so they may be wrong or out of "+
			"date: %s", strings.Join(in.Unused, ", ")))
	}
	r.hints(p, in, found)
	r.origin(p, in)
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
		p.field("Period", "all packets have the time "+p.clock(in.First)+": the capture has no "+
			"times, and what is said of durations and rates is not known")
	case in.First > 0:
		p.field("Period", p.period(in.First, in.Last))
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

// period is the time of the capture, and the time zone of the report.
func (p *printer) period(first, last int64) string {
	a := time.Unix(0, frame.ShownTime(first)).In(p.zone)
	zone, offset := a.Zone()
	s := fmt.Sprintf("%s %s, %s", p.span(first, last), zone,
		time.Duration(last-first).Round(time.Second))
	if offset != 0 {
		s += fmt.Sprintf(". All times below are %s (UTC%s); those of events are UTC", zone,
			a.Format("-07:00"))
	}
	return s
}

// origin writes what the report was made with, so that it can be made again.
func (r *Report) origin(p *printer, in *Input) {
	if in.Version == "" {
		return
	}
	p.section("This report")
	settings := "no settings"
	if len(in.Settings) > 0 {
		settings = "with " + strings.Join(in.Settings, " ")
	}
	p.item(fmt.Sprintf("spamsensor %s, %s", in.Version, settings))
	for i, s := range in.Sums {
		if i == 3 && !p.all {
			p.item(fmt.Sprintf("and of %d more files: with -v", len(in.Sums)-i))
			break
		}
		p.item(fmt.Sprintf("SHA-256 of %s: %s", s.Name, s.SHA256))
	}
}

// counted is a number with its noun.
func counted[N uint32 | int](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(uint64(n)) + " " + noun + "s"
}

// fewHosts is how many hosts without a finding have their destinations written in full.
const fewHosts = 5

// table writes hosts without a finding.
func (r *Report) table(p *printer, title string, sources *top) {
	rows := slices.DeleteFunc(slices.Clone(sources.first), func(s finding.SourceRecord) bool {
		_, watched := r.mail[s.Addr] // then it is in the table of mail servers
		return watched
	})
	n := sources.n - (len(sources.first) - len(rows))
	if len(rows) == 0 {
		return
	}
	p.section(fmt.Sprintf("%s (%s)", title, grouped(uint64(n))))
	var cells [][]string
	for i := range rows {
		s := &rows[i]
		level := s.Level.String()
		if s.Level == verdict.NoLevel {
			level = "-"
		}
		cells = append(cells, []string{s.Addr.String(), grouped(uint64(s.Counters.Attempts)),
			grouped(uint64(s.DestNets)), grouped(uint64(s.Counters.Sessions)), grouped(failed(s)),
			grouped(uint64(s.Counters.Messages)), grouped(refusals(s)), level,
			r.target(s)})
	}
	p.columns([]column{{name: "host"}, {name: "attempts", right: true},
		{name: "networks", right: true, drop: 2}, {name: "sessions", right: true, drop: 4},
		{name: "failed", right: true, drop: 5}, {name: "accepted", right: true},
		{name: "refusals", right: true, drop: 3}, {name: "level", drop: 1},
		{name: "mostly to", cut: true, drop: 6}}, cells)
	if len(rows) <= fewHosts { // else the column must do
		for i := range rows {
			if to := r.destinations(&rows[i]); to != "" {
				p.item(fmt.Sprintf("%s sends mostly to %s", rows[i].Addr, to))
			}
		}
	}
	if more := n - len(rows); more > 0 {
		p.line(fmt.Sprintf("   and %s more: all are in the events", grouped(uint64(more))))
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
