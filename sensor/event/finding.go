package event

import (
	"fmt"
	"strconv"

	"github.com/rs/zerolog"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// Source writes the state of a source.
func (w *Writer) Source(s *finding.SourceRecord) {
	f := &s.Counters
	b := w.appendSource(w.beginLine(SourceEvent, zerolog.InfoLevel, s.Time), s)
	b = appendString(append(b, `,"source":{"role":`...), s.Role)
	b = appendString(append(b, `,"level":`...), s.Level.String())
	b = appendFloat(append(b, `,"score":`...), s.Score)
	b = w.clock.append(append(b, `,"first_seen":`...), f.First)
	b = w.clock.append(append(b, `,"last_seen":`...), f.Last)
	b = appendCounts(append(b, ','), s)
	b = appendUint(append(b, `,"concurrent":`...), f.Concurrent)
	b = appendUint(append(b, `,"error_bound":`...), f.ErrorBound)
	b = append(b, `,"ports":{`...)
	first := true
	for _, p := range f.Ports {
		if p.Count == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendUint(append(b, '"'), p.Port), `":`...)
		b = appendUint(b, p.Count)
	}
	b = append(w.appendDestinations(append(b, '}'), s.Destinations), '}')
	w.endLine(appendString(append(b, `,"message":`...), sourceMessage(s)))
}

// sourceMessage describes a source in one line.
func sourceMessage(s *finding.SourceRecord) string {
	b := append(s.Addr.AppendTo(make([]byte, 0, 128)), ": "...)
	b = append(verdict.AppendPlural(b, s.Counters.Attempts, "attempt"), " to "...)
	b = append(verdict.AppendPlural(b, s.DestNets, "network"), ", "...)
	b = append(verdict.AppendPlural(b, s.Counters.Sessions, "session"), ", "...)
	return string(verdict.AppendPlural(b, s.Counters.Messages, "message"))
}

// appendSource appends the fields that identify a source.
func (w *Writer) appendSource(b []byte, s *finding.SourceRecord) []byte {
	b = w.appendInput(b, s.Input, s.VLAN)
	b = append(appendIP(append(b, `,"src_ip":"`...), s.Addr), '"')
	b = w.appendName(b, s.Addr)
	if s.MAC != [6]byte{} {
		b = append(appendMAC(append(b, `,"mac":"`...), s.MAC), '"')
	}
	return b
}

// appendCounts appends the fields that a source and a finding share.
func appendCounts(b []byte, s *finding.SourceRecord) []byte {
	f := &s.Counters
	b = appendUint(append(b, `"attempts":`...), f.Attempts)
	b = appendUint(append(b, `,"syn_retransmits":`...), f.Retransmits)
	b = appendUint(append(b, `,"sessions":`...), f.Sessions)
	b = appendUint(append(b, `,"refused":`...), f.Refused)
	b = appendUint(append(b, `,"unreachable":`...), f.Unreachable)
	b = appendUint(append(b, `,"silent":`...), s.Silent)
	b = appendUint(append(b, `,"messages":`...), f.Messages)
	b = appendUint(append(b, `,"rejected":`...), f.Rejected)
	b = appendUint(append(b, `,"deferred":`...), f.Deferred)
	b = appendUint(append(b, `,"recipients":`...), f.Recipients)
	b = appendUint(append(b, `,"recipients_rejected":`...), f.RecipientsRejected)
	b = appendInt(append(b, `,"dest_ips":`...), s.DestIPs)
	b = appendInt(append(b, `,"dest_nets":`...), s.DestNets)
	b = appendUint(append(b, `,"concurrent_max":`...), f.ConcurrentMax)
	b = appendUint(append(b, `,"tls_sessions":`...), f.TLSSessions)
	b = appendUint(append(b, `,"auth_sessions":`...), f.AuthSessions)
	b = appendInt(append(b, `,"helo_names":`...), s.HeloNames)
	b = appendInt(append(b, `,"sender_domains":`...), s.SenderDomains)
	b = appendUint(append(b, `,"mx_lookups":`...), s.MXLookups)
	b = appendUint(append(b, `,"bytes_toserver":`...), f.ToServer)
	return appendUint(append(b, `,"bytes_toclient":`...), f.ToClient)
}

// appendDestinations appends the servers that a source tries often.
func (w *Writer) appendDestinations(b []byte, list []finding.Destination) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, `,"destinations":`...)
	for i, x := range list {
		b = append(append(b, "[,"[min(i, 1)]), `{"ip":"`...)
		b = append(appendIP(b, x.Server.Addr()), `","port":`...)
		b = appendUint(b, x.Server.Port())
		if x.Name != "" {
			b = w.appendText(append(b, `,"name":`...), x.Name)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// Finding writes an event of a finding.
func (w *Writer) Finding(f *finding.Finding) {
	level := zerolog.WarnLevel
	if f.Severity == verdict.Info {
		level = zerolog.InfoLevel
	} else if f.Severity >= verdict.High {
		level = zerolog.ErrorLevel
	}
	b := w.appendSource(w.beginLine(FindingEvent, level, f.Time), &f.Source)
	b = appendString(append(b, `,"finding":{"id":`...), f.ID)
	b = appendInt(append(b, `,"seq":`...), f.Seq)
	b = appendString(append(b, `,"action":`...), f.Action)
	b = appendString(append(b, `,"class":`...), f.Class.String())
	b = appendString(append(b, `,"level":`...), f.Level.String())
	b = appendFloat(append(b, `,"score":`...), f.Score)
	b = appendString(append(b, `,"severity":`...), f.Severity.String())
	b = appendString(append(b, `,"mode":`...), f.Mode)
	b = appendString(append(b, `,"egress":`...), f.Egress)
	b = w.clock.append(append(b, `,"first_seen":`...), f.Source.Counters.First)
	b = w.clock.append(append(b, `,"last_seen":`...), f.Source.Counters.Last)
	b = w.clock.append(append(b, `,"since":`...), f.Began())
	b = appendUint(append(b, `,"decided_after_attempts":`...), f.Decided.Attempts)
	b = appendSeconds(append(b, `,"decided_after_s":`...), f.DecidedIn)
	b = w.appendHistory(b, f)
	b = append(appendCounts(append(b, `,"counts":{`...), &f.Source), '}')
	b = w.appendDestinations(b, f.Source.Destinations)
	b = w.appendReasons(b, f.Reasons)
	b = w.appendProof(b, f)
	if a := f.Ack; a != nil {
		b = w.appendText(append(b, `,"ack":{"by":`...), a.By)
		b = w.appendText(append(b, `,"why":`...), a.Why)
		b = append(w.clock.append(append(b, `,"at":`...), a.At), '}')
	}
	w.endLine(appendString(append(b, `},"message":`...), Headline(f)))
}

// appendHistory appends the highest level and the periods of a finding.
func (w *Writer) appendHistory(b []byte, f *finding.Finding) []byte {
	if f.Highest > f.Level {
		b = appendString(append(b, `,"highest_level":`...), f.Highest.String())
		b = w.clock.append(append(b, `,"highest_at":`...), f.HighestAt)
	}
	if len(f.Periods) < 2 {
		return b
	}
	b = append(b, `,"periods":`...)
	for i, p := range f.Periods {
		b = append(append(b, "[,"[min(i, 1)]), `{"first":`...)
		b = w.clock.append(b, p.First)
		b = append(w.clock.append(append(b, `,"last":`...), p.Last), '}')
	}
	return append(b, ']')
}

// appendReasons appends the reasons of a finding.
func (w *Writer) appendReasons(b []byte, list []finding.ReasonText) []byte {
	b = append(b, `,"reasons":[`...)
	for i := range list {
		r := &list[i]
		code, family := r.Code.String(), r.Code.Family().String()
		if r.Server != "" {
			code, family = r.Server, serverFamily(r.Server)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"code":`...), code)
		b = appendString(append(b, `,"family":`...), family)
		b = appendFloat(append(b, `,"value":`...), r.Reason.Value)
		b = appendFloat(append(b, `,"threshold":`...), r.Reason.Threshold)
		b = appendFloat(append(b, `,"weight":`...), r.Reason.Weight)
		b = w.appendText(append(b, `,"text":`...), w.cfg.Evidence.hide(r.Text))
		b = w.clock.append(append(b, `,"first":`...), r.Reason.First)
		b = append(w.clock.append(append(b, `,"last":`...), r.Reason.Last), '}')
	}
	return append(b, ']')
}

// appendProof appends what a finding rests on, and what became of it.
func (w *Writer) appendProof(b []byte, f *finding.Finding) []byte {
	b = append(b, `,"evidence":[`...)
	for i, n := range f.Evidence {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendUint(append(b, w.run...), n, 10), '"')
	}
	b = appendStrings(append(b, `],"blind":`...), f.Blind)
	b = appendString(append(b, `,"advice":`...), f.Advice)
	if x := f.Ignored; x != nil {
		b = w.appendText(append(b, `,"ignored":{"why":`...), x.Why)
		if x.Until != 0 {
			b = w.clock.append(append(b, `,"until":`...), x.Until)
		}
		b = append(b, '}')
	}
	if f.CloseReason != "" {
		b = appendString(append(b, `,"close_reason":`...), f.CloseReason)
	}
	if f.Reopened > 0 {
		b = appendUint(append(b, `,"reopened":`...), f.Reopened)
		b = appendSeconds(append(b, `,"clean_for_s":`...), f.CleanFor)
	}
	if f.Incident != "" {
		b = appendString(append(b, `,"incident":`...), f.Incident)
		b = w.clock.append(append(b, `,"incident_since":`...), f.Since)
		b = append(b, `,"other_addresses":[`...)
		for i, a := range f.Also {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendIP(append(b, '"'), a), '"')
		}
		b = append(b, ']')
	}
	b = appendUint(append(b, `,"suppressed_events":`...), f.Suppressed)
	if f.Relay != nil {
		b = w.appendRelay(append(b, `,"relay":`...), f.Relay)
	}
	return b
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
