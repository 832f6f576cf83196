package html

import (
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/report"
)

// Bounds of details.
const (
	maxServers  = 5 // mail servers with sentences and a picture
	maxStates   = 3 // mail servers in the headline
	maxFiles    = 20
	maxSessions = 100 // mail sessions
)

// OtherCount is the number of hosts without a finding.
func (v *View) OtherCount() int { return len(v.Others) + v.Beyond }

// MoreServers are mail servers that are not shown.
func (v *View) MoreServers() int { return len(v.Servers) - len(v.Watched) }

// ServerStates are the verdicts about the declared mail servers, in a sentence each.
func (v *View) ServerStates() (list []string) {
	more, seen := 0, map[netip.Addr]bool{}
	say := func(ip netip.Addr, name, state string) {
		if len(list) == maxStates {
			more++
			return
		}
		text := ip.String()
		if name != "" {
			text += " (" + name + ")"
		}
		list = append(list, v.lang.Sprintf("Mail server %s: %s", text, state))
	}
	for i := range v.Servers {
		s := &v.Servers[i]
		if seen[s.IP] = true; s.Declared {
			say(s.IP, s.Name, v.words.ServerState(s))
		}
	}
	for _, d := range v.Declared {
		if h := v.HostOf(d.IP); d.Role == "mailserver" && !seen[d.IP] && v.Only == nil &&
			(h != nil || v.HostCount == len(v.Hosts)) { // else nothing is known of it here
			say(d.IP, d.Name, v.words.ServerUnseen(h != nil && h.Counts.Sessions > 0))
		}
	}
	if more > 0 {
		list = append(list, v.lang.Sprintf("and %s", v.lang.Plural(uint64(more),
			"more mail server", "more mail servers")))
	}
	return list
}

// ToldServers are mail servers that are told of in sentences.
func (v *View) ToldServers() []*ServerView { return v.Watched[:min(len(v.Watched), maxServers)] }

// Asked reports whether the mail sessions were asked for.
func (v *View) Asked() bool { return v.Sessions != nil }

// FewSessions are the first mail sessions.
func (v *View) FewSessions() []report.MailSession {
	return v.Sessions[:min(len(v.Sessions), maxSessions)]
}

// SessionCount is the number of all mail sessions.
func (v *View) SessionCount() uint64 { return uint64(len(v.Sessions)) + v.MoreSessions }

// BeyondSessions are mail sessions that are not shown.
func (v *View) BeyondSessions() uint64 { return v.SessionCount() - uint64(len(v.FewSessions())) }

// FewIgnored are the first of the findings that the configuration ignores.
func (v *View) FewIgnored() []report.Finding { return v.Ignored[:min(len(v.Ignored), maxRows)] }

// FewWithdrawn are the first of the findings that were withdrawn.
func (v *View) FewWithdrawn() []report.Withdrawn {
	return v.Withdrawn[:min(len(v.Withdrawn), maxRows)]
}

// File is an input with its SHA-256; empty if it was not computed.
type File struct{ Name, SHA256 string }

// Files are the first inputs.
func (v *View) Files() (list []File) {
	for _, s := range v.Input.Sums {
		list = append(list, File{s.Name, s.SHA256})
	}
	for _, name := range v.Input.Names {
		if !slices.ContainsFunc(list, func(f File) bool { return f.Name == name }) {
			list = append(list, File{Name: name})
		}
	}
	return list[:min(len(list), maxFiles)]
}

// MoreFiles are inputs that are not shown.
func (v *View) MoreFiles() int {
	return max(0, max(len(v.Input.Sums), len(v.Input.Names))-maxFiles)
}

// HasLink reports whether the host has a page of its own.
func (h *HostView) HasLink() bool { return h.links }

// Link is that page.
func (h *HostView) Link() string { return "/host/" + h.IP.String() + h.query }

// Target is the server that the host tries most often; empty if none stands out.
func (h *HostView) Target() string { return h.words.Target(h.Host) }

// Took is how long the reading of the input took; empty for a running sensor.
func (v *View) Took() string {
	if v.Input.Took == 0 {
		return ""
	}
	return v.words.Short(v.Input.Took)
}

// LeftText says what the model inside the report does not have; empty if it has all.
func (v *View) LeftText() string { return v.LeftOut.Text(v.lang) }

// Local reports whether the times are not in UTC, as those of events are.
func (v *View) Local() bool { return v.ZoneName(v.Period.Last) != "UTC" }

// Shortened reports whether a sender is shown without its local part.
func (c *Card) Shortened() bool {
	return slices.ContainsFunc(c.Proof, func(s report.Session) bool {
		return slices.ContainsFunc(s.MailFrom, func(from string) bool {
			return strings.HasPrefix(from, "...@")
		})
	})
}

// Glossary says what the words of the counts mean.
func (v *View) Glossary() []string { return report.Glossary }

// Size is the size of the input.
func (v *View) Size() string { return v.words.Bytes(v.Input.Bytes) }

// Unknown says what could not be judged.
func (v *View) Unknown() []string { return v.words.Unjudged(v.Model) }

// Sentences say of the server what the table does not.
func (s *ServerView) Sentences() (list []string) {
	for _, text := range s.words.Server(s.Server) {
		list = append(list, together(text))
	}
	return list
}

// Relaying is the result of the passive relay test.
func (s *ServerView) Relaying() string { return s.words.Relaying(&s.Relay) }

// UsualText is the usual number of messages in an hour.
func (s *ServerView) UsualText() string {
	if s.Hidden() {
		return "–"
	}
	if s.Usual == nil {
		return s.lang.Text("learning")
	}
	return s.lang.Number(uint64(*s.Usual + 0.5))
}
