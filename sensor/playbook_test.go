package main

import (
	"encoding/json"
	"strings"
	"testing"

	"spamsensor/sensor/playbook"
)

// TestPlaybookCommand checks playbook and verify as a user calls them.
func TestPlaybookCommand(t *testing.T) {
	const bot = "spambot-192.168.77.66-1795293169"
	for _, c := range []struct {
		args string
		code int
		say  string
	}{
		{"playbook " + bot, exitOK, "iptables -I FORWARD 1 -s 192.168.77.66 "},
		{"playbook 192.168.77.66 --os linux", exitOK, "ss -tnp"},
		{"playbook 192.168.77.66 --lang fr", exitOK, "Arrêtez son courrier au pare-feu"},
		{"playbook 192.168.77.66 --os dos", exitUsage, "--os dos: want windows, macos, linux"},
		{"playbook 192.168.77.1", exitUsage, "there is no finding 192.168.77.1"},
		{"playbook", exitUsage, "name the id of a finding"},
		{"playbook 192.168.77.66 -o csv", exitUsage, "this is no table"},
		{"verify 192.168.77.66", exitFindings, "192.168.77.66 is NOT clean."},
		{"verify ::ffff:192.168.77.66", exitFindings, "66 in 24 hours"},
		{"verify 192.168.77.25", exitUnknown, "It was watched for 37 s only"},
		{"verify 192.168.77.1", exitUnknown, "It cannot be told whether 192.168.77.1 is clean."},
		{"verify x", exitUsage, "x is no IP address"},
		{"verify 192.168.77.66 --lang fr", exitFindings, "n'est PAS saine"},
	} {
		var stdout, stderr strings.Builder
		args := append(strings.Fields(c.args), "-r", "testdata/bot.pcap")
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != c.code ||
			!strings.Contains(stdout.String()+stderr.String(), c.say) {
			t.Errorf("%s: %d %s%s, want %d %q", c.args, code, stdout.String(), stderr.String(), c.code, c.say)
		}
	}
	var stdout, stderr strings.Builder
	var p playbook.Playbook
	run(t.Context(), []string{"playbook", bot, "-r", "testdata/bot.pcap", "-o", "json", "--lang", "fr"}, nil, &stdout, &stderr)
	if err := json.Unmarshal([]byte(stdout.String()), &p); err != nil || p.Finding != bot || len(p.Steps) < 7 ||
		p.Steps[0].Title != "Stop its mail at the firewall" {
		t.Errorf("%v %s%s", err, stdout.String(), stderr.String())
	}
	stdout.Reset()
	var x playbook.Check
	code := run(t.Context(), []string{"verify", "192.168.77.66", "-r", "testdata/bot.pcap", "-o", "json"}, nil, &stdout, &stderr)
	if err := json.Unmarshal([]byte(stdout.String()), &x); err != nil || code != exitFindings || x.State != playbook.NotClean ||
		x.LastDay != 66 {
		t.Errorf("%d %v %s", code, err, stdout.String())
	}
}
