package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"spamsensor/sensor/lang"
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

// writer writes a configuration. Its comments are in the language of the person who runs setup.
type writer struct {
	b strings.Builder
	p *lang.Printer
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

// note writes a comment. Arguments are texts that are translated already.
func (w *writer) note(indent, format string, args ...any) {
	w.line("%s# %s", indent, comment(w.p.Sprintf(format, args...)))
}

// Write returns a configuration with the evidence of each setting as a comment. It is valid YAML
// that the sensor accepts: the escapes of Go are escapes of YAML, too. Names from the wire are
// letters, digits, dots and hyphens alone. A nil p is English.
func Write(f *Facts, places Places, channels []Channel, now time.Time, p *lang.Printer) string {
	w := &writer{p: p}
	w.line("# yaml-language-server: $schema=/usr/share/spamsensor/schema.json")
	w.note("", "Written by spamsensor setup on %s. It heard %s for %s: %s.",
		now.Format("2006-01-02 15:04 MST"), f.Interface, f.Heard.Round(time.Second),
		p.Plural(uint64(f.Sessions), "mail session", "mail sessions"))
	w.note("", "Check it, and change what is wrong: spamsensor check")
	w.line("")
	if p != nil { // whoever runs setup wants notices in this language, too
		w.line("sensor:")
		w.line("  lang: %s", p.Tag())
		w.line("")
	}
	w.line("capture:")
	w.line("  # %s", comment(p.Sentence(f.Why)))
	w.line("  interfaces: [%s]", strconv.Quote(f.Interface))
	w.line("")
	w.note("", "Networks of ours. Only hosts in these are judged.")
	w.line("home_net:")
	for _, n := range f.Home {
		why := p.Text("no host with mail was seen")
		if n.Hosts > 0 {
			why = p.Sprintf("%s with mail seen", p.Plural(uint64(n.Hosts), "host", "hosts"))
		}
		if n.Why != "" {
			why += p.Text("; ") + p.Sentence(n.Why)
		}
		w.line("  - %s # %s", strconv.Quote(n.Prefix.String()), comment(why))
	}
	w.line("")
	w.servers(f)
	w.line("")
	w.line("output:")
	w.line("  file: %s", strconv.Quote(places.Events))
	w.line("state:")
	w.line("  dir: %s", strconv.Quote(places.State))
	if len(channels) > 0 {
		w.line("")
		w.note("", "Who is told of findings, and of a sensor that sees nothing any more.")
		w.line("notify:")
		for _, c := range channels {
			w.line("  # %s", comment(p.Sentence(c.Why)))
			for _, l := range c.Lines {
				w.line("  %s", l)
			}
		}
	}
	return w.b.String()
}

// servers writes the mail servers, and as comments what a person must decide.
func (w *writer) servers(f *Facts) {
	var declared, doubtful []*MailServer
	for i := range f.Servers {
		if s := &f.Servers[i]; s.Accused >= verdict.Suspect {
			doubtful = append(doubtful, s)
		} else {
			declared = append(declared, s)
		}
	}
	w.note("", "Mail servers of ours: hosts that took mail from others.")
	if len(declared) == 0 {
		w.note("", "None was seen. If there is one: smtp_servers: [192.0.2.25]")
	} else {
		w.line("smtp_servers:")
	}
	for _, s := range declared {
		w.note("  ", "It %s.", s.evidence(w.p))
		w.line("  - ip: %s", strconv.Quote(s.Addr.String()))
		if s.Name != "" {
			w.line("    name: %s", strconv.Quote(s.Name))
		}
	}
	for _, s := range doubtful {
		w.note("", "Not declared: %s %s, and there is a finding that it sends spam (%s).", s.Addr,
			s.evidence(w.p), w.p.Text(s.Accused.String()))
		w.note("", "Look at it first: spamsensor explain %s", s.Addr)
	}
	var names []string
	for _, s := range declared {
		_, domain, ok := strings.Cut(s.Name, ".")
		if ok && strings.Contains(domain, ".") && !slices.Contains(names, domain) {
			names = append(names, domain)
		}
	}
	w.line("")
	w.note("", "Domains that these servers accept mail for. Mail for domains that are missing in")
	w.note("", "such a list looks relayed, so complete it before you use it.")
	if len(names) == 0 {
		names = []string{"example.org"}
	}
	w.line("# local_domains: [%s]", strings.Join(names, ", "))
}

// evidence says what a server was seen to do.
func (s *MailServer) evidence(p *lang.Printer) string {
	what := p.Plural(uint64(s.Accepted), "message", "messages")
	if s.Encrypted > 0 {
		what += p.Text(" and ") +
			p.Plural(uint64(s.Encrypted), "encrypted session", "encrypted sessions")
	}
	text := p.Sprintf("took %s from %s outside", what, p.Plural(uint64(s.Clients), "host", "hosts"))
	if s.Clients == 0 {
		text = p.Sprintf("took %s from hosts of ours", what)
	}
	if s.Sent > 0 {
		text += p.Sprintf(" and sent %d", s.Sent)
	}
	if s.Name != "" {
		text += p.Sprintf(", and greets as %s", s.Name)
	}
	return text
}

// comment makes a text safe for a comment of one line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' ' // no-break spaces, too: editors show them as faults
		}
		return r
	}, s)
}
