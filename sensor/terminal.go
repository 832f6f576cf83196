package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// On a terminal `run` writes lines for a person: findings, and once a minute a line that says that
// the sensor listens. The events are JSON, for pipes and files. Where standard output is no
// terminal, such a line goes to the log once an hour.
const (
	heartbeatOnTerminal = time.Minute
	heartbeatInLog      = time.Hour
)

// terminal writes lines for a person. The engine's Output calls it, one goroutine at a time.
type terminal struct {
	out   io.Writer
	color bool
	width int           // columns; zero means 100
	words *lang.Printer // nil is English
	names map[netip.Addr]string
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newTerminal returns the terminal of standard output, nil if that is none.
func (a *app) newTerminal(names map[netip.Addr]string) *terminal {
	if !isTerminal(a.stdout) {
		return nil
	}
	t := &terminal{out: a.stdout, color: a.useColor(a.stdout), words: a.printer(), names: names}
	if f, ok := a.stdout.(*os.File); ok {
		t.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return t
}

// severityColor is the colour of a finding's headline.
func severityColor(s verdict.Severity) text.Color {
	switch {
	case s >= verdict.High:
		return text.FgRed
	case s >= verdict.Low:
		return text.FgYellow
	}
	return text.FgCyan
}

// finding writes a finding: a headline, and when it is new or has a higher level the first reasons
// and the advice.
func (t *terminal) finding(f *finding.Finding) {
	if t == nil || f.Replaced() { // the next line says more
		return
	}
	headline := t.words.Sentence(event.Headline(f))
	if name := t.names[f.Source.Addr]; name != "" {
		a := f.Source.Addr.String()
		headline = strings.Replace(headline, a, a+" ("+name+")", 1)
	}
	if t.color {
		text.EnableColors()
		headline = severityColor(f.Severity).Sprint(headline)
	}
	fmt.Fprintf(t.out, "%s  %s\n", clock(f.Time), headline)
	if f.Action != finding.Opened && f.Action != finding.Updated || f.Severity < verdict.Medium {
		return
	}
	for i, r := range f.Reasons {
		if i == maxShownReasons {
			t.paragraph("- ", t.words.Sprintf("and %s, in the events",
				t.words.Plural(uint64(len(f.Reasons)-i), "more reason", "more reasons")))
			break
		}
		t.paragraph("- ", t.words.Sentence(r.Text))
	}
	if f.Action == finding.Opened {
		t.paragraph(t.words.Text("Do:")+" ", t.words.Sentence(f.Advice))
	}
}

// maxShownReasons bounds the reasons of a finding on a terminal.
const maxShownReasons = 3

// paragraph writes a text, indented and wrapped.
func (t *terminal) paragraph(first, s string) {
	if s == "" {
		return
	}
	const indent = "          "
	columns := utf8.RuneCountInString(first)
	width := min(max(cmp.Or(t.width, 100), 40), 120) - len(indent) - columns
	for i, line := range lang.Wrap(s, width) {
		if i > 0 {
			first = strings.Repeat(" ", columns)
		}
		fmt.Fprintf(t.out, "%s%s%s\n", indent, first, line)
	}
}

// heartbeat writes that the sensor listens, with what it saw.
func (t *terminal) heartbeat(now int64, s string) {
	fmt.Fprintf(t.out, "%s  %s\n", clock(now), t.words.Sentence(s))
}

// clock is the local time of day.
func clock(ns int64) string { return time.Unix(0, ns).Format(time.TimeOnly) }

// heartbeat says that a live pipeline listens, on the terminal or in the log, when its time has
// come. now is in ns since 1970.
func (p *pipeline) heartbeat(now int64) {
	every := heartbeatInLog
	if p.terminal != nil {
		every = heartbeatOnTerminal
	}
	if p.messages == nil || now-p.lastHeartbeat < int64(every) {
		return
	}
	st := p.engine.Stats()
	first, frames, attempts := p.lastHeartbeat == 0, p.last.Frames, st.Attempts
	s := fmt.Sprintf("listening: %d frames of mail, DNS and connections, %d connections to mail "+
		"servers since the last line; %s", frames-p.framesAtHeartbeat,
		attempts-p.attemptsAtHeartbeat, p.open.text())
	p.lastHeartbeat, p.framesAtHeartbeat, p.attemptsAtHeartbeat = now, frames, attempts
	if first { // "listening" was just said
		return
	}
	if n := len(p.health.raised); n > 0 {
		s += fmt.Sprintf("; %s raised", verdict.Count(uint32(n), "health check", "health checks"))
	}
	if p.terminal != nil {
		p.terminal.heartbeat(now, s)
		return
	}
	c := &p.last.Capture
	p.messages.log.Info().Uint64("frames", p.last.Frames).Uint64("hosts", uint64(st.HostsActive)).
		Uint64("lost_frames", c.KernelDrops+c.KernelIfdrops).Float64("lost_share", p.last.Loss).
		Msg(s)
}
