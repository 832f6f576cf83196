package rules

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

// Options say how a Set is written.
type Options struct {
	Lang *lang.Printer  // of the comments
	Zone *time.Location // of times; nil is UTC
}

// dialect is the syntax of a firewall.
type dialect struct {
	name string
	mark string // begins a comment
	// ascii says that the firewall's command line may not take other characters, and acts on
	// tabs and question marks at once.
	ascii bool
	// steps says how the rules are loaded and undone, rules writes them.
	steps, rules func(*page, *Set)
}

// dialects are all dialects, in the order in which they are named.
var dialects = []dialect{
	{"nftables", "#", false, nftSteps, nftRules},
	{"iptables", "#", false, iptablesSteps, iptablesRules},
	{"pf", "#", false, pfSteps, pfRules},
	{"RouterOS", "#", true, mikrotikSteps, mikrotikRules},
	{"IOS", "!", true, iosSteps, iosRules},
	{"OPNsense", "#", false, opnsenseSteps, opnsenseRules},
}

// Dialects are the names of the dialects. Upper and lower case do not matter.
func Dialects() (names []string) {
	for i := range dialects {
		names = append(names, dialects[i].name)
	}
	return names
}

// Write writes the rules in a dialect, one of Dialects.
func (s *Set) Write(w io.Writer, name string, o Options) error {
	i := slices.IndexFunc(dialects, func(d dialect) bool { return strings.EqualFold(d.name, name) })
	if i < 0 {
		return fmt.Errorf("%q is no dialect: want %s", name, strings.Join(Dialects(), ", "))
	}
	g := &page{dialect: &dialects[i], p: o.Lang, zone: o.Zone}
	if g.zone == nil {
		g.zone = time.UTC
	}
	g.preamble(s)
	g.rules(g, s)
	_, err := io.WriteString(w, g.b.String())
	return err
}

// page is a text in a dialect that is being written.
type page struct {
	*dialect
	b    strings.Builder
	p    *lang.Printer
	zone *time.Location
}

// width is how long a line of comment is.
const width = 96

// line writes a line of the rules as it is.
func (g *page) line(format string, args ...any) { fmt.Fprintf(&g.b, format+"\n", args...) }

// remark writes a comment of any length behind an indentation. rest is the indentation of its
// further lines.
func (g *page) remark(indent, first, rest, text string) {
	start := indent + g.mark + " "
	line := first
	flush := func() { g.b.WriteString(strings.TrimRight(start+g.clean(line), " ") + "\n") }
	for i, word := range strings.Split(text, " ") {
		if i > 0 && utf8.RuneCountInString(start+line+word) > width {
			flush()
			line = rest
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	flush()
}

// say writes a comment at the left margin.
func (g *page) say(text string) { g.remark("", "", "", text) }

// item writes a comment as an item of a list.
func (g *page) item(text string) { g.remark("", "- ", "  ", text) }

// heading writes the heading of a part of the preamble.
func (g *page) heading(text string) {
	g.line("%s", g.mark)
	g.say("== " + text)
}

// step writes a command to type, as a comment.
func (g *page) step(name string, commands ...string) {
	for _, c := range commands {
		g.line("%s %s%s", g.mark, padded(g.clean(name), 10), c)
		name = ""
	}
}

// aside writes a comment about the command above it.
func (g *page) aside(text string) {
	indent := strings.Repeat(" ", 10)
	g.remark("", indent+"(", indent, text+")")
}

// padded is a text with blanks up to a width.
func padded(s string, to int) string {
	return s + strings.Repeat(" ", max(0, to-utf8.RuneCountInString(s)))
}

// plain are letters of French that ASCII does not have.
var plain = strings.NewReplacer("é", "e", "è", "e", "ê", "e", "ë", "e", "à", "a", "â", "a",
	"ç", "c", "î", "i", "ï", "i", "ô", "o", "ù", "u", "û", "u", "ü", "u", "œ", "oe", "É", "E",
	"È", "E", "À", "A", "Ç", "C", "«\u00a0", `"`, "\u00a0»", `"`, "«", `"`, "»", `"`, "’", "'",
	"\u00a0", " ", "\u202f", " ")

// clean makes a text fit for a comment: it stays in its line, whatever was configured or heard. A
// backslash at the end would take the next line into the comment.
func (g *page) clean(s string) string {
	if g.ascii {
		s = plain.Replace(s)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\\':
			return '/'
		case r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\u00a0' && r != '\u202f':
			return ' '
		case g.ascii && (r == '?' || r > unicode.MaxASCII):
			return '.'
		}
		return r
	}, s)
}

// minute is a time for a comment.
func (g *page) minute(t report.Time) string { return t.In(g.zone).Format("2006-01-02 15:04") }

// why says why a server may send.
func (g *page) why(x *Server) string {
	p := g.p
	switch {
	case x.Declared && x.Finding != "":
		return p.Sprintf("declared, but: %s. It is not cut; find what sends, and lock that",
			p.Sentence(x.Finding))
	case x.Declared:
		return p.Text("declared in the configuration")
	case x.Received > 0:
		return p.Sprintf("NOT DECLARED, observed: it accepted %s. Check it, or delete this line",
			p.Plural(x.Received, "message", "messages"))
	}
	return p.Text("NOT DECLARED, observed: it sends as a mail server does. Check it, or delete " +
		"this line")
}

// since says why a host is in quarantine.
func (g *page) since(x *Flagged) string {
	list := []string{g.p.Sentence(x.Title), g.p.Sprintf("first seen %s", g.minute(x.Since))}
	if x.Name != "" {
		list = append([]string{x.Name}, list...)
	}
	if x.MAC != "" {
		list = append(list, "MAC "+x.MAC)
	}
	if x.Of.IsValid() {
		list = append(list, g.p.Sprintf("the same machine as %s", x.Of.String()))
	}
	if x.NAT {
		list = append(list, g.p.Text("NAT: all machines behind it are cut, too"))
	}
	return strings.Join(list, ", ")
}

// element is an element of a set, with the reason for it; empty where the set says enough.
type element struct {
	net netip.Prefix
	why string
}

// set is a set of addresses that rules name.
type set struct {
	name, about string
	networks    bool // it has more than single addresses
	list        []element
}

// sets are the sets of all dialects.
type sets struct{ local, servers, relays, quarantine set }

// all are the sets in the order in which they are written.
func (x *sets) all() []set { return []set{x.local, x.servers, x.relays, x.quarantine} }

// sets makes the sets of rules.
func (g *page) sets(s *Set) sets {
	p := g.p
	var servers, quarantine []element
	for i := range s.Servers {
		x := &s.Servers[i]
		servers = append(servers, element{netip.PrefixFrom(x.IP, x.IP.BitLen()), g.why(x)})
	}
	for i := range s.Quarantine {
		x := &s.Quarantine[i]
		quarantine = append(quarantine, element{netip.PrefixFrom(x.IP, x.IP.BitLen()), g.since(x)})
	}
	return sets{
		set{"local", p.Text("Your networks and mail servers: mail to them is left alone."), true,
			networks(s.Local)},
		set{"servers", p.Text("Mail servers: they alone may send on port 25."), false, servers},
		set{"relays", p.Text("Allowed relays: each host of yours may send to them."), true,
			networks(s.Relays)},
		set{"quarantine", p.Text("Quarantine: these hosts send spam, and are cut from all mail " +
			"ports outside."), false, quarantine},
	}
}

// of4 and of6 are the elements of a family.
func (s *set) of4() []element { return s.of(netip.Addr.Is4) }
func (s *set) of6() []element { return s.of(netip.Addr.Is6) }

func (s *set) of(is func(netip.Addr) bool) (list []element) {
	for _, e := range s.list {
		if is(e.net.Addr()) {
			list = append(list, e)
		}
	}
	return list
}

// networks are the elements of a list of networks.
func networks(from []netip.Prefix) (list []element) {
	for _, p := range from {
		list = append(list, element{net: p})
	}
	return list
}

// short is the network of an element, without its length if it is one address.
func (e *element) short() string {
	if e.net.IsSingleIP() {
		return e.net.Addr().String()
	}
	return e.net.String()
}

// ports is the list of ports of the quarantine.
func (s *Set) ports(separator string) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Ports), " ", separator), "[]")
}
