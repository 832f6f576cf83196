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
	"net/netip"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"

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
	// Names are those that people know hosts by. They are safe to print.
	Names map[netip.Addr]string
	// Tap gets each event, too, as a line that it must copy to keep. It may be nil.
	Tap func(kind Type, line []byte)
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

	// For the frequent events, which are written without zerolog:
	line      []byte // buffer
	clock     clock
	run, host []byte // in JSON: the event_id up to the number, and what follows up to the host
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

// NewWriter returns a writer for a queue, which may be nil: then events go to cfg.Tap alone.
func NewWriter(cfg Config, q *Queue) *Writer {
	w := &Writer{cfg: cfg, queue: q}
	w.log = zerolog.New(w)
	w.run = appendString(nil, cfg.Run+"/")
	w.run = w.run[:len(w.run)-1]
	w.host = appendString([]byte(`","host":`), cfg.Host)
	return w
}

// SetEvidence changes the form of mail addresses. No event may be written meanwhile.
func (w *Writer) SetEvidence(e Evidence) { w.cfg.Evidence = e }

// SetNames changes the names of hosts. No event may be written meanwhile.
func (w *Writer) SetNames(names map[netip.Addr]string) { w.cfg.Names = names }

// appendName appends the name of a client, if it has one.
func (w *Writer) appendName(b []byte, a netip.Addr) []byte {
	if name := w.cfg.Names[a]; name != "" {
		b = appendString(append(b, `,"src_name":`...), name)
		b = append(b, `,"src_name_source":"config"`...)
	}
	return b
}

// Write implements io.Writer for zerolog, which calls it once for each event.
func (w *Writer) Write(line []byte) (int, error) {
	if w.cfg.Tap != nil {
		w.cfg.Tap(w.kind, line)
	}
	if w.queue != nil {
		w.queue.add(w.kind, line, w.before)
	}
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
	return w.beginAs(t.String(), t, level, at)
}

// beginAs is begin for an event whose name is not that of the type as which it counts.
func (w *Writer) beginAs(name string, t Type, level zerolog.Level, at int64) *zerolog.Event {
	w.kind, w.left = t, maxEvidence
	w.seq++
	return w.log.WithLevel(level).Str("timestamp", Timestamp(at)).Str("event_type", name).
		Int("v", Version).Str("event_id", w.ID(w.seq)).Str("host", w.cfg.Host)
}

// ID is the event_id of the event with this number.
func (w *Writer) ID(seq uint64) string { return w.cfg.Run + "/" + strconv.FormatUint(seq, 10) }

// beginLine is begin for an event that is written without zerolog.
func (w *Writer) beginLine(t Type, level zerolog.Level, at int64) []byte {
	w.kind, w.left = t, maxEvidence
	w.seq++
	b := append(append(w.line[:0], Start...), level.String()...)
	b = w.clock.append(append(b, `","timestamp":`...), at)
	b = append(append(b, `,"event_type":"`...), t.String()...)
	b = append(appendUint(append(b, `","v":`...), uint8(Version)), `,"event_id":`...)
	return append(strconv.AppendUint(append(b, w.run...), w.seq, 10), w.host...)
}

// endLine puts an event of beginLine into the queue.
func (w *Writer) endLine(b []byte) {
	w.line = append(b, "}\n"...)
	w.Write(w.line)
}

// appendInput appends the name of the input and VLAN tags.
func (w *Writer) appendInput(b []byte, from uint16, vlan []uint16) []byte {
	if w.cfg.Live {
		b = append(b, `,"in_iface":`...)
	} else {
		b = append(b, `,"pcap_filename":`...)
	}
	b = appendString(b, w.cfg.Input(from))
	if len(vlan) == 0 {
		return b
	}
	b = append(b, `,"vlan":`...)
	for i, id := range vlan {
		b = appendUint(append(b, "[,"[min(i, 1)]), id)
	}
	return append(b, ']')
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
	outside := s.count("outside_period")
	text := fmt.Sprintf("%d frames received = %d processed + %d refused + "+
		"%d dropped by the kernel + %d by the interface",
		s.Received(), s.Frames-s.Refused-outside, s.Refused, c.KernelDrops, c.KernelIfdrops)
	if outside > 0 {
		text += fmt.Sprintf(" + %d outside of the chosen time", outside)
	}
	if c.Unread > 0 {
		text += fmt.Sprintf(" + %d unread", c.Unread)
	}
	return text
}

// count is the number of frames with an outcome.
func (s *Stats) count(name string) uint64 {
	for _, c := range s.Decode {
		if c.Name == name {
			return c.N
		}
	}
	return 0
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

// text escapes evidence and cuts it to the space that the event still has.
func (w *Writer) text(s string) string {
	t := Escape(s, w.left*4/5)
	w.left -= len(t) + strings.Count(t, `\`) + strings.Count(t, `"`) // JSON writes these twice
	return t
}
