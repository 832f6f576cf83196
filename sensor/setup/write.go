package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/verdict"
)

// Places of a configuration that Write makes.
type Places struct {
	Events string // file of the events
	State  string // directory of the state
}

// Channel is a way to tell people that was found on this machine.
type Channel struct {
	Lines []string // an entry of notify, each line with its indentation
	Why   string   // how it was found
}

// Write returns a configuration with the evidence of each setting as a comment. It is valid YAML
// that the sensor accepts: the escapes of Go are escapes of YAML, too. Names from the wire are
// letters, digits, dots and hyphens alone.
func Write(f *Facts, p Places, channels []Channel, now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# yaml-language-server: $schema=/usr/share/spamsensor/schema.json")
	line("# Written by spamsensor setup on %s. It heard %s for %s: %s.",
		now.Format("2006-01-02 15:04 MST"), comment(f.Interface), f.Heard.Round(time.Second),
		verdict.Plural(f.Sessions, "mail session"))
	line("# Check it, and change what is wrong: spamsensor check")
	line("")
	line("capture:")
	line("  # %s", comment(f.Why))
	line("  interfaces: [%s]", strconv.Quote(f.Interface))
	line("")
	line("# Networks of ours. Only hosts in these are judged.")
	line("home_net:")
	for _, n := range f.Home {
		why := verdict.Plural(n.Hosts, "host") + " with mail seen"
		if n.Hosts == 0 {
			why = "no host with mail was seen"
		}
		if n.Why != "" {
			why += "; " + n.Why
		}
		line("  - %s # %s", strconv.Quote(n.Prefix.String()), why)
	}
	line("")
	writeServers(&b, f)
	line("")
	line("output:")
	line("  file: %s", strconv.Quote(p.Events))
	line("state:")
	line("  dir: %s", strconv.Quote(p.State))
	if len(channels) > 0 {
		line("")
		line("# Who is told of findings, and of a sensor that sees nothing any more.")
		line("notify:")
		for _, c := range channels {
			line("  # %s", comment(c.Why))
			for _, l := range c.Lines {
				line("  %s", l)
			}
		}
	}
	return b.String()
}

// writeServers writes the mail servers, and as comments what a person must decide.
func writeServers(b *strings.Builder, f *Facts) {
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	var declared, doubtful []*MailServer
	for i := range f.Servers {
		if s := &f.Servers[i]; s.Accused >= verdict.Suspect {
			doubtful = append(doubtful, s)
		} else {
			declared = append(declared, s)
		}
	}
	line("# Mail servers of ours: hosts that took mail from others.")
	if len(declared) == 0 {
		line("# None was seen. If there is one: smtp_servers: [192.0.2.25]")
	} else {
		line("smtp_servers:")
	}
	for _, s := range declared {
		line("  # It %s.", s.evidence())
		line("  - ip: %s", strconv.Quote(s.Addr.String()))
		if s.Name != "" {
			line("    name: %s", strconv.Quote(s.Name))
		}
	}
	for _, s := range doubtful {
		line("# Not declared: %s %s, and there is a finding that it sends spam (%s).", s.Addr,
			s.evidence(), s.Accused)
		line("# Look at it first: spamsensor explain %s", s.Addr)
	}
	var names []string
	for _, s := range declared {
		_, domain, ok := strings.Cut(s.Name, ".")
		if ok && strings.Contains(domain, ".") && !slices.Contains(names, domain) {
			names = append(names, domain)
		}
	}
	line("")
	line("# Domains that these servers accept mail for. A list that is not whole makes mail for")
	line("# the others look relayed, so complete it before you use it.")
	if len(names) == 0 {
		names = []string{"example.org"}
	}
	line("# local_domains: [%s]", strings.Join(names, ", "))
}

// evidence says what a server was seen to do.
func (s *MailServer) evidence() string {
	what := verdict.Plural(s.Accepted, "message")
	if s.Encrypted > 0 {
		what += " and " + verdict.Plural(s.Encrypted, "encrypted session")
	}
	text := fmt.Sprintf("took %s from %s outside", what, verdict.Plural(s.Clients, "host"))
	if s.Clients == 0 {
		text = fmt.Sprintf("took %s from hosts of ours", what)
	}
	if s.Sent > 0 {
		text += fmt.Sprintf(" and sent %d", s.Sent)
	}
	if s.Name != "" {
		text += ", and greets as " + s.Name
	}
	return text
}

// comment makes a text safe for a comment of one line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
