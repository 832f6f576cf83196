package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"spamsensor/sensor/rules"
	"spamsensor/sensor/rules/verify"
)

// TestRules checks the rules of a capture: what is declared is in them, seen or not, and wrong
// arguments are refused.
func TestRules(t *testing.T) {
	conf := written(t, t.TempDir()+"/a.yaml", "smtp_servers:\n  - 192.0.2.25\n  - {ip: 2001:db8::26, role: bulk}\n  - {ip: 192.168.77.9, role: nat}\n"+
		"allowed_relays: [203.0.113.128/28]\n")
	for _, x := range []struct {
		args string
		code int
		want []string // and what must not be there, behind !
	}{
		{"nftables", 0, []string{"            192.168.77.66, # confirmed spambot, first seen 2026-11-2", ", MAC 02:00:00:00:77:66\n", "CHECK (1 host)", "NO MAIL SERVER IS DECLARED",
			"192.168.77.25  3 attempts, 3 messages", "192.168.77.66  58 attempts, 8 messages", "!192.168.77.10"}},
		{"nftables --mail-server 192.168.77.25 -c " + conf, 0, []string{"192.168.77.25, # declared", "192.0.2.25, # declared", "2001:db8::26, # declared", "203.0.113.128/28,", "!CHECK", "!192.168.77.9"}},
		{"iptables --mail-server 192.168.77.66", 0, []string{"add spamsensor-servers4 192.168.77.66", "192.168.77.66 is a mail server with a finding: ", "!add spamsensor-quarantine4"}},
		{"RouterOS", 0, []string{"add list=spamsensor-quarantine address=192.168.77.66"}},
		{"ios", 0, []string{"object-group network SPAMSENSOR-QUARANTINE"}},
		{"nftables --lang fr", 0, []string{"Avant de charger ces règles"}},
		{"", 2, []string{"name a dialect: nftables, iptables, pf, RouterOS, IOS, OPNsense"}},
		{"netfilter", 2, []string{"name a dialect"}},
		{"nftables -o csv", 2, []string{"no table"}},
		{"pf --verify", 1, []string{"--verify: pf: only nftables and iptables can be verified"}},
	} {
		code, stdout, stderr := asked(t, append(strings.Fields("rules "+x.args), "-r", "testdata/bot.pcap")...)
		for _, w := range x.want {
			w, absent := strings.CutPrefix(w, "!")
			if strings.Contains(stdout+stderr, w) == absent {
				t.Errorf("%s: %q (absent: %v)\n%s%s", x.args, w, absent, stdout, stderr)
			}
		}
		if code != x.code {
			t.Errorf("%s: exit code %d, want %d: %s", x.args, code, x.code, stderr)
		}
	}
	_, stdout, _ := asked(t, "rules", "pf", "-o", "json", "--lang", "fr", "-r", "testdata/bot.pcap")
	var s rules.Set
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || len(s.Quarantine) != 1 || len(s.Cut) != 2 || s.Cut[1].Attempts != 58 || s.Cut[1].Title != "confirmed spambot" {
		t.Errorf("%v %s", err, stdout)
	}
}

// TestRulesVerify has the rules of a capture tried.
func TestRulesVerify(t *testing.T) {
	for _, dialect := range verify.Dialects {
		if err := verify.Missing(dialect); err != nil {
			if os.Getuid() != 0 { // it says so, and tries nothing
				code, stdout, stderr := asked(t, "rules", dialect, "--verify", "-r", "testdata/bot.pcap")
				if code != exitFailed || stdout != "" || !strings.Contains(stderr, "needs root") {
					t.Errorf("%d %s %s", code, stdout, stderr)
				}
			}
			t.Skip(err)
		}
	}
	code, stdout, stderr := asked(t, "rules", "--verify", "--mail-server", "192.168.77.25", "-r", "testdata/bot.pcap")
	for _, want := range []string{"server 192.168.77.25 ", "flagged host 192.168.77.66 ", "dropped, counted", "Exactly the right connections pass (14 connections, in nftables, iptables)"} {
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("no %q: %d\n%s%s", want, code, stdout, stderr)
		}
	}
}
