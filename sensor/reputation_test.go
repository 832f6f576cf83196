package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"spamsensor/sensor/dns/dnstest"

	"golang.org/x/net/dns/dnsmessage"
)

// blocklist is a DNS server with the list bl.example, which has its test entry and 203.0.113.4;
// any other name is refused.
func blocklist(t *testing.T) string {
	return dnstest.Listen(t, func(name string) (codes []string, text string, rcode dnsmessage.RCode, ok bool) {
		switch {
		case !strings.HasSuffix(name, ".bl.example"):
			return nil, "", dnsmessage.RCodeRefused, true
		case name == "2.0.0.127.bl.example", name == "4.113.0.203.bl.example":
			return []string{"127.0.0.2"}, "a \x1b[2J bot", dnsmessage.RCodeSuccess, true
		}
		return nil, "", dnsmessage.RCodeNameError, true
	})
}

func TestReputation(t *testing.T) {
	dir := t.TempDir()
	server := blocklist(t)
	events := writeFile(t, filepath.Join(dir, "events.json"), `{"event_type":"site","site":{"public_ip":"203.0.113.5","servers":2}}
{"event_type":"session","note":"\"event_type\":\"site\""}
{"event_type":"site","site":{"public_ip":"203.0.113.4","servers":3}}
{"event_type":"site","site":{"servers":0}}
`, 0o600)
	file := writeFile(t, filepath.Join(dir, "c.yaml"), fmt.Sprintf("output: {file: %s}\nreputation: {lists: bl.example, resolver: '%s'}\n",
		events, server), 0o600)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "which lists? Name them with --list"},
		{"--list bl.example", exitUsage, "which address? Name it with --ip or reputation.addresses; there is no file"},
		{"-c FILE -o json", exitFindings, `{"address":"203.0.113.4","list":"bl.example","state":"listed","code":"127.0.0.2","text":"a \\x1b[2J bot"}`},
		{"-c FILE --ip 203.0.113.5", exitOK, "not listed"},
		{"-c FILE --ip 203.0.113.5 --list bl.example,other.example", exitUnknown, "REFUSED: the resolver"},
		{"-c FILE --list bl.example --list other.example", exitFindings, "not known"},
		{"-c FILE --ip 10.0.0.1", exitUsage, "10.0.0.1 is no public address"},
		{"-c FILE --ip x", exitUsage, `"x" is not an address`},
		{"-c FILE --list a@b", exitUsage, `"a@b" is not a domain`},
		{"-c FILE --resolver host", exitUsage, `--resolver: "host" is no address of a resolver`},
		{"-c FILE -o xml", exitUsage, "-o xml: want human or json"},
		{"--set reputation.addresses=10.0.0.1", exitUsage, "10.0.0.1 is no public address"},
		{"--set reputation.resolver=x", exitUsage, `"x" is no address of a resolver`},
		{"--set reputation.every=1m", exitUsage, "1m is too often for lists"},
		{"--set reputation.every=1h", exitUsage, "there is nobody to ask: name reputation.lists"},
	} {
		var out bytes.Buffer
		args := append([]string{"reputation"}, strings.Fields(strings.ReplaceAll(c.args, "FILE", file))...)
		code := run(context.Background(), args, nil, &out, &out)
		if code != c.code || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "\x1b[2J") {
			t.Errorf("%s: %d %s, want %d %s", c.args, code, out.String(), c.code, c.want)
		}
	}
}
