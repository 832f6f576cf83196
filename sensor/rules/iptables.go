package rules

// The rules for iptables are chains of their own behind one rule in FORWARD, and sets of ipset: a
// rule for each of some hundred hosts would be slow. The text is a shell script, and can be run
// again.
//
// Syntax: iptables(8), iptables-restore(8), iptables-extensions(8) (set, multiport, limit, LOG),
// ipset(8).

func iptablesSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Load"), "sh spamsensor.sh")
	g.step(p.Text("Undo"), IptablesUndo...)
	g.step(p.Text("Watch"), "iptables -nvL SPAMSENSOR-PORT25; iptables -nvL SPAMSENSOR-CUT",
		"journalctl -k -g spamsensor-")
	g.say(p.Text("To keep them after a restart, have the system run this script at its start. " +
		"They need ipset. iptables-nft and iptables-legacy both do."))
}

// IptablesUndo removes the rules for iptables.
var IptablesUndo = []string{
	"for t in iptables ip6tables; do",
	"  $t -D FORWARD -j SPAMSENSOR",
	"  for c in SPAMSENSOR SPAMSENSOR-CUT SPAMSENSOR-PORT25; do $t -F $c; done",
	"  for c in SPAMSENSOR SPAMSENSOR-CUT SPAMSENSOR-PORT25; do $t -X $c; done",
	"done",
	"for n in local servers relays quarantine; do",
	"  ipset destroy spamsensor-${n}4; ipset destroy spamsensor-${n}6",
	"done",
}

func iptablesRules(g *page, s *Set) {
	g.line("set -e")
	g.line("ipset restore -exist <<'END'")
	sets := g.sets(s)
	for _, x := range sets.all() {
		g.say(x.about)
		g.ipset("spamsensor-"+x.name+"4", "inet", x.of4())
		g.ipset("spamsensor-"+x.name+"6", "inet6", x.of6())
	}
	g.line("END")
	for _, f := range []struct{ command, n string }{{"iptables", "4"}, {"ip6tables", "6"}} {
		g.line("")
		g.iptables(s, f.command, f.n)
	}
}

// ipset writes a set. hash:net takes single addresses, too.
func (g *page) ipset(name, family string, list []element) {
	g.line("create %s hash:net family %s", name, family)
	g.line("flush %s", name)
	for _, e := range list {
		if e.why != "" {
			g.line("# %s", g.clean(e.why))
		}
		g.line("add %s %s", name, e.short())
	}
}

// iptables writes the chains of a family.
func (g *page) iptables(s *Set, command, n string) {
	g.line("%s-restore --noflush <<'END'", command)
	g.line("*filter")
	g.line(":SPAMSENSOR - [0:0]")
	g.line(":SPAMSENSOR-CUT - [0:0]")
	g.line(":SPAMSENSOR-PORT25 - [0:0]")
	g.line("-A SPAMSENSOR ! -p tcp -j RETURN")
	g.line("-A SPAMSENSOR -p tcp -m multiport ! --dports %s -j RETURN", s.ports(","))
	g.line("-A SPAMSENSOR -m set --match-set spamsensor-local%s dst -j RETURN", n)
	g.line("-A SPAMSENSOR -m set --match-set spamsensor-quarantine%s src -g SPAMSENSOR-CUT", n)
	g.line("-A SPAMSENSOR -p tcp ! --dport 25 -j RETURN")
	g.line("-A SPAMSENSOR -m set --match-set spamsensor-servers%s src -j RETURN", n)
	g.line("-A SPAMSENSOR -m set --match-set spamsensor-relays%s dst -j RETURN", n)
	g.line("-A SPAMSENSOR -m set --match-set spamsensor-local%s src -g SPAMSENSOR-PORT25", n)
	g.say(g.p.Text(logged))
	for _, c := range []struct{ chain, log string }{{"CUT", "quarantine"}, {"PORT25", "port25"}} {
		g.line("-A SPAMSENSOR-%s -m limit --limit 10/min --limit-burst 20 -j LOG "+
			`--log-prefix "spamsensor-%s: "`, c.chain, c.log)
		g.line("-A SPAMSENSOR-%s -j DROP", c.chain)
	}
	g.line("COMMIT")
	g.line("END")
	g.line("%[1]s -C FORWARD -j SPAMSENSOR 2>/dev/null || %[1]s -I FORWARD 1 -j SPAMSENSOR",
		command)
}
