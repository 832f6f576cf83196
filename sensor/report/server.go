package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"spamsensor/sensor/detect"
)

// Server takes in what is known of a mail server; the latest counts.
func (r *Report) Server(s *detect.ServerRecord) {
	if r == nil {
		return
	}
	if r.mail == nil {
		r.mail = map[netip.Addr]detect.ServerRecord{}
	}
	r.mail[s.Addr] = *s
}

// mailServers is the section on mail servers.
func (r *Report) mailServers(p *printer) {
	if len(r.mail) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Values(r.mail), func(a, b detect.ServerRecord) int {
		return cmp.Or(-cmp.Compare(a.Count.MessagesOut, b.Count.MessagesOut), a.Addr.Compare(b.Addr))
	})
	p.section(fmt.Sprintf("Mail servers (%d)", len(list)))
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"server", "declared", "out", "in", "failed", "deferred", "queue", "usual/h", "relaying"})
	for i := range list[:min(len(list), maxTalkers)] {
		s := &list[i]
		usual := "learning"
		if s.Hour.Known {
			usual = fmt.Sprintf("%.0f", s.Hour.Mean)
		}
		t.AppendRow(table.Row{s.Addr, yes(s.Declared), s.Count.MessagesOut, s.Count.MessagesIn, s.Count.FailedOut, s.Count.DeferredOut, s.Queue.Estimate, usual, relaying(s)})
	}
	p.line(t.Render())
}

// undeclared are hosts of ours that took mail and that nobody declared, up to five.
func (r *Report) undeclared() (list []netip.Addr) {
	for a, s := range r.mail {
		if !s.Declared && s.Count.MessagesIn > 0 {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list[:min(len(list), 5)]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// relaying is the standing test of a server: what it did with strangers' foreign recipients.
func relaying(s *detect.ServerRecord) string {
	switch {
	case s.Relayed > 0:
		return fmt.Sprintf("%d relayed", s.Relayed)
	case s.RelayDenied > 0:
		return fmt.Sprintf("refused %d, last %s", s.RelayDenied, clock(s.RelayDeniedLast))
	}
	return "not tried"
}

// serverFinding is a finding about a mail server.
func (r *Report) serverFinding(p *printer, n int, f *detect.Finding) {
	p.section(fmt.Sprintf("%d. mail server %s  %s, %s, severity %s", n, f.Source.Addr, classText[f.Class], f.Level, f.Severity))
	p.wrap("   ", "   ", fmt.Sprintf("First seen %s, last %s UTC.", clock(f.Decided.At), clock(f.Source.Facts.Last)))
	p.line("   Why")
	for _, reason := range f.Reasons {
		p.item(r.clean(reason.Text))
	}
	for _, b := range f.Blind {
		p.item("Not seen: " + b)
	}
	p.line("   Do")
	p.item(f.Advice)
}
