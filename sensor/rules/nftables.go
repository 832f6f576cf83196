package rules

// The rules for nftables are a table of their own, so that one command removes them. A packet that
// its chain accepts still goes through the other tables; what it drops is gone. The chain comes
// before those at the usual priority, which might accept established connections.
//
// Syntax: nft(8), sections TABLES, CHAINS, SETS, LOG STATEMENT, LIMIT STATEMENT.

func nftSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Check"), "nft -c -f spamsensor.nft")
	g.step(p.Text("Load"), "nft -f spamsensor.nft")
	g.step(p.Text("Undo"), NftUndo)
	g.step(p.Text("Watch"), "nft list table inet spamsensor", "journalctl -k -g spamsensor-")
	g.say(p.Text("To keep them after a restart, include this file in /etc/nftables.conf. A " +
		"connection in a flowtable (offload) goes on until it ends."))
}

// NftUndo removes the rules for nftables.
const NftUndo = "nft delete table inet spamsensor"

func nftRules(g *page, s *Set) {
	g.line("table inet spamsensor")
	g.line("delete table inet spamsensor")
	g.line("table inet spamsensor {")
	sets := g.sets(s)
	for _, x := range sets.all() {
		g.remark("    ", "", "", x.about)
		g.nftSet(&x, "4", "ipv4_addr", x.of4())
		g.nftSet(&x, "6", "ipv6_addr", x.of6())
	}
	families := []struct{ ip, n string }{{"ip", "4"}, {"ip6", "6"}}
	g.line("    chain forward {")
	g.line("        type filter hook forward priority filter - 10; policy accept;")
	g.line("        tcp dport != { %s } accept", s.ports(", "))
	for _, f := range families {
		g.line("        %[1]s saddr @quarantine%[2]s %[1]s daddr != @local%[2]s goto quarantine",
			f.ip, f.n)
	}
	g.line("        tcp dport != 25 accept")
	for _, f := range families {
		g.line("        %[1]s saddr @local%[2]s %[1]s saddr != @servers%[2]s "+
			"%[1]s daddr != @local%[2]s %[1]s daddr != @relays%[2]s goto port25", f.ip, f.n)
	}
	g.line("    }")
	g.nftDrop("quarantine")
	g.nftDrop("port25")
	g.line("}")
}

// nftSet writes a set of a family.
func (g *page) nftSet(x *set, n, kind string, list []element) {
	g.line("    set %s%s {", x.name, n)
	g.line("        type %s", kind)
	if x.networks {
		g.line("        flags interval")
	}
	if len(list) > 0 {
		g.line("        elements = {")
		for _, e := range list {
			if e.why != "" {
				e.why = " # " + g.clean(e.why)
			}
			g.line("            %s,%s", e.short(), e.why)
		}
		g.line("        }")
	}
	g.line("    }")
}

// logged says what happens to what is cut.
const logged = "Logged at most 10 times a minute, then dropped and counted."

// nftDrop writes a chain that logs and drops.
func (g *page) nftDrop(name string) {
	g.line("    chain %s {", name)
	g.remark("        ", "", "", g.p.Text(logged))
	g.line(`        limit rate 10/minute burst 20 packets log prefix "spamsensor-%s: "`, name)
	g.line("        counter drop")
	g.line("    }")
}
