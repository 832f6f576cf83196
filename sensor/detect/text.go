package detect

import (
	"fmt"
	"net"
	"strings"

	"spamsensor/sensor/verdict"
)

// Text tells a reason in a sentence.
func (h *Profile) Text(code Code, f *Counters) string {
	if text, ok := h.restoredText(code); ok {
		return text
	}
	return detectors[code].text(h, f, &h.reasons[code])
}

// orMore is a number that was not counted beyond a limit.
func orMore(v float64, limit int) string {
	if int(v) >= limit {
		return fmt.Sprintf("%d or more", int(v))
	}
	return fmt.Sprint(int(v))
}

// atLeast is the value of a reason that is not counted further once it weighs as much as it can.
func atLeast(r *verdict.Reason, most float64, limit int) string {
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
