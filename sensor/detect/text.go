package detect

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Text tells a reason in a sentence.
func (h *Profile) Text(code Code, f *Counters) string {
	if text, ok := h.restoredText(code); ok {
		return text
	}
	return detectors[code].text(h, f, &h.reasons[code])
}

// Plural is "1 session" or "2 sessions".
func Plural[N int | uint32](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Count is a number with the right one of two words.
func Count(n uint32, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// orMore is a number that was not counted beyond a limit.
func orMore(v float64, limit int) string {
	if int(v) >= limit {
		return fmt.Sprintf("%d or more", int(v))
	}
	return fmt.Sprint(int(v))
}

// atLeast is the value of a reason that is not counted further once it weighs as much as it can.
func atLeast(r *Reason, most float64, limit int) string {
	if r.Weight >= most {
		limit = int(r.Value)
	}
	return orMore(r.Value, limit)
}

// SameMachine says under which other addresses the machine of a finding was found; empty for one with no other.
func (f *Finding) SameMachine() string {
	if len(f.Also) == 0 {
		return ""
	}
	list := make([]string, len(f.Also))
	for i, a := range f.Also {
		list[i] = a.String()
	}
	if f.Roams.IsValid() {
		return fmt.Sprintf("The same machine, as it seems, was found as %s, too: it takes new addresses in %s.", strings.Join(list, ", "), f.Roams)
	}
	return fmt.Sprintf("The same machine (MAC %s) was found as %s, too: its address has changed, or it has several.", net.HardwareAddr(f.Source.MAC[:]), strings.Join(list, ", "))
}

// Straight says what a host with a finding of the class DirectSMTP was seen to do.
func (f *Finding) Straight() string {
	switch c := &f.Source.Facts; {
	case c.Messages > 0:
		return "mails straight to the Internet"
	case c.Sessions > 0:
		return "connects straight to mail servers on the Internet"
	}
	return "tries to reach mail servers on the Internet"
}

// Span is a duration as people say it.
func Span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f s", max(0.1, d.Seconds()))
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
