// Package event writes events as JSON lines, one event a line. README.md explains each event by
// example, schema.json is the schema (version 1). Fields have the names of Suricata's EVE where EVE
// has the same field.
//
// Words: evidence is a text from the wire. It may be hostile, so that every such text is bounded,
// has its mail addresses shortened by the configured Mode, and passes through Escape before it
// becomes part of an event. It is never part of a field's name or of raw JSON.
//
// A [Queue] separates the packet path from the disk, so that a slow disk or a stalled reader costs
// events and never packets.
//
// The package does not decide which events are written, and does not rotate files.
package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/verdict"

	"github.com/rs/zerolog"
)

// Version is the version of the schema. A version changes only by additions.
const Version = 1

// Config configures a Writer.
type Config struct {
	// Run identifies this run in event ids: RUN/SEQ.
	Run string
	// Host is the sensor's name.
	Host string
	// Live means that inputs are interfaces and not files.
	Live bool
	// Input is the name of the input with this index. Required.
	Input func(from uint16) string
	// Evidence is the form of mail addresses.
	Evidence Evidence
}

// Writer encodes events and puts them into a Queue. One goroutine at a time calls its methods.
type Writer struct {
	cfg    Config
	queue  *Queue
	log    zerolog.Logger
	seq    uint64
	left   int // bytes of evidence that fit into the current event
	kind   Type
	before func()

	line        []byte // buffer for sessions
	clock       clock
	sessionID   []byte // the fields of a session from the time to the number of its event
	sessionHost []byte // the fields from there to the name of the input
}

// Type is the kind of an event.
type Type uint8

// The types of events.
const (
	SessionEvent Type = iota
	SourceEvent
	FindingEvent
	StatsEvent
	HealthEvent
	ServerEvent
	SiteEvent
	Types
)

// String is the name in the field event_type.
func (t Type) String() string {
	return [...]string{"session", "source", "finding", "stats", "health", "mail_server", "site"}[t]
}

// Start is the beginning of each event.
const Start = `{"level":"`

// NewWriter returns a writer for a queue.
func NewWriter(cfg Config, q *Queue) *Writer {
	w := &Writer{cfg: cfg, queue: q}
	w.log = zerolog.New(w)
	run := appendString(nil, cfg.Run+"/")
	w.sessionID = append([]byte(`,"event_type":"session","v":`), strconv.Itoa(Version)...)
	w.sessionID = append(append(w.sessionID, `,"event_id":`...), run[:len(run)-1]...)
	w.sessionHost = appendString([]byte(`","host":`), cfg.Host)
	w.sessionHost = append(append(append(w.sessionHost, `,"`...), w.cfg.inputKey()...), `":`...)
	return w
}

// Write implements io.Writer for zerolog, which calls it once for each event.
func (w *Writer) Write(line []byte) (int, error) {
	w.queue.add(w.kind, line, w.before)
	w.before = nil
	return len(line), nil
}

// Before sets a function that the queue's goroutine calls before it writes the next event.
func (w *Writer) Before(f func()) { w.before = f }

// maxEvidence bounds the evidence in an event, in bytes after escaping. With it an event has at
// most 4 KiB, and a finding with all its reasons 8.
const maxEvidence = 2200

// begin starts an event with the fields that all events have.
func (w *Writer) begin(t Type, level zerolog.Level, at int64) *zerolog.Event {
	w.kind, w.left = t, maxEvidence
	w.seq++
	return w.log.WithLevel(level).Str("timestamp", Timestamp(at)).Str("event_type", t.String()).
		Int("v", Version).Str("event_id", w.ID(w.seq)).Str("host", w.cfg.Host)
}

// ID is the event_id of the event with this number.
func (w *Writer) ID(seq uint64) string { return w.cfg.Run + "/" + strconv.FormatUint(seq, 10) }

// input adds the name of the input.
func (w *Writer) input(e *zerolog.Event, from uint16) *zerolog.Event {
	return e.Str(w.cfg.inputKey(), w.cfg.Input(from))
}

// inputKey is the name of the field with the name of the input.
func (c *Config) inputKey() string {
	if c.Live {
		return "in_iface"
	}
	return "pcap_filename"
}

// Timestamp is the form of times in events: RFC 3339, UTC, microseconds. ns is in nanoseconds since
// 1970, as frames have it.
func Timestamp(ns int64) string {
	t := time.Unix(0, frame.ShownTime(ns)).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	micros := t.Nanosecond() / 1000
	b := make([]byte, 0, len("2006-01-02T15:04:05.000000Z"))
	b = append(twoDigits(twoDigits(b, year/100), year%100), '-')
	b = append(twoDigits(b, int(month)), '-')
	b = append(twoDigits(b, day), 'T')
	b = append(twoDigits(b, hour), ':')
	b = append(twoDigits(b, minute), ':')
	b = append(twoDigits(b, second), '.')
	return string(append(sixDigits(b, micros), 'Z'))
}

// Source writes the state of a source.
func (w *Writer) Source(s *finding.SourceRecord) {
	e := w.source(w.begin(SourceEvent, zerolog.InfoLevel, s.Time), s)
	f := &s.Counters
	d := zerolog.Dict().Str("role", s.Role).Str("level", s.Level.String()).Float64("score",
		s.Score).
		Str("first_seen", Timestamp(f.First)).Str("last_seen", Timestamp(f.Last))
	counts(d, s)
	d.Uint32("concurrent", f.Concurrent).Uint32("error_bound", f.ErrorBound)
	ports := zerolog.Dict()
	for _, p := range f.Ports {
		if p.Count > 0 {
			ports.Uint32(strconv.Itoa(int(p.Port)), p.Count)
		}
	}
	d.Dict("ports", ports)
	w.destinations(d, s.Destinations)
	e.Dict("source", d).Msg(sourceMessage(s))
}

// sourceMessage describes a source in one line.
func sourceMessage(s *finding.SourceRecord) string {
	b := append(s.Addr.AppendTo(make([]byte, 0, 128)), ": "...)
	b = append(verdict.AppendPlural(b, s.Counters.Attempts, "attempt"), " to "...)
	b = append(verdict.AppendPlural(b, s.DestNets, "network"), ", "...)
	b = append(verdict.AppendPlural(b, s.Counters.Sessions, "session"), ", "...)
	return string(verdict.AppendPlural(b, s.Counters.Messages, "message"))
}

// counts adds the fields that a source and a finding share.
func counts(d *zerolog.Event, s *finding.SourceRecord) {
	f := &s.Counters
	d.Uint32("attempts", f.Attempts).Uint32("syn_retransmits", f.Retransmits).Uint32("sessions",
		f.Sessions).Uint32("refused", f.Refused).
		Uint32("unreachable", f.Unreachable).Uint32("silent", s.Silent).Uint32("messages",
		f.Messages).Uint32("rejected", f.Rejected).
		Uint32("deferred", f.Deferred).Uint32("recipients",
		f.Recipients).Uint32("recipients_rejected", f.RecipientsRejected).
		Int("dest_ips", s.DestIPs).Int("dest_nets", s.DestNets).Uint32("concurrent_max",
		f.ConcurrentMax).
		Uint32("tls_sessions", f.TLSSessions).Uint32("auth_sessions",
		f.AuthSessions).Int("helo_names", s.HeloNames).
		Int("sender_domains", s.SenderDomains).Uint32("mx_lookups",
		s.MXLookups).Uint64("bytes_toserver", f.ToServer).Uint64("bytes_toclient", f.ToClient)
}

// destinations adds the servers that a source tries often.
func (w *Writer) destinations(d *zerolog.Event, list []finding.Destination) {
	if len(list) == 0 {
		return
	}
	to := zerolog.Arr()
	for _, x := range list {
		one := zerolog.Dict().Str("ip", x.Server.Addr().String()).Uint16("port", x.Server.Port())
		if x.Name != "" {
			one.Str("name", w.text(x.Name))
		}
		to.Dict(one)
	}
	d.Array("destinations", to)
}

// source adds the fields that identify a source.
func (w *Writer) source(e *zerolog.Event, s *finding.SourceRecord) *zerolog.Event {
	w.input(e, s.Input)
	vlan(e, s.VLAN)
	e.Str("src_ip", s.Addr.String())
	if s.MAC != [6]byte{} {
		e.Str("mac", mac(s.MAC))
	}
	return e
}

// Finding writes an event of a finding.
func (w *Writer) Finding(f *finding.Finding) {
	level := zerolog.WarnLevel
	if f.Severity == verdict.Info {
		level = zerolog.InfoLevel
	} else if f.Severity >= verdict.High {
		level = zerolog.ErrorLevel
	}
	e := w.source(w.begin(FindingEvent, level, f.Time), &f.Source)
	d := zerolog.Dict().Str("id", f.ID).Int("seq", f.Seq).Str("action", f.Action).Str("class",
		f.Class.String()).
		Str("level", f.Level.String()).Float64("score", f.Score).Str("severity",
		f.Severity.String()).Str("mode", f.Mode).Str("egress", f.Egress).
		Str("first_seen", Timestamp(f.Source.Counters.First)).Str("last_seen",
		Timestamp(f.Source.Counters.Last)).
		Uint32("decided_after_attempts", f.Decided.Attempts).Float64("decided_after_s",
		seconds(f.DecidedIn))
	if f.Highest > f.Level {
		d.Str("highest_level", f.Highest.String()).Str("highest_at", Timestamp(f.HighestAt))
	}
	if len(f.Periods) > 1 {
		periods := zerolog.Arr()
		for _, p := range f.Periods {
			periods.Dict(zerolog.Dict().Str("first", Timestamp(p.First)).Str("last",
				Timestamp(p.Last)))
		}
		d.Array("periods", periods)
	}
	c := zerolog.Dict()
	counts(c, &f.Source)
	d.Dict("counts", c)
	w.destinations(d, f.Source.Destinations)
	reasons := zerolog.Arr()
	for _, r := range f.Reasons {
		code, family := r.Code.String(), r.Code.Family().String()
		if r.Server != "" {
			code, family = r.Server, serverFamily(r.Server)
		}
		reasons.Dict(zerolog.Dict().Str("code", code).Str("family", family).Float64("value",
			r.Reason.Value).
			Float64("threshold", r.Reason.Threshold).Float64("weight", r.Reason.Weight).Str("text",
			w.text(w.cfg.Evidence.hide(r.Text))).
			Str("first", Timestamp(r.Reason.First)).Str("last", Timestamp(r.Reason.Last)))
	}
	d.Array("reasons", reasons)
	ids := make([]string, 0, len(f.Evidence))
	for _, n := range f.Evidence {
		ids = append(ids, w.ID(n))
	}
	d.Strs("evidence", ids).Strs("blind", nonNil(f.Blind)).Str("advice", f.Advice)
	if x := f.Ignored; x != nil {
		one := zerolog.Dict().Str("why", w.text(x.Why))
		if x.Until != 0 {
			one.Str("until", Timestamp(x.Until))
		}
		d.Dict("ignored", one)
	}
	if f.CloseReason != "" {
		d.Str("close_reason", f.CloseReason)
	}
	if f.Reopened > 0 {
		d.Uint32("reopened", f.Reopened).Float64("clean_for_s", seconds(f.CleanFor))
	}
	if f.Incident != "" {
		also := make([]string, len(f.Also))
		for i, a := range f.Also {
			also[i] = a.String()
		}
		d.Str("incident", f.Incident).Str("incident_since",
			Timestamp(f.Since)).Strs("other_addresses", also)
	}
	d.Uint64("suppressed_events", f.Suppressed)
	if f.Relay != nil {
		d.Dict("relay", w.relay(f.Relay))
	}
	e.Dict("finding", d).Msg(Headline(f))
}

// Headline describes a finding in one line.
func Headline(f *finding.Finding) string {
	if text := serverHeadline(f); text != "" {
		return text
	}
	addr, attempts := f.Source.Addr, verdict.Plural(f.Source.Counters.Attempts, "attempt")
	targets := attempts + " to " + verdict.Plural(f.Source.DestNets, "network")
	switch {
	case f.Action == finding.Suspended:
		return fmt.Sprintf("%s: the finding %q is suspended (%s)", addr, f.Class, f.CloseReason)
	case f.Action == finding.Resumed:
		return fmt.Sprintf("%s: the finding %q goes on", addr, f.Class)
	case f.Action == finding.Closed:
		return fmt.Sprintf("%s: the finding %q is closed (%s)", addr, f.Class, f.CloseReason)
	case f.Class == verdict.DirectSMTP:
		return fmt.Sprintf("%s %s and is no declared mail server (%s)",
			addr, f.Straight(), attempts)
	case f.Class == verdict.UndeclaredServer:
		return fmt.Sprintf("%s sends as a mail server does and is not declared (%s)", addr, targets)
	case f.Class == verdict.Scanner:
		return fmt.Sprintf("%s looks for mail servers (%s at %s)", addr, attempts,
			verdict.Count(uint32(f.Source.DestIPs), "address", "addresses"))
	case f.Class == verdict.NotSMTP:
		return fmt.Sprintf("%s uses a mail port for something that is not mail", addr)
	case f.Class == verdict.OnBlocklist:
		return fmt.Sprintf("%s is refused because of a blocklist", addr)
	case f.Action == "opened" && f.Reopened > 0:
		return fmt.Sprintf("%s sends spam again, after %s (%s)", addr, days(f.CleanFor), targets)
	case f.Level == verdict.Confirmed:
		return fmt.Sprintf("%s sends spam (%s)", addr, targets)
	case f.Level == verdict.Likely:
		return fmt.Sprintf("%s very likely sends spam (%s)", addr, targets)
	}
	return fmt.Sprintf("%s may be sending spam (%s)", addr, targets)
}

// days is a time of many hours in words.
func days(ns int64) string {
	if d := ns / 86400e9; d >= 2 {
		return fmt.Sprintf("%d quiet days", d)
	}
	return verdict.Plural(int(ns/3600e9), "quiet hour")
}

// Site writes the facts about the internal networks as a whole.
func (w *Writer) Site(s *finding.Site) {
	e := w.begin(SiteEvent, zerolog.WarnLevel, s.Time)
	d := zerolog.Dict()
	if s.PublicIP.IsValid() {
		d.Str("public_ip", s.PublicIP.String())
	}
	lists, named := zerolog.Arr(), []string{}
	for _, l := range s.Lists {
		named = append(named, w.text(l.Name))
		lists.Dict(zerolog.Dict().Str("name", w.text(l.Name)).Str("first",
			Timestamp(l.First)).Str("last", Timestamp(l.Last)).
			Uint32("count", l.Count).Str("sample", w.text(w.cfg.Evidence.hide(l.Sample))))
	}
	e.Dict("site", d.Int("servers", s.Servers).Array("blocklists", lists)).Msg(siteMessage(s,
		named))
}

// siteMessage describes a site event in one line.
func siteMessage(s *finding.Site, lists []string) string {
	names := strings.Join(lists, ", ")
	switch {
	case !s.PublicIP.IsValid() && len(lists) == 1:
		return "receiving servers named the blocklist " + names
	case !s.PublicIP.IsValid():
		return "receiving servers named the blocklists " + names
	}
	m := fmt.Sprintf("the public address is probably %s (%d servers quoted it)", s.PublicIP,
		s.Servers)
	if len(lists) > 0 {
		m += "; blocklists that list it: " + names
	}
	return m
}

// Stats are the counters of a stats event.
type Stats struct {
	Capture struct {
		KernelPackets, KernelDrops, KernelIfdrops, Errors, Bytes uint64
		// Unread are frames that the kernel received and the sensor did not read.
		Unread uint64
		// Arrived are frames that the interfaces received, mail or not; zero if unknown.
		Arrived uint64
	}
	// Loss is the estimated share of dialogue bytes that were sent and not captured, 0 to 1.
	Loss    float64
	Panics  uint64 // faults of the sensor that cost a packet, a connection or a record
	Frames  uint64
	Decode  []Count // by outcome
	Refused uint64
	SYN     uint64
	Flow    struct {
		Active, Total, Evicted, Expired, Memuse, Memcap uint64
	}
	Counters []Count // further counters of the engine
	SMTP     []Count
	Output   struct {
		Written uint64
		Dropped Dropped
	}
}

// Received is the number of frames. Each is processed, refused, dropped or unread.
func (s *Stats) Received() uint64 {
	c := &s.Capture
	return c.KernelPackets + c.KernelDrops + c.KernelIfdrops + c.Unread
}

// Account is the account of all frames, in one line.
func (s *Stats) Account() string {
	c := &s.Capture
	text := fmt.Sprintf("%d frames received = %d processed + %d refused + "+
		"%d dropped by the kernel + %d by the interface",
		s.Received(), s.Frames-s.Refused, s.Refused, c.KernelDrops, c.KernelIfdrops)
	if c.Unread > 0 {
		text += fmt.Sprintf(" + %d unread", c.Unread)
	}
	return text
}

// Lost is the number of frames that are missing in the account; negative if it has too many. A
// value other than zero is a fault of the sensor.
func (s *Stats) Lost() int64 { return int64(s.Capture.KernelPackets - s.Frames) }

// Count is a number with a name.
type Count struct {
	Name string
	N    uint64
}

// dict is an object with a field for each count.
func dict(list []Count) *zerolog.Event {
	d := zerolog.Dict()
	for _, c := range list {
		d.Uint64(c.Name, c.N)
	}
	return d
}

// Stats writes counters. Processed, refused, dropped and unread frames add up to the received ones.
func (w *Writer) Stats(at int64, s *Stats) {
	e := w.begin(StatsEvent, zerolog.InfoLevel, at)
	c := &s.Capture
	d := zerolog.Dict().Uint64("kernel_packets", c.KernelPackets).Uint64("kernel_drops",
		c.KernelDrops).
		Uint64("kernel_ifdrops", c.KernelIfdrops).Uint64("errors", c.Errors).Uint64("bytes",
		c.Bytes).
		Uint64("received", s.Received()).Uint64("unread", c.Unread).Float64("loss_estimate", s.Loss)
	if c.Arrived > 0 {
		d.Uint64("arrived", c.Arrived)
	}
	e.Dict("capture", d)
	e.Dict("decode",
		dict(s.Decode).Uint64("frames", s.Frames).Uint64("processed",
			s.Frames-s.Refused).Uint64("refused", s.Refused).Uint64("syn", s.SYN))
	f := &s.Flow
	e.Dict("flow", zerolog.Dict().Uint64("active", f.Active).Uint64("total",
		f.Total).Uint64("evicted", f.Evicted).
		Uint64("expired", f.Expired).Uint64("memuse", f.Memuse).Uint64("memcap", f.Memcap))
	e.Dict("tcp", dict(s.Counters))
	e.Dict("smtp", dict(s.SMTP))
	out := zerolog.Dict().Uint64("written", s.Output.Written).Uint64("dropped",
		s.Output.Dropped.Sum())
	byType := zerolog.Dict()
	for t, n := range s.Output.Dropped {
		byType.Uint64(Type(t).String(), n)
	}
	e.Dict("output", out.Dict("dropped_by_type", byType)).Uint64("panics", s.Panics)
	e.Msg(s.Account())
}

// Health is a condition of the sensor that was raised or cleared.
type Health struct {
	Check, State     string
	Interface        string // of a check of one interface, else empty
	Value, Threshold float64
	Since            int64
	Text, Hint       string
}

// Health writes a condition.
func (w *Writer) Health(at int64, h *Health) {
	level := zerolog.WarnLevel
	if h.State == "cleared" {
		level = zerolog.InfoLevel
	}
	d := zerolog.Dict().Str("check", h.Check).Str("state", h.State)
	if h.Interface != "" {
		d.Str("interface", h.Interface)
	}
	w.begin(HealthEvent, level, at).Dict("health", d.Float64("value", h.Value).
		Float64("threshold", h.Threshold).Str("since", Timestamp(h.Since)).Str("text",
		h.Text).Str("hint", h.Hint)).Msg(h.Text)
}

func seconds(ns int64) float64 { return float64(ns/1000) / 1e6 }

func vlan(e *zerolog.Event, ids []uint16) {
	if len(ids) > 0 {
		e.Uints16("vlan", ids)
	}
}

func mac(m [6]byte) string { return string(appendMAC(nil, m)) }

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// text escapes evidence and cuts it to the space that the event still has.
func (w *Writer) text(s string) string {
	t := Escape(s, w.left*4/5)
	w.left -= len(t) + strings.Count(t, `\`) + strings.Count(t, `"`) // JSON writes these twice
	return t
}
