package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
	"spamsensor/sensor/verdict"
)

// Bounds of a report, in bytes: of its file, of the model in an HTML report, which is some 64 KB,
// and of what a model takes by modelSize, two or three times its text. The JSON of 5,000 hosts has
// some 6 MB. Without the last bound, 15 MB of empty findings took 20 GB of memory.
const (
	maxReport   = 32 << 20
	maxEmbedded = 1 << 20
	maxModel    = 3 * maxReport
)

// What parts of a model take at most, in bytes: entries of its lists, such as findings and hosts,
// what these consist of, and single values.
const (
	entrySize  = 1 << 10
	objectSize = 128
	valueSize  = 32
)

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
	text, err := io.ReadAll(io.LimitReader(f, maxReport+1))
	if err != nil {
		return nil, err
	}
	tooBig := fmt.Errorf("the report %s is too big to be read: ask the capture", printable(name))
	if len(text) > maxReport {
		return nil, tooBig
	}
	none := fmt.Errorf("%s is neither a capture nor a report of spamsensor (read --html or --json)",
		printable(name))
	text = bytes.TrimLeft(text, "\ufeff \t\r\n")
	if !bytes.HasPrefix(text, []byte("{")) {
		data, ok := html.Data(text)
		if !ok {
			return nil, none
		}
		if len(data) > maxEmbedded {
			return nil, tooBig
		}
		text = data
	}
	var whole json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&whole); err != nil {
		return nil, fmt.Errorf("the report %s is damaged: %w", printable(name), err)
	}
	var by struct {
		Version string `json:"spamsensor"`
	}
	if json.Unmarshal(whole, &by) != nil || by.Version == "" {
		return nil, none
	}
	if modelSize(whole) > maxModel {
		return nil, tooBig
	}
	// Whoever sent the report may have written into it what he likes: its texts are printed.
	m := new(report.Model)
	if err := json.Unmarshal(harmless(whole), m); err != nil {
		return nil, fmt.Errorf("the report %s, which spamsensor %s wrote, cannot be read: %w",
			printable(name), printable(by.Version), err)
	}
	return m, nil
}

// modelSize is how much memory a model takes at most beyond its text, which is valid JSON.
func modelSize(text []byte) (n int) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += quoted(text[i:]) - 1
		case '{', '[':
			depth++
			n += objectSize
			if depth <= 3 && text[i] == '{' { // the model, its list, the entry
				n += entrySize
			}
		case '}', ']':
			depth--
		case ',':
			n += valueSize
		}
	}
	return n
}

// quoted is the length of the string at the beginning of a valid JSON text, with its quotes.
func quoted(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// harmless makes all texts of a valid JSON text safe to print. Those that are stay as they are.
func harmless(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			break
		}
		n := quoted(text[i:])
		out = append(out, text[:i]...)
		out = append(out, harmlessText(text[i:i+n])...)
		text = text[i+n:]
	}
	return append(out, text...)
}

// harmlessText makes a JSON string safe to print.
func harmlessText(quoted []byte) []byte {
	var s string
	if !bytes.ContainsFunc(quoted, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }) ||
		json.Unmarshal(quoted, &s) != nil {
		return quoted
	}
	if strings.ContainsFunc(s, func(r rune) bool {
		return (r < ' ' || r > '~') && event.Escape(string(r), 16) != string(r)
	}) {
		s = event.Escape(s, 4*len(s))
	}
	safe, err := json.Marshal(s)
	if err != nil {
		return quoted
	}
	return safe
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
	for f := range r.findings(match) {
		list = append(list, eventLine(r.finding(f)))
	}
	return list
}

// findings are the findings that match, those that stand first.
func (r *reported) findings(match func(*report.Finding) bool) iter.Seq[*report.Finding] {
	return func(yield func(*report.Finding) bool) {
		for _, list := range [][]report.Finding{r.m.Findings, r.m.Ignored} {
			for i := range list {
				if f := &list[i]; match(f) && !yield(f) {
					return
				}
			}
		}
	}
}

// Explain implements status.Sensor. A report has reasons of findings alone.
func (r *reported) Explain(ip string) (*status.Explanation, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("%s is no IP address", printable(ip))
	}
	addr = addr.Unmap()
	x := &status.Explanation{IP: addr.String(), Hosts: []json.RawMessage{},
		Findings: []json.RawMessage{}, Declared: r.declared(addr), Since: timeOf(r.m.Period.First),
		Until: timeOf(r.m.Period.Last)}
	x.LeftOut = r.m.LeftOut.Hides()
	there := map[string]bool{}
	for f := range r.findings(func(f *report.Finding) bool {
		return f.IP == addr || slices.Contains(f.Also, addr)
	}) {
		there[f.ID] = true
		e := r.finding(f)
		// A report has nothing later, and of an open finding no reason why it was closed.
		if e.Finding.Action = finding.Explained; f.Open {
			e.Finding.CloseReason = ""
		}
		x.Findings = append(x.Findings, eventLine(e))
	}
	x.Home = slices.ContainsFunc(r.m.Input.Home, func(p netip.Prefix) bool {
		return p.Contains(addr)
	})
	for i := range r.m.Hosts {
		h := &r.m.Hosts[i]
		if h.IP != addr || there[h.Finding] {
			continue
		}
		f := &report.Finding{Host: *h, Blind: []string{"a report has no reasons of a host " +
			"without a finding: the capture has them"}}
		if h.Finding != "" {
			f.Blind[0] = fmt.Sprintf("the finding %s about it was left out when the report was "+
				"shortened: the capture and read --json have it", h.Finding)
			class, _, _ := strings.Cut(h.Finding, "-")
			if f.Class.UnmarshalText([]byte(class)) != nil {
				f.Class = verdict.Spambot
			}
		}
		e := r.finding(f)
		e.Finding.Action = finding.Explained
		x.Hosts = append(x.Hosts, eventLine(e))
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
