package verify

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/rules"
)

// needTools skips a test that cannot run here.
func needTools(t *testing.T) {
	t.Helper()
	for _, d := range Dialects {
		if err := Missing(d); err != nil {
			t.Skip(err)
		}
	}
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// many are flagged hosts of both families.
func many(n int) (list []rules.Flagged) {
	a, b := netip.MustParseAddr("10.9.0.0"), netip.MustParseAddr("2001:db8:9::")
	for range n {
		a, b = a.Next(), b.Next()
		list = append(list, rules.Flagged{IP: a, Title: "likely spambot"}, rules.Flagged{IP: b, Title: "likely spambot"})
	}
	return list
}

// TestVerify checks that exactly the right connections pass: rules with all kinds of hosts, with
// none, of IPv6 alone, and with 900 flagged hosts.
func TestVerify(t *testing.T) {
	needTools(t)
	ports := rules.MailPorts
	for _, c := range []struct {
		name     string
		set      rules.Set
		rows     int
		standIns int
	}{
		{"nothing is known", rules.Set{Ports: ports}, 14, 6},
		{"IPv6 only", rules.Set{Ports: ports, Local: prefixes("2001:db8:1::/48"), Servers: []rules.Server{{IP: netip.MustParseAddr("2001:db8:1::25")}},
			Quarantine: []rules.Flagged{{IP: netip.MustParseAddr("2001:db8:1::66")}}}, 14, 3},
		{"900 flagged hosts, relays, a server among the others", rules.Set{Ports: ports, Local: prefixes("10.0.0.0/8", "2001:db8::/40"),
			Servers: []rules.Server{{IP: netip.MustParseAddr("10.0.0.1")}, {IP: netip.MustParseAddr("2001:db8::1")}},
			Relays:  prefixes("203.0.113.128/28", "3fff::7/128"), Quarantine: many(450)}, 18, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Run(t.Context(), &c.set, Dialects)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			r.Text(&text, nil)
			if r.Wrong != 0 || len(r.Connections) != c.rows || len(r.StandIns) != c.standIns || !strings.Contains(text.String(), "Exactly the right") {
				t.Errorf("%d wrong, %d connections, stand-ins %v\n%s", r.Wrong, len(r.Connections), r.StandIns, &text)
			}
			for _, want := range []string{"from server to outside 25: true", "from flagged to outside 25: false quarantine",
				"from flagged to outside 587: false quarantine", "from desktop to outside 25: false port25", "from desktop to outside 587: true"} {
				for _, v6 := range []bool{false, true} {
					for i := range Dialects {
						if n := count(r, i, want, v6); n != 1 {
							t.Errorf("%s (IPv6 %v): %d of %s", want, v6, n, Dialects[i])
						}
					}
				}
			}
		})
	}
	if out, err := exec.Command("ip", "netns").Output(); err != nil || strings.Contains(string(out), "spam-flagged-") {
		t.Errorf("namespaces are left: %s %v", out, err)
	}
}

// count is how many connections of a family ended so.
func count(r *Report, dialect int, want string, v6 bool) (n int) {
	for _, c := range r.Connections {
		o := &c.Results[dialect].With
		got := strings.TrimSpace(fmt.Sprintf("from %s to %s %d: %v %s", c.From, c.To, c.Port, o.Passed, o.Counted))
		if got == want && c.Server.Is6() == v6 {
			n++
		}
	}
	return n
}

// TestWrongRules checks that rules that cut too little, or too much, are found out.
func TestWrongRules(t *testing.T) {
	needTools(t)
	for _, c := range []struct {
		name  string
		spoil func(*rules.Set)
		wrong string
	}{
		{"no quarantine", func(s *rules.Set) { s.Quarantine = nil }, "WRONG: passes"},
		{"no server", func(s *rules.Set) { s.Servers = nil }, "WRONG: dropped, counted"},
	} {
		p, err := newPlan(&rules.Set{Ports: rules.MailPorts, Local: prefixes("10.0.0.0/8")})
		if err != nil {
			t.Fatal(err)
		}
		// The server must be in a network of ours to be cut.
		p.set.Local = append(p.set.Local, netip.PrefixFrom(p.hosts[server][0], 32))
		c.spoil(&p.set)
		if err := p.verify(t.Context(), "nftables"); err != nil {
			t.Fatal(err)
		}
		r := &Report{Dialects: []string{"nftables"}, Connections: p.connections}
		var text strings.Builder
		r.Text(&text, lang.New(lang.English))
		if !strings.Contains(text.String(), c.wrong) {
			t.Errorf("%s: want %s\n%s", c.name, c.wrong, &text)
		}
	}
}

// TestMissing checks the sentence about what is missing, and that rules without an end are refused.
func TestMissing(t *testing.T) {
	if err := Missing("pf"); err == nil || !strings.Contains(err.Error(), "only nftables and iptables") {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := Missing("nftables"); err == nil || !strings.Contains(err.Error(), "is not installed (apt-get install") && !strings.Contains(err.Error(), "root") {
		t.Error(err)
	}
	_, err := Run(context.Background(), &rules.Set{Ports: rules.MailPorts, Local: prefixes("0.0.0.0/0", "::/0")}, nil)
	if err == nil || !strings.Contains(err.Error(), "the rules cut nothing") {
		t.Error(err)
	}
}
