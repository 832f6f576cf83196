package finding

import (
	"fmt"
	"net"
	"strings"
)

// SameMachine says under which other addresses the machine of a finding was found; empty for one
// with no other.
func (f *Finding) SameMachine() string {
	if len(f.Also) == 0 {
		return ""
	}
	list := make([]string, len(f.Also))
	for i, a := range f.Also {
		list[i] = a.String()
	}
	if f.RotationNetwork.IsValid() {
		return fmt.Sprintf("The same machine was probably also found as %s: it takes new "+
			"addresses in %s.", strings.Join(list, ", "), f.RotationNetwork)
	}
	return fmt.Sprintf("The same machine (MAC %s) was also found as %s: its address changed, "+
		"or it has several.", net.HardwareAddr(f.Source.MAC[:]), strings.Join(list, ", "))
}

// Straight says what a host with a finding of the class DirectSMTP was seen to do.
func (f *Finding) Straight() string {
	switch c := &f.Source.Counters; {
	case c.Messages > 0:
		return "sends mail directly to the Internet"
	case c.Sessions > 0:
		return "connects directly to mail servers on the Internet"
	}
	return "tries to reach mail servers on the Internet"
}
