package html

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/report"
)

// Bounds of details.
const (
	maxServers = 5  // mail servers with sentences and a picture
	maxFiles   = 20 // inputs
)

// OtherCount is the number of hosts without a finding.
func (v *View) OtherCount() int { return len(v.Others) + v.Beyond }

// MoreServers are mail servers that are not shown.
func (v *View) MoreServers() int { return len(v.Servers) - len(v.Watched) }

// ToldServers are mail servers that are told of in sentences.
func (v *View) ToldServers() []*ServerView { return v.Watched[:min(len(v.Watched), maxServers)] }

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
func (h *HostView) Link() string { return "/host/" + h.IP.String() }

// Target is the server that the host tries most often; empty if none stands out.
func (h *HostView) Target() string {
	if len(h.Destinations) == 0 {
		return ""
	}
	d := &h.Destinations[0]
	text := d.Server.String()
	if d.Name != "" {
		text = fmt.Sprintf("%s:%d", d.Name, d.Server.Port())
	}
	if more := len(h.Destinations) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// Took is how long the reading of the input took; empty for a running sensor.
func (v *View) Took() string {
	if v.Input.Took == 0 {
		return ""
	}
	return v.Input.Took.Round(time.Millisecond).String()
}

// Size is the size of the input.
func (v *View) Size() string {
	f := float64(v.Input.Bytes)
	for _, unit := range []string{"%.0f bytes", "%.1f kB", "%.1f MB"} {
		if f < 1000 {
			return v.lang.Sprintf(unit, f)
		}
		f /= 1000
	}
	return v.lang.Sprintf("%.1f GB", f)
}

// Unknown says what could not be judged.
func (v *View) Unknown() (list []string) {
	add := func(n uint64, format string) {
		if n > 0 {
			list = append(list, v.lang.Sprintf(format, v.lang.Number(n)))
		}
	}
	in, l := &v.Input, &v.Limits
	for _, problem := range in.Problems {
		list = append(list, v.lang.Sentence(problem))
	}
	if in.Refused > 0 {
		list = append(list, v.lang.Sprintf("%s packets could not be decoded: %s",
			v.lang.Number(in.Refused), strings.Join(in.RefusedBy, ", ")))
	}
	add(in.Drops, "%s packets were dropped while capturing")
	if in.Loss > 0.005 {
		list = append(list, v.lang.Sprintf("about %.1f %% of the bytes of mail connections are "+
			"missing from the capture", 100*in.Loss))
	}
	add(l.Encrypted, "encrypted sessions of your hosts: %s; their content is unknown")
	add(l.SeenClient, "sessions seen from the client's side only: %s")
	add(l.SeenServer, "sessions seen from the server's side only: %s")
	add(l.Gaps, "gaps, bytes that were sent but are not in the capture: %s")
	add(l.Midstream, "%s connections had begun before the capture")
	for _, h := range v.Health {
		text := v.lang.Sentence(h.Text)
		if h.Hint != "" {
			text += ": " + v.lang.Sentence(h.Hint)
		}
		list = append(list, text)
	}
	return list
}

// UsualText is the usual number of messages in an hour.
func (s *ServerView) UsualText() string {
	if s.Usual == nil {
		return s.lang.Text("learning")
	}
	return s.lang.Number(uint64(*s.Usual + 0.5))
}
