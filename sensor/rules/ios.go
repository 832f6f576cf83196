package rules

import (
	"net"
	"net/netip"
	"strings"
)

// The rules for Cisco IOS and IOS XE are an access list for what comes in from the inside, where
// addresses are not translated yet, with object groups. An interface takes one list in each
// direction; a list ends with an unseen deny, so this one permits the rest. IOS logs the first
// packet of a flow, and the others counted every five minutes: that is its rate.
//
// Syntax: Security Configuration Guide: Access Control Lists, chapters Object Groups for ACLs
// (https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/sec_data_acl/configuration/15-2mt/
// sec-object-group-acl.html), IPv6 Object Groups for ACLs (.../xe-16-11/
// sec-data-acl-xe-16-11-book_chapter_010110.html); IP Configuration Guide, Filtering IP Packets
// Using Access Lists (log). Groups must not be empty, and exist before a list names them. Entries
// have numbers, so that the last one can be entered first: a list that is in use denies all that it
// does not name, while it is pasted.

func iosSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Load"), "configure terminal")
	g.aside(p.Text("then paste this text; then, for each inside interface:"))
	g.step("", "interface INSIDE", " ip access-group SPAMSENSOR in",
		" ipv6 traffic-filter SPAMSENSOR6 in")
	g.step(p.Text("Undo"), "interface INSIDE", " no ip access-group SPAMSENSOR in",
		" no ipv6 traffic-filter SPAMSENSOR6 in", "exit")
	g.aside(p.Text("then the lines that begin with no, below"))
	g.step(p.Text("Watch"), "show access-lists SPAMSENSOR", "show ipv6 access-list SPAMSENSOR6",
		"show logging | include SPAMSENSOR")
	g.step(p.Text("Keep"), "copy running-config startup-config")
	g.say(p.Text("An interface takes one access list: put the lines of this one at the beginning " +
		"of one that it has, without the line 1000. IPv6 object groups need IOS XE."))
}

// iosFamily is how a family is written.
type iosFamily struct {
	list, network, service, rest, access string
	number                               string // before the number of an entry
	of                                   func(*set) []element
}

var iosFamilies = []iosFamily{
	{"SPAMSENSOR", "network", "service", "ip", "ip access-list extended", "", (*set).of4},
	{"SPAMSENSOR6", "v6-network", "v6-service", "ipv6", "ipv6 access-list", "sequence ",
		(*set).of6},
}

func iosRules(g *page, s *Set) {
	x := g.sets(s)
	sets := x.all()
	g.say(g.p.Text("Earlier rules of this kind are removed. Messages that one is not there do " +
		"not matter."))
	for _, f := range iosFamilies {
		g.line("no %s %s", f.access, f.list)
		for _, x := range sets {
			g.line("no object-group %s %s-%s", f.network, f.list, strings.ToUpper(x.name))
		}
		g.line("no object-group %s %s-MAIL", f.service, f.list)
		g.line("no object-group %s %s-SMTP", f.service, f.list)
	}
	for _, f := range iosFamilies {
		g.ios(&f, s, sets)
	}
	g.line("exit")
}

// ios writes the groups and the access list of a family.
func (g *page) ios(f *iosFamily, s *Set, sets []set) {
	full := map[string]bool{}
	for _, x := range sets {
		list := f.of(&x)
		if full[x.name] = len(list) > 0; !full[x.name] {
			continue
		}
		g.say(x.about)
		g.line("object-group %s %s-%s", f.network, f.list, strings.ToUpper(x.name))
		for _, e := range list {
			if e.why != "" {
				g.remark(" ", "", "", e.why)
			}
			g.line(" %s", iosNetwork(e.net))
		}
	}
	g.line("object-group %s %s-SMTP", f.service, f.list)
	g.line(" tcp eq 25")
	g.line("object-group %s %s-MAIL", f.service, f.list)
	for _, port := range s.Ports {
		g.line(" tcp eq %d", port)
	}
	g.line("%s %s", f.access, f.list)
	g.say(g.p.Text("The last line first: without it a list denies what it does not name."))
	g.line(" %s1000 permit %s any any", f.number, f.rest)
	number := 0
	for _, e := range []struct{ group, about, line string }{
		{"local", g.p.Text("mail to your networks"), "permit %[3]s-MAIL any %[3]s-LOCAL"},
		{"quarantine", g.p.Text("flagged hosts"), "deny %[3]s-MAIL %[3]s-QUARANTINE any log"},
		{"servers", g.p.Text("mail servers"), "permit %[3]s-SMTP %[3]s-SERVERS any"},
		{"relays", g.p.Text("allowed relays"), "permit %[3]s-SMTP any %[3]s-RELAYS"},
		{"local", g.p.Text("your other hosts"), "deny %[3]s-SMTP %[3]s-LOCAL any log"},
	} {
		if number += 10; full[e.group] {
			g.say(e.about)
			g.line(" %[1]s%[2]d "+e.line, f.number, number, "object-group "+f.list)
		}
	}
}

// iosNetwork is a network as a group has it: IPv4 with a mask.
func iosNetwork(p netip.Prefix) string {
	switch {
	case p.IsSingleIP():
		return "host " + p.Addr().String()
	case p.Addr().Is6():
		return p.String()
	}
	return p.Addr().String() + " " + net.IP(net.CIDRMask(p.Bits(), 32)).String()
}
