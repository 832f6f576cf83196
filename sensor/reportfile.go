package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/html"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// maxReport bounds the file of a report, in bytes. The JSON of 5,000 hosts has some 6 MB.
const maxReport = 256 << 20

// isReport reports whether a file begins like a report, HTML or JSON. No capture does.
func isReport(name string) bool {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return false // standard input and pipes are read once: they hold captures
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	text := strings.ToLower(strings.TrimLeft(string(head[:n]), "\ufeff \t\r\n"))
	return strings.HasPrefix(text, "<!doctype html") || strings.HasPrefix(text, "<html") ||
		strings.HasPrefix(text, "{")
}

// readReport reads the model of a report that `read --html` or `read --json` wrote.
func readReport(name string) (*report.Model, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReport))
	if err != nil {
		return nil, err
	}
	none := fmt.Errorf("%s is neither a capture nor a report of spamsensor (read --html or --json)",
		printable(name))
	text = bytes.TrimLeft(text, "\ufeff \t\r\n")
	if !bytes.HasPrefix(text, []byte("{")) {
		data, ok := html.Data(text)
		if !ok {
			return nil, none
		}
		text = data
	}
	// Whoever sent the report may have written into it what he likes: its texts are printed.
	var any map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&any); err != nil {
		return nil, fmt.Errorf("the report %s is damaged: %w", printable(name), err)
	}
	by, _ := any["spamsensor"].(string)
	if by == "" {
		return nil, none
	}
	if text, err = json.Marshal(harmless(any)); err != nil {
		return nil, err
	}
	m := new(report.Model)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the report %s, which spamsensor %s wrote, cannot be read: %w",
			printable(name), printable(by), err)
	}
	return m, nil
}

// harmless makes all texts of a JSON value safe to print. Those that are stay as they are.
func harmless(x any) any {
	switch x := x.(type) {
	case string:
		if strings.ContainsFunc(x, func(r rune) bool {
			return (r < ' ' || r > '~') && event.Escape(string(r), 16) != string(r)
		}) {
			return event.Escape(x, 4*len(x))
		}
	case []any:
		for i := range x {
			x[i] = harmless(x[i])
		}
	case map[string]any:
		for key := range x {
			x[key] = harmless(x[key])
		}
	}
	return x
}

// fromReport answers from the model of a report.
func (a *app) fromReport(o *askOptions) (status.Getter, error) {
	if len(o.files) > 1 {
		return nil, exit(exitUsage, errors.New("-r takes captures, or one report: a report cannot "+
			"be joined with others"))
	}
	m, err := readReport(o.files[0])
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	if m.LeftOut.Hides() {
		a.tell(a.stderr, "warning: the report %s was shortened, and lacks: %s; the capture and "+
			"read --json have all\n", printable(o.files[0]), m.LeftOut.Text(a.printer()))
	}
	o.report = true
	return status.Local(&reported{m, printable(o.files[0])}), nil
}

// reported answers from a report; it is a status.Sensor. Its events have what a person is shown of
// an event, and no more.
type reported struct {
	m    *report.Model
	name string // of its file
}

// Model implements status.Sensor.
func (r *reported) Model() any { return r.m }

// Status implements status.Sensor. A report has hardly anything of it.
func (r *reported) Status() *status.Status {
	s := &status.Status{Version: r.m.Version, Sensor: r.m.Sensor, Frames: r.m.Input.Frames,
		Bytes: r.m.Input.Bytes, Refused: r.m.Input.Refused, Attempts: r.m.Input.Attempts,
		Now: r.m.Period.Last.In(time.UTC)}
	for _, h := range r.m.Health {
		s.Health = append(s.Health, status.Health{Check: h.Check, Text: h.Text, Hint: h.Hint,
			Since: h.Since.In(time.UTC)})
	}
	return s
}

// Servers implements status.Sensor. Only serve asks for them, which has no report.
func (r *reported) Servers() *status.Servers { return &status.Servers{} }

// Settings implements status.Sensor. Only serve asks for them, too.
func (r *reported) Settings() *status.Settings { return &status.Settings{} }

// Sources implements status.Sensor.
func (r *reported) Sources(most int) *status.Sources {
	s := &status.Sources{Sources: []json.RawMessage{}, Total: max(r.m.HostCount, len(r.m.Hosts))}
	for i := range r.m.Hosts[:min(most, len(r.m.Hosts))] {
		h := &r.m.Hosts[i]
		e := r.event(h, h.Last)
		e.Source = &status.Source{Counts: eventCounts(h), Role: h.Role, Level: h.Level,
			Score: h.Score, FirstSeen: timeOf(h.First), LastSeen: timeOf(h.Last)}
		s.Sources = append(s.Sources, eventLine(e))
	}
	return s
}

// Findings implements status.Sensor.
func (r *reported) Findings() *status.FindingList {
	l := &status.FindingList{Findings: r.about(func(*report.Finding) bool { return true })}
	l.Total = len(l.Findings) + r.m.MoreFindings
	return l
}

// Finding implements status.Sensor.
func (r *reported) Finding(id string) json.RawMessage {
	for _, line := range r.about(func(f *report.Finding) bool { return f.ID == id }) {
		return line
	}
	return nil
}

// about are the findings that match, as events, the worst first.
func (r *reported) about(match func(*report.Finding) bool) []json.RawMessage {
	list := []json.RawMessage{}
	for _, findings := range [][]report.Finding{r.m.Findings, r.m.Ignored} {
		for i := range findings {
			if f := &findings[i]; match(f) {
				list = append(list, eventLine(r.finding(f)))
			}
		}
	}
	return list
}

// Explain implements status.Sensor. A report has reasons of findings alone.
func (r *reported) Explain(ip string) (*status.Explanation, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("%s is no IP address", printable(ip))
	}
	addr = addr.Unmap()
	x := &status.Explanation{IP: addr.String(), Hosts: []json.RawMessage{},
		Declared: r.declared(addr), Since: timeOf(r.m.Period.First),
		Until: timeOf(r.m.Period.Last)}
	x.Findings = r.about(func(f *report.Finding) bool {
		return f.IP == addr || slices.Contains(f.Also, addr)
	})
	x.Home = slices.ContainsFunc(r.m.Input.Home, func(p netip.Prefix) bool {
		return p.Contains(addr)
	})
	for i := range r.m.Hosts {
		if h := &r.m.Hosts[i]; h.IP == addr && h.Finding == "" {
			e := r.finding(&report.Finding{Host: *h, Blind: []string{"a report has no reasons " +
				"of a host without a finding: the capture has them"}})
			e.Finding.Action = finding.Explained
			x.Hosts = append(x.Hosts, eventLine(e))
		}
	}
	return x, nil
}

// declared is what the configuration of the report said of a host.
func (r *reported) declared(addr netip.Addr) []status.Declaration {
	list := []status.Declaration{}
	for _, d := range r.m.Declared {
		if d.IP == addr {
			list = append(list, status.Declaration{Key: "smtp_servers", Text: roleText(d.Role),
				File: r.name})
		}
	}
	if slices.ContainsFunc(r.m.Relays, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		list = append(list, status.Declaration{Key: "allowed_relays", Text: relayText,
			File: r.name})
	}
	return list
}

// event is an event about a host.
func (r *reported) event(h *report.Host, at report.Time) *status.Event {
	e := &status.Event{Timestamp: timeOf(at), SrcIP: h.IP.String(), SrcName: h.Name,
		MAC: h.MAC, File: h.Input}
	for _, v := range h.VLAN {
		e.VLAN = append(e.VLAN, int(v))
	}
	return e
}

// finding is an event of a finding.
func (r *reported) finding(f *report.Finding) *status.Event {
	e := r.event(&f.Host, f.Time)
	x := &status.Finding{ID: f.ID, Action: finding.Closed, Class: f.Class.String(), Level: f.Level,
		Score: f.Score, Severity: f.Severity, FirstSeen: timeOf(f.First), LastSeen: timeOf(f.Last),
		Since: timeOf(f.Since()), Counts: eventCounts(&f.Host), Blind: f.Blind, Advice: f.Advice,
		CloseReason: f.CloseReason}
	if f.Open {
		x.Action = finding.Updated
	}
	for i := range f.Reasons {
		t := &f.Reasons[i]
		x.Reasons = append(x.Reasons, status.Reason{Code: t.Code, Family: t.Family, Value: t.Value,
			Threshold: t.Threshold, Weight: t.Weight, Text: t.Text, First: timeOf(t.First),
			Last: timeOf(t.Last)})
	}
	if f.Ack != nil {
		x.Ack = &status.Ack{By: f.Ack.By, Why: f.Ack.Why, At: timeOf(f.Ack.At)}
	}
	if f.Ignored != nil {
		x.Ignored = &status.Ignored{Why: f.Ignored.Why}
	}
	e.Finding = x
	return e
}

// eventCounts are the counters of a host as events have them.
func eventCounts(h *report.Host) status.Counts {
	c := &h.Counts
	return status.Counts{Attempts: uint64(c.Attempts), Sessions: uint64(c.Sessions),
		Refused: uint64(c.Refused), Unreachable: uint64(c.Unreachable), Silent: uint64(c.Silent),
		Messages: uint64(c.Messages), Rejected: uint64(c.Rejected), Deferred: uint64(c.Deferred),
		Recipients: uint64(c.Recipients), RecipientsRejected: uint64(c.RecipientsRejected),
		DestIPs: uint64(max(c.DestIPs, 0)), DestNets: uint64(max(c.DestNets, 0)),
		ConcurrentMax: uint64(c.ConcurrentMax), TLSSessions: uint64(c.TLSSessions),
		AuthSessions: uint64(c.AuthSessions), HeloNames: uint64(max(c.HeloNames, 0)),
		SenderDomains: uint64(max(c.SenderDomains, 0)), MXLookups: uint64(c.MXLookups)}
}

// timeOf is a time of a model; zero if there is none.
func timeOf(t report.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.In(time.UTC)
}

// eventLine is an event as JSON.
func eventLine(e *status.Event) json.RawMessage {
	line, err := json.Marshal(e)
	if err != nil { // a number that JSON cannot have, which JSON did not give
		return json.RawMessage("{}")
	}
	return line
}
