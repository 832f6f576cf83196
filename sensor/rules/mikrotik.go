package rules

import "strings"

// The rules for RouterOS (MikroTik) are address lists, and chains of their own behind one rule in
// forward, the first that is not dynamic: an earlier one might accept the packet. Each item has a
// comment or a list that begins with spamsensor, by which the undo finds it.
//
// Syntax: MikroTik documentation, RouterOS, Firewall: Filter; Address-lists; Common Firewall
// Matchers and Actions (https://help.mikrotik.com/docs/display/ROS/Filter,
// https://help.mikrotik.com/docs/display/ROS/Common+Firewall+Matchers+and+Actions), and Scripting.

func mikrotikSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Load"), "/import file-name=spamsensor.rsc")
	g.aside(p.Text("after the upload of this text as spamsensor.rsc; or paste it"))
	g.step(p.Text("Undo"), mikrotikUndo...)
	g.step(p.Text("Watch"), `/ip firewall filter print stats where comment~"spamsensor"`,
		`/log print where message~"spamsensor-"`)
	g.say(p.Text("They are kept after a restart. A connection that FastTrack carries goes on " +
		"until it ends."))
}

var mikrotikUndo = []string{
	`/ip firewall filter remove [find comment~"^spamsensor"]`,
	`/ip firewall address-list remove [find list~"^spamsensor-"]`,
	`/ipv6 firewall filter remove [find comment~"^spamsensor"]`,
	`/ipv6 firewall address-list remove [find list~"^spamsensor-"]`,
}

func mikrotikRules(g *page, s *Set) {
	g.say(g.p.Text("Earlier rules of this kind are removed."))
	for _, l := range mikrotikUndo {
		g.line("%s", l)
	}
	for _, ip := range []string{"/ip", "/ipv6"} {
		g.line("%s firewall address-list", ip)
		sets := g.sets(s)
		for _, x := range sets.all() {
			list := x.of4()
			if ip == "/ipv6" {
				list = x.of6()
			}
			g.say(x.about)
			for _, e := range list {
				comment := ""
				if e.why != "" {
					comment = ` comment="` + g.quoted(e.why) + `"`
				}
				g.line("add list=spamsensor-%s address=%s%s", x.name, e.short(), comment)
			}
		}
		g.mikrotikFilter(ip, s)
	}
}

// mikrotikFilter writes the chains of a family. Their jump comes last, when they are complete.
func (g *page) mikrotikFilter(ip string, s *Set) {
	rule := func(what, about string) {
		g.line(`add chain=spamsensor %s comment="spamsensor: %s"`, what, g.quoted(g.p.Text(about)))
	}
	g.line("%s firewall filter", ip)
	rule("action=return dst-address-list=spamsensor-local", "mail to your networks")
	rule("action=jump jump-target=spamsensor-cut src-address-list=spamsensor-quarantine",
		"flagged hosts")
	rule("action=return protocol=tcp dst-port=465,587,2525", "submission")
	rule("action=return src-address-list=spamsensor-servers", "mail servers")
	rule("action=return dst-address-list=spamsensor-relays", "allowed relays")
	rule("action=return src-address-list=!spamsensor-local", "hosts of others")
	for _, chain := range []struct{ name, log string }{
		{"spamsensor", "spamsensor-port25"}, {"spamsensor-cut", "spamsensor-quarantine"}} {
		g.line(`add chain=%s action=log limit=10/1m,20:packet log-prefix="%s" `+
			`comment="spamsensor: %s"`, chain.name, chain.log, g.quoted(g.p.Text(logged)))
		g.line(`add chain=%s action=drop comment="spamsensor: %s"`, chain.name,
			g.quoted(g.p.Text("dropped and counted")))
	}
	jump := ip + " firewall filter add chain=forward action=jump jump-target=spamsensor " +
		"protocol=tcp dst-port=" + s.ports(",") + ` comment="spamsensor"`
	g.line("{")
	g.line(":local first [%s firewall filter find where chain=forward and !dynamic]", ip)
	g.line(":if ([:len $first] > 0) do={")
	g.line("%s place-before=[:pick $first 0]", jump)
	g.line("} else={")
	g.line("%s", jump)
	g.line("}")
	g.line("}")
}

// quoted makes a text fit for quotation marks.
func (g *page) quoted(s string) string {
	return strings.NewReplacer(`"`, "'", "$", " ", "[", "(", "]", ")").Replace(g.clean(s))
}
