package report

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// Words says single facts of a Model in sentences, as Text does, for the other forms of a report.
type Words struct{ p printer }

// NewWords returns the words of a language; nil is English. when writes a time. live says that a
// sensor runs.
func NewWords(l *lang.Printer, live bool, when func(Time) string) Words {
	return Words{printer{tr: l, zone: time.UTC, live: live, when: when}}
}

// Decided says when a finding was decided, and on what it rests; empty for one for information.
func (w Words) Decided(f *Finding) string {
	if f.Severity == verdict.Info.String() {
		return ""
	}
	return strings.TrimSpace(w.p.decided(f))
}

// Became says what became of a finding until the end of the input; empty if it went on to the end.
func (w Words) Became(f *Finding, end Time) string {
	if f.Class == verdict.DirectSMTP {
		return ""
	}
	return w.p.became(f, end)
}

// Active says whether the host of a finding went on to the end of the input, or for how long it has
// been quiet.
func (w Words) Active(f *Finding, end Time) string { return w.p.active(f, end) }

// LastName is what a table calls the last sign of findings.
func (w Words) LastName(found []Finding) string { return lastName(found) }

// Result says how a session ended; empty if that is not known.
func (w Words) Result(s *Session) string { return w.p.result(s, full) }

// Refused says what the refusals of a host are.
func (w Words) Refused(c *Counts) string { return w.p.refused(c) }

// Egress says what stops the connections of a host; empty if nothing does.
func (w Words) Egress(f *Finding) string {
	if text := egressText[f.Egress]; text != "" {
		return w.p.tr.Text(text)
	}
	return ""
}

// Target is the server that a host tries most often; empty if none stands out.
func (w Words) Target(h *Host) string {
	if len(h.Destinations) == 0 {
		return ""
	}
	return w.p.target(h)
}

// Server says of a mail server what a table does not.
func (w Words) Server(s *Server) (list []string) {
	for _, text := range w.p.serverDetails(s) {
		first, n := utf8.DecodeRuneInString(text)
		list = append(list, string(unicode.ToUpper(first))+text[n:])
	}
	return list
}

// Relaying is the result of the passive relay test.
func (w Words) Relaying(s *Relay) string { return w.p.relaying(s) }

// Unjudged says what could not be judged: what of the input is missing, what is unknown of the
// rest, and what hinders the sensor.
func (w Words) Unjudged(m *Model) (list []string) {
	w.p.losses(&m.Input, func(_, text string) { list = append(list, text) })
	return append(list, w.p.unjudged(m)...)
}

// Short is how long something lasted.
func (w Words) Short(d time.Duration) string { return w.p.short(int64(d)) }

// Bytes is a number of bytes.
func (w Words) Bytes(n uint64) string { return w.p.bytes(n) }
