package report

import (
	"strings"

	"spamsensor/sensor/lang"
)

// LeftOut is what the model inside an HTML report does not have.
type LeftOut struct {
	Findings int `json:"findings"`
	Hosts    int `json:"hosts"`
	Servers  int `json:"mail_servers"`
	Others   int `json:"ignored_and_withdrawn"`
	Files    int `json:"files"`
	// Times are the attempts by minute, and the messages of servers by hour.
	Times bool `json:"times"`
}

// Hides reports whether findings or hosts are left out, so that what is not there may have been.
func (l *LeftOut) Hides() bool {
	return l != nil && (l.Findings > 0 || l.Hosts > 0 || l.Servers > 0 || l.Others > 0)
}

// Text says what is left out; empty if it is nothing.
func (l *LeftOut) Text(p *lang.Printer) string {
	if l == nil {
		return ""
	}
	var list []string
	add := func(n int, one, other string) {
		if n > 0 {
			list = append(list, p.Plural(uint64(n), one, other))
		}
	}
	add(l.Findings, "finding", "findings")
	add(l.Others, "finding that is ignored or withdrawn", "findings that are ignored or withdrawn")
	add(l.Hosts, "host", "hosts")
	add(l.Servers, "mail server", "mail servers")
	add(l.Files, "file", "files")
	if l.Times {
		list = append(list, p.Text("the attempts by minute"),
			p.Text("the messages of mail servers by hour"))
	}
	return strings.Join(list, ", ")
}
