package rules

import "slices"

// The rules for pf (OpenBSD, FreeBSD) are an anchor of their own. They have no interface: the
// addresses say where a packet comes from, and it is cut where it comes in, before translation. A
// table may exclude addresses of its networks, so that no rule must let the mail servers pass: what
// the other rules say of them holds.
//
// Syntax: pf.conf(5), sections TABLES, PACKET FILTERING, ANCHORS, GRAMMAR
// (https://man.openbsd.org/pf.conf.5, https://man.freebsd.org/pf.conf(5)), and pfctl(8). Entries of
// a table may stand in lines of their own without commas, as the grammar of pfctl has it (parse.y,
// host_list). A rule with quick in an anchor is final. Both log each packet: they have no rate.

func pfSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Prepare"), `anchor "spamsensor"`)
	g.aside(p.Text("this line in /etc/pf.conf, before the other filter rules"))
	g.step(p.Text("Check"), "pfctl -n -a spamsensor -f spamsensor.pf")
	g.step(p.Text("Load"), "pfctl -f /etc/pf.conf && pfctl -a spamsensor -f spamsensor.pf")
	g.step(p.Text("Undo"), "pfctl -a spamsensor -F rules && pfctl -a spamsensor -F Tables")
	g.step(p.Text("Watch"), "pfctl -a spamsensor -v -s rules", "tcpdump -n -e -i pflog0")
	g.step(p.Text("Keep"), `load anchor "spamsensor" from "/etc/spamsensor.pf"`)
	g.aside(p.Text("this line in /etc/pf.conf, behind the anchor"))
	g.say(p.Text("A connection that has a state goes on until it ends; pfctl -k ADDRESS ends " +
		"those of a host. pf logs each packet that it drops."))
}

func pfRules(g *page, s *Set) {
	p := g.p
	x := g.sets(s)
	networks, excluded := x.others()
	g.say(x.local.about)
	g.pfTable("local", x.local.list, nil)
	g.say(p.Text(allowed))
	g.pfTable("allowed", x.allowed(), nil)
	g.say(p.Text(others))
	g.pfTable("others", networks, excluded)
	g.say(x.quarantine.about)
	g.pfTable("quarantine", x.quarantine.list, nil)
	g.say(p.Text("What is cut is logged, and dropped."))
	g.line("block drop in log quick proto tcp from <spamsensor_quarantine> "+
		"to ! <spamsensor_local> port { %s }", s.ports(" "))
	g.line("block drop in log quick proto tcp from <spamsensor_others> " +
		"to ! <spamsensor_allowed> port 25")
}

// allowed and others are what firewalls have whose lists may exclude addresses.
const (
	allowed = "Where your hosts may send on port 25: the same, and the allowed relays."
	others  = "Your networks without the mail servers, which alone may send on port 25."
)

func (x *sets) allowed() []element { return slices.Concat(x.local.list, x.relays.list) }

// others are the networks of the hosts that may not send, and the mail servers to exclude of them.
// A mail server outside of all networks is a network of the local ones itself.
func (x *sets) others() (networks, excluded []element) {
	in := func(list []element, e element) bool {
		return slices.ContainsFunc(list, func(x element) bool { return x.net == e.net })
	}
	for _, e := range x.local.list {
		if !in(x.servers.list, e) {
			networks = append(networks, e)
		}
	}
	for _, e := range x.servers.list {
		if !in(x.local.list, e) {
			excluded = append(excluded, e)
		}
	}
	return networks, excluded
}

// pfTable writes a table of both families, without the excluded addresses.
func (g *page) pfTable(name string, list, excluded []element) {
	g.line("table <spamsensor_%s> persist {", name)
	for i, e := range slices.Concat(list, excluded) {
		not, why := "", ""
		if i >= len(list) {
			not = "!"
		}
		if e.why != "" {
			why = " # " + g.clean(e.why)
		}
		g.line("    %s%s%s", not, e.short(), why)
	}
	g.line("}")
}
