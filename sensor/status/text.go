package status

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/lang"
)

// The answers as text for a terminal. Texts from the wire are in the events that answers hold, and
// were escaped there. Times are in zone.

// Text is how answers are printed.
type Text struct {
	Out   io.Writer
	Width int // columns; zero means 100
	Zone  *time.Location
	Lang  *lang.Printer // nil is English
}

// say prints a translated text.
func (t *Text) say(format string, args ...any) {
	fmt.Fprint(t.Out, t.Lang.Sprintf(format, args...))
}

// labelled prints a line with a label.
func (t *Text) labelled(label, s string) {
	fmt.Fprintf(t.Out, "%-*s%s\n", margin, t.Lang.Text(label), s)
}

// margin is the width of the labels.
const margin = 14

func (t *Text) time(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.In(t.Zone).Format("2006-01-02 15:04:05 MST")
}

// short is a time as it stands in a table.
func (t *Text) short(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.In(t.Zone).Format("2006-01-02 15:04")
}

// wrapped prints a text with a label, in lines of the width.
func (t *Text) wrapped(label, s string) {
	width := t.Width
	if width < 40 {
		width = 100
	}
	for i, l := range lang.Wrap(s, width-margin) {
		if i > 0 {
			label = ""
		}
		t.labelled(label, l)
	}
}

// PrintStatus prints the state of a sensor: first a sentence that says whether it works.
func (t *Text) PrintStatus(s *Status) {
	p := t.Lang
	t.wrapped("Sensor", p.Sentence(s.Sentence()))
	version := fmt.Sprintf("spamsensor %s, %s", s.Version, s.Sensor)
	if s.PID != 0 {
		version += p.Sprintf(", process %d, up %s", s.PID,
			s.Now.Sub(s.Started).Round(time.Second))
	}
	t.labelled("Version", version)
	for i := range s.Interfaces {
		in := &s.Interfaces[i]
		line := p.Sprintf("%s: %d frames, %d dropped", p.Text(in.Name), in.Frames,
			in.KernelDrops+in.InterfaceDrops)
		if in.Method != "" {
			line += ", " + in.Method
		}
		if in.Problem != "" {
			line += p.Sprintf("; the interface %s", p.Text(in.Problem))
		}
		t.wrapped("Interface", line)
	}
	t.wrapped("Traffic", p.Sprintf("%d frames, %d of them refused; %d attempts, %d sessions "+
		"(%d seen both ways); latest packet %s", s.Frames, s.Refused, s.Attempts, s.Sessions,
		s.SeenBoth, t.time(s.LastPacket)))
	t.wrapped("Hosts", p.Sprintf("%d in the table, %d judged, %d evicted; %d connections",
		s.Sources.Active, s.Hosts.Active, s.Sources.Evicted+s.Hosts.Evicted, s.Flows.Active))
	t.wrapped("Memory", p.Sprintf("%d MiB of the process; tables %d of %d MiB", s.Resident>>20,
		s.Memory>>20, s.MemCap>>20))
	var dropped uint64
	for _, n := range s.Output.Dropped {
		dropped += n
	}
	if s.Output.File != "" {
		t.wrapped("Events", p.Sprintf("%d written to %s, %d lost", s.Output.Written,
			s.Output.File, dropped))
	}
	if s.Config.File != "" || !s.Config.Good {
		state := p.Sprintf("loaded %s", t.time(s.Config.Loaded))
		if !s.Config.Good {
			state = p.Sprintf("the file is wrong, the former settings are in force: %s",
				p.Sentence(s.Config.Error))
		}
		t.wrapped("Settings", strings.TrimSpace(s.Config.File+" "+state))
	}
	for i := range s.Health {
		h := &s.Health[i]
		t.wrapped("Problem", p.Sprintf("%s (%s, since %s). %s", p.Sentence(h.Text), h.Check,
			t.time(h.Since), p.Sentence(h.Hint)))
	}
}

// PrintNotices prints whether notices get through.
func (t *Text) PrintNotices(n *Notices) {
	for i := range n.Channels {
		c := &n.Channels[i]
		line := t.Lang.Sprintf("%s: %d sent", c.Name, c.Sent)
		if !c.LastSent.IsZero() {
			line += t.Lang.Sprintf(", the last one %s", t.time(c.LastSent))
		}
		t.wrapped("Notices", t.Lang.Sprintf("%s; %d wait, %d attempts failed, %d given up", line,
			c.Waiting, c.Failed, c.GivenUp))
	}
	if n.Problem != "" {
		t.wrapped("Problem", t.Lang.Sentence(n.Problem+". "+n.Hint))
	}
	for i := range n.Channels {
		c := &n.Channels[i]
		if !c.FailingSince.IsZero() {
			t.wrapped("Problem", t.Lang.Sprintf("%s fails since %s: %s. spamsensor notify test "+
				"tries each channel", c.Name, t.time(c.FailingSince), t.Lang.Sentence(c.Error)))
		}
	}
}

// Sentence says how the sensor and the network are.
func (s *Status) Sentence() string {
	open := map[string]int{}
	for _, levels := range s.Findings.Open {
		for level, n := range levels {
			open[level] += n
		}
	}
	found := "No finding is open."
	if n := open["suspect"] + open["likely"] + open["confirmed"]; n > 0 {
		found = fmt.Sprintf("%d findings are open, %d of them confirmed.", n, open["confirmed"])
		if n == 1 {
			found = fmt.Sprintf("1 finding is open; %d confirmed.", open["confirmed"])
		}
	}
	switch len(s.Health) {
	case 0:
		return found + " No problem of the sensor is known."
	case 1:
		return found + " The sensor has a problem."
	}
	return fmt.Sprintf("%s The sensor has %d problems.", found, len(s.Health))
}

// events decodes events; those that cannot be decoded are left out.
func events(lines []json.RawMessage) (list []Event) {
	for _, l := range lines {
		var e Event
		if json.Unmarshal(l, &e) == nil {
			list = append(list, e)
		}
	}
	return list
}

// called is the host of an event, with its name if it has one.
func (e *Event) called() string {
	if e.SrcName != "" {
		return e.SrcIP + " (" + e.SrcName + ")"
	}
	return e.SrcIP
}

// newTable begins a table.
func (t *Text) newTable(names ...string) table.Writer {
	var header table.Row
	for _, name := range names {
		header = append(header, t.Lang.Text(name))
	}
	w := table.NewWriter()
	w.SetStyle(table.StyleLight)
	w.Style().Options = table.OptionsNoBordersAndSeparators
	w.Style().Box.PaddingLeft = ""
	w.AppendHeader(header)
	return w
}

// sources is a table of hosts.
func (t *Text) sources(s *Sources) table.Writer {
	w := t.newTable("host", "level", "role", "attempts", "sessions", "networks", "accepted",
		"refused", "last seen")
	for _, e := range events(s.Sources) {
		if x := e.Source; x != nil {
			w.AppendRow(table.Row{e.called(), t.Lang.Text(x.Level), t.Lang.Text(x.Role),
				x.Attempts, x.Sessions, x.DestNets, x.Messages,
				x.Rejected + x.RecipientsRejected, t.short(x.LastSeen)})
		}
	}
	return w
}

// PrintSources prints a table of hosts, the worst first, as CSV if csv is set.
func (t *Text) PrintSources(s *Sources, csv bool) {
	if csv {
		english := *t
		english.Lang = nil
		fmt.Fprintln(t.Out, english.sources(s).RenderCSV())
		return
	}
	fmt.Fprintln(t.Out, t.sources(s).Render())
	if n := s.Total - len(s.Sources); n > 0 {
		t.say("%d more hosts: --limit\n", n)
	}
}

// PrintFindings prints a table of findings, the worst open ones first, as CSV if csv is set.
func (t *Text) PrintFindings(l *FindingList, csv bool) {
	w := t.newTable("severity", "level", "id", "state", "since")
	for _, e := range events(l.Findings) {
		f := e.Finding
		switch {
		case f != nil && csv:
			w.AppendRow(table.Row{f.Severity, f.Level, f.ID, f.state(nil), t.time(f.began()),
				e.SrcIP, f.Class, t.time(f.LastSeen), f.Counts.Attempts})
		case f != nil:
			w.AppendRow(table.Row{t.Lang.Text(f.Severity), t.Lang.Text(f.Level), f.ID,
				f.state(t.Lang), t.short(f.began())})
		}
	}
	if csv {
		w.ResetHeaders()
		w.AppendHeader(table.Row{"severity", "level", "id", "state", "since", "host", "class",
			"last_seen", "attempts"})
		fmt.Fprintln(t.Out, w.RenderCSV())
		return
	}
	if len(l.Findings) == 0 {
		t.say("No finding.\n")
		return
	}
	fmt.Fprintln(t.Out, w.Render())
	if l.Forgotten > 0 {
		t.say("%d further findings are not kept here; the file of the events has them.\n",
			l.Forgotten)
	}
}

// state is what became of a finding.
func (f *Finding) state(p *lang.Printer) string {
	action := f.Action
	if action == finding.Explained && f.CloseReason != "" { // of a report
		action = finding.Closed
	}
	switch {
	case finding.Over(action, f.CloseReason):
		return p.Sprintf("closed: %s", p.Text(f.CloseReason))
	case f.Ignored != nil:
		return p.Sprintf("open, ignored: %s", f.Ignored.Why)
	case f.Ack != nil:
		return p.Sprintf("open, known to %s", f.Ack.By)
	}
	return p.Text("open")
}

// PrintExplanation prints what is known of a host, and its findings.
func (t *Text) PrintExplanation(x *Explanation) error {
	if len(x.Hosts)+len(x.Findings) == 0 {
		t.printUnseen(x)
	}
	for i, line := range x.Hosts {
		if i > 0 {
			fmt.Fprintln(t.Out)
		}
		if err := t.printEvent(line, x.Declared); err != nil {
			return err
		}
	}
	if len(x.Hosts) > 0 {
		t.printFindingsOf(x.Findings)
		return nil
	}
	for _, line := range x.Findings { // the host is not in the table any more
		if err := t.printEvent(line, x.Declared); err != nil {
			return err
		}
	}
	return nil
}

// printUnseen prints what is known of a host that has done nothing.
func (t *Text) printUnseen(x *Explanation) {
	t.wrapped("Host", x.IP)
	p := t.Lang
	seen := p.Text("no connection of it to a mail port is known")
	if !x.Since.IsZero() {
		seen += p.Sprintf(", from %s to %s", t.time(x.Since), t.time(x.Until))
	}
	if x.Evicted > 0 {
		seen += p.Sprintf("; %d hosts had to make room in the table, and it may be one of them",
			x.Evicted)
	}
	if x.LeftOut {
		seen += p.Text("; the report was shortened, and may lack it")
	}
	t.wrapped("Seen", seen)
	home := "outside of the home networks: it would not be judged (home_net, --home)"
	if x.Home {
		home = "in a home network: it is judged when it sends"
	}
	t.wrapped("Network", p.Text(home))
	t.printDeclared("For it", x.Declared)
}

// printDeclared prints what the configuration says of a host, and returns the label of the next
// line.
func (t *Text) printDeclared(label string, list []Declaration) string {
	for i := range list {
		d := &list[i]
		where := d.File
		if d.Line > 0 {
			where += fmt.Sprintf(":%d", d.Line)
		}
		t.wrapped(label, fmt.Sprintf("%s (%s)", t.Lang.Sentence(d.Text), where))
		label = ""
	}
	return label
}

// PrintEvent prints a finding with the reasons for and against its host.
func (t *Text) PrintEvent(line json.RawMessage) error { return t.printEvent(line, nil) }

// printEvent prints a finding, or what is known of a host, which the configuration may name.
func (t *Text) printEvent(line json.RawMessage, declared []Declaration) error {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	p, f := t.Lang, e.Finding
	if f == nil {
		t.wrapped("Host", e.called())
		t.printDeclared("For it", declared)
		return nil
	}
	where := e.Interface + e.File
	if e.MAC != "" {
		where = "MAC " + e.MAC + ", " + where
	}
	if len(e.VLAN) > 0 {
		where += fmt.Sprintf(", VLAN %v", e.VLAN)
	}
	if e.SrcName != "" {
		where = e.SrcName + ", " + where
	}
	t.labelled("Host", fmt.Sprintf("%s (%s)", e.SrcIP, where))
	if f.ID != "" {
		t.labelled("Finding", fmt.Sprintf("%s, %s", f.ID, f.state(p)))
	}
	judgement := p.Sprintf("%s, severity %s, score %.1f",
		p.Sentence(f.Level+" "+strings.ReplaceAll(f.Class, "_", " ")), p.Text(f.Severity), f.Score)
	if f.Severity == "" { // nor is it known in a report of a host without its finding
		judgement = p.Sprintf("%s, score %.1f",
			p.Sentence(f.Level+" "+strings.ReplaceAll(f.Class, "_", " ")), f.Score)
	}
	if f.Level == "none" {
		judgement = p.Sprintf("nothing that suffices for a finding, score %.1f (a finding "+
			"begins at 0)", f.Score)
	}
	t.wrapped("Judged", judgement)
	t.labelled("Seen", t.time(f.FirstSeen)+p.Text(" to ")+t.time(f.LastSeen))
	if f.Action != finding.Explained {
		t.labelled("Counted until", p.Sprintf("%s; spamsensor explain %s has the latest",
			t.time(e.Timestamp), e.SrcIP))
	}
	if a := f.Ack; a != nil {
		t.wrapped("Known", p.Sprintf("%s, %s: %s", a.By, t.time(a.At), a.Why))
	}
	c := &f.Counts
	t.wrapped("Counts", p.Sprintf("%d attempts to %d servers in %d networks: %d sessions, %d "+
		"refused, %d unreachable, %d without an answer; %d messages accepted, %d rejected, %d "+
		"deferred", c.Attempts, c.DestIPs, c.DestNets, c.Sessions, c.Refused, c.Unreachable,
		c.Silent, c.Messages, c.Rejected, c.Deferred))
	for _, against := range []bool{true, false} {
		label := "For it"
		if against {
			label = "Against it"
		} else {
			label = t.printDeclared(label, declared)
		}
		for i := range f.Reasons {
			r := &f.Reasons[i]
			if r.Weight < 0 == against {
				continue
			}
			t.wrapped(label, p.Sprintf("%+.1f  %s (%s: %.4g, threshold %.4g)", r.Weight,
				p.Sentence(r.Text), r.Code, r.Value, r.Threshold))
			label = ""
		}
	}
	for i, b := range f.Blind {
		t.wrapped([]string{"Limits", ""}[min(i, 1)], p.Sentence(b))
	}
	if len(f.Evidence) > 0 {
		t.wrapped("Proof", p.Sprintf("session events %s", strings.Join(f.Evidence, ", ")))
	}
	if f.Advice != "" {
		t.wrapped("Do", p.Sentence(f.Advice))
	}
	return nil
}

// printFindingsOf prints a line for each finding about a host that was explained.
func (t *Text) printFindingsOf(lines []json.RawMessage) {
	for _, e := range events(lines) {
		if f := e.Finding; f != nil {
			t.wrapped("Finding", f.ID+", "+f.state(t.Lang))
		}
	}
}
