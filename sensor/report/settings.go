package report

import (
	"fmt"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// settings are the hints of a sensor that runs: what to write in its configuration. What its health
// says, as that its networks are not known, is not said again.
func (r *Report) settings(in *Input, found []*finding.Finding) (hints []string) {
	told := ""
	for _, f := range found {
		if f.Class == verdict.DirectSMTP {
			told = f.Source.Addr.String()
			hints = append(hints, fmt.Sprintf("If %s is a mail server of yours: smtp_servers: "+
				"[{ip: %q, role: mailserver}]", told, told))
			break
		}
	}
	for _, s := range r.undeclared() {
		if s.String() == told {
			continue
		}
		hints = append(hints, fmt.Sprintf("%s accepts mail like a mail server. If it is one: "+
			"smtp_servers: [{ip: %q, role: mailserver}]. If not, find out what it is.", s,
			s.String()))
	}
	if r.domainsMissing() {
		hints = append(hints, "To check whether your mail servers relay for external clients: "+
			"local_domains with each domain that you accept mail for, backup domains included.")
	}
	if in.Attempts == 0 {
		hints = append(hints,
			"No connection to a mail port was seen. Other ports: capture.ports")
	}
	return hints
}
