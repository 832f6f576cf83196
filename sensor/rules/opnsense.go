package rules

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The rules for OPNsense are a shell script that calls its API: aliases, and the rules that it
// shows under Firewall, Automation. They have no interface, so they are floating, and cut what
// comes in, before translation. An alias may exclude addresses of its networks, as a table of pf
// does: no rule must let the mail servers pass.
//
// API: OPNsense documentation, Development, API, Firewall
// (https://docs.opnsense.org/development/api/core/firewall.html), with its examples; the fields are
// those of the models Filter.xml and Alias.xml of https://github.com/opnsense/core. Exclusions of
// aliases: Firewall, Aliases (https://docs.opnsense.org/manual/aliases.html). Descriptions take
// letters, digits and blanks.

func opnsenseSteps(g *page, s *Set) {
	p := g.p
	g.step(p.Text("Prepare"), "export OPNSENSE=https://192.0.2.1 KEY=... SECRET=...")
	g.aside(p.Text("the address of the firewall, and an API key: System, Access, Users"))
	g.step(p.Text("Load"), "sh spamsensor-opnsense.sh")
	g.step(p.Text("Undo"), "sh spamsensor-opnsense.sh undo")
	g.say(p.Text("The script needs curl and jq. The rules are kept after a restart, and shown " +
		"under Firewall, Automation, Filter, or among the new rules; what they drop is in the " +
		"live view. A connection that has a state goes on until it ends: Diagnostics, States."))
}

// opnsenseHead has what the script needs, and removes earlier rules of this kind. Each call has an
// assignment of its own: the shell does not see that a command fails in front of a pipe, or in the
// list of a loop.
const opnsenseHead = `set -e
: "${OPNSENSE:?}" "${KEY:?}" "${SECRET:?}"
call() { curl -fsS -u "$KEY:$SECRET" "$@"; }
post() {
  answer=$(call -H 'Content-Type: application/json' -d "${2:-@-}" "$OPNSENSE/api/firewall/$1")
  case $answer in *'"failed"'*) echo "$1: $answer" >&2; exit 1; esac
}
search="filter/searchRule?current=1&rowCount=100&searchPhrase=spamsensor"
found=$(call "$OPNSENSE/api/firewall/$search")
ids=$(echo "$found" | jq -r '.rows[].uuid')
for id in $ids; do
  post "filter/delRule/$id" '{}'
done
post filter/apply '{}'
for name in local allowed others quarantine ports; do
  found=$(call "$OPNSENSE/api/firewall/alias/getAliasUUID/spamsensor_$name")
  id=$(echo "$found" | jq -r '.uuid? // empty')
  [ -z "$id" ] || post "alias/delItem/$id" '{}'
done
if [ "${1:-}" = undo ]; then
  post alias/reconfigure '{}'
  exit
fi
`

func opnsenseRules(g *page, s *Set) {
	p := g.p
	g.b.WriteString(opnsenseHead)
	x := g.sets(s)
	networks, excluded := x.others()
	g.say(x.local.about)
	g.alias("local", x.local.list, nil)
	g.say(p.Text(allowed))
	g.alias("allowed", x.allowed(), nil)
	g.say(p.Text(others))
	g.reasons(x.servers.list)
	g.alias("others", networks, excluded)
	g.say(x.quarantine.about)
	g.reasons(x.quarantine.list)
	g.alias("quarantine", x.quarantine.list, nil)
	g.line("post alias/addItem <<'END'")
	g.json("alias", map[string]string{"enabled": "1", "name": "spamsensor_ports", "type": "port",
		"content": s.ports("\n"), "description": "spamsensor"})
	g.line("END")
	g.line("post alias/reconfigure '{}'")
	g.say(p.Text("What is cut is logged, and dropped."))
	for _, family := range []string{"inet", "inet6"} {
		g.opnsenseRule(family, "1", "quarantine", "local", "spamsensor_ports")
		g.opnsenseRule(family, "2", "others", "allowed", "25")
	}
	g.line("post filter/apply '{}'")
}

// reasons writes comments about the elements of a set: JSON has none.
func (g *page) reasons(list []element) {
	for _, e := range list {
		g.item(e.short() + ": " + e.why)
	}
}

// alias writes a call that adds an alias of networks.
func (g *page) alias(name string, list, excluded []element) {
	var content []string
	for _, e := range list {
		content = append(content, e.net.String())
	}
	for _, e := range excluded {
		content = append(content, "!"+e.net.String())
	}
	g.line("post alias/addItem <<'END'")
	g.json("alias", map[string]string{"enabled": "1", "name": "spamsensor_" + name,
		"type": "network", "content": strings.Join(content, "\n"), "description": "spamsensor"})
	g.line("END")
}

// opnsenseRule writes a call that adds a rule.
func (g *page) opnsenseRule(family, sequence, from, notTo, port string) {
	g.line("post filter/addRule <<'END'")
	g.json("rule", map[string]string{"enabled": "1", "sequence": sequence, "action": "block",
		"quick": "1", "interface": "", "direction": "in", "ipprotocol": family, "protocol": "TCP",
		"source_net": "spamsensor_" + from, "destination_net": "spamsensor_" + notTo,
		"destination_not": "1", "destination_port": port, "log": "1",
		"description": "spamsensor " + from + " " + family})
	g.line("END")
}

// json writes an object. Its texts are addresses and names of our own.
func (g *page) json(name string, fields map[string]string) {
	text, err := json.Marshal(map[string]any{name: fields})
	if err != nil {
		panic(fmt.Sprintf("texts are always JSON: %v", err))
	}
	g.line("%s", text)
}
