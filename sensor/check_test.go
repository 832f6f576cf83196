package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/peer"
)

// checked runs the command and returns its exit code, standard output and standard error.
func checked(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// written writes a file of the test, and returns its name.
func written(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCheck checks what check says of a file: FILE stands for its name, DIR for its directory.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	written(t, dir+"/open.key", "0123456789abcdef\n")
	os.Chmod(dir+"/open.key", 0o644)
	written(t, dir+"/good.key", "0123456789abcdef\n")
	for i, c := range []struct {
		text string
		code int
		want []string // lines of standard error, in their order; nil is none at all
	}{
		{"", exitOK, nil},
		{"home_net: [10.0.0.0/8]\nsmtp_servers: [10.0.0.25]\n", exitOK, nil},
		{"evidence: {mail_from: hash, hash_key_file: DIR/good.key}", exitOK, nil},
		{"ignore: [{ip: 10.0.0.1, why: x, until: 9999-12-31}]", exitOK, nil}, // int64 ends in 2262
		// errors, with their places
		{"home_nets: [10.0.0.0/8]", exitUsage, []string{`FILE:1:1: there is no setting "home_nets" here; did you mean "home_net"?`}},
		{"log: {level: warning}", exitUsage, []string{`FILE:1:14: "warning" is none of debug, info, warn, error; did you mean "warn"?`}},
		{"ignore:\n  - ip: 10.0.0.1\n", exitUsage, []string{"FILE:2:7: why is missing"}},
		{"detect:\n  mass_networks: 5\n", exitUsage, []string{"FILE:2:18: many_networks and mass_networks are 10 and 5"}},
		{"local_domains: a b", exitUsage, []string{`FILE:1:16: "a b" is not a domain`}},
		{"log: {level: info}\n---\nhome_net: [10.0.0.0/8]\n", exitUsage, []string{"FILE:3:9: a second document begins here"}},
		{"a: &a [1]\n" + strings.Repeat("b: [*a]\n", 17), exitUsage, []string{"FILE:18:5: more than 16 aliases"}},
		{"capture: {interfaces: [lol]}", exitUsage, []string{`FILE:1:24: capture.interfaces: there is no interface lol (there are: `}},
		{"output:\n  file: DIR", exitUsage, []string{"FILE:2:9: output.file: DIR is a directory"}},
		{"output: {file: DIR/none/events}", exitUsage, []string{"FILE:1:16: output.file: DIR/none/events cannot be written: DIR/none"}},
		{"state: {dir: DIR/good.key}", exitUsage, []string{"FILE:1:14: state.dir: DIR/good.key is no directory"}},
		{"evidence: {mail_from: hash, hash_key_file: DIR/none}", exitUsage, []string{"FILE:1:44: DIR/none must be a readable file"}},
		// warnings
		{"evidence: {mail_from: hash, hash_key_file: DIR/open.key}", exitOK,
			[]string{"warning: FILE:1:44: other users can read the secret in DIR/open.key: its mode is 0644 (chmod 600 DIR/open.key)"}},
		{"notify: [{kind: webhook, server: https://192.0.2.1/, credential: DIR/open.key}]", exitOK,
			[]string{"warning: FILE:1:66: other users can read the secret"}},
		{"evidence: {hash_key_file: DIR/good.key}", exitOK, []string{"warning: FILE:1:27: the key has no effect"}},
		{"ignore:\n  - {ip: 10.0.0.1, why: x, until: 2020-01-31}\n", exitOK,
			[]string{"warning: FILE:2:35: the exception for 10.0.0.1 ended with 2020-01-31"}},
		{"home_net: [0.0.0.0/0]", exitOK, []string{"warning: FILE:1:12: 0.0.0.0/0 is all of the Internet"}},
		{"home_net: [10.1.0.0/16, 10.0.0.0/8]", exitOK, []string{"warning: FILE:1:12: 10.1.0.0/16 has no effect: it is in 10.0.0.0/8"}},
		{"home_net: [10.1.0.0/16, 10.1.0.0/16]", exitOK, []string{"warning: FILE:1:25: 10.1.0.0/16 has no effect"}},
		{"home_net: [10.0.0.0/8]\nsmtp_servers: [{ip: 192.0.2.25}]\n", exitOK, []string{"warning: FILE:2:21: 192.0.2.25 is outside of home_net"}},
		{"smtp_servers: [10.0.0.1, {ip: 10.0.0.1, role: nat}]", exitOK, []string{"warning: FILE:1:31: 10.0.0.1 is declared before as mailserver; the last role holds"}},
		{"allowed_relays: [0.0.0.0/0, 10.0.0.1]", exitOK, []string{
			"warning: FILE:1:18: 0.0.0.0/0 is all of the Internet",
			"warning: FILE:1:29: 10.0.0.1/32 has no effect: it is in 0.0.0.0/0",
			"warning: FILE:1:29: 10.0.0.1/32 is in home_net: declare a mail server of yours"}},
		{"ignore: [{ip: 10.0.0.0/8, why: x}, {ip: 10.2.0.0/16, why: y}]", exitOK, []string{
			"warning: FILE:1:15: 10.0.0.0/8 has a whole network of home_net in it",
			"warning: FILE:1:41: 10.2.0.0/16 has no effect: the exception for 10.0.0.0/8 covers it"}},
		{"ignore: [{ip: 10.0.0.9, why: x, until: 2199-01-31}, {ip: 10.0.0.9/32, why: y}]", exitOK, []string{
			"warning: FILE:1:58: 10.0.0.9 is named before, until 2199-01-31: this entry has no effect until then; keep one of the two"}},
		{"ignore: [{ip: 10.0.0.9, why: x}, {ip: 10.0.0.9, why: y, until: 2199-01-31}]", exitOK, []string{
			"warning: FILE:1:39: 10.0.0.9/32 has no effect: the exception for 10.0.0.9/32 covers it"}},
		{"home_net: [10.0.0.0/8]\nignore: [{ip: 8.8.8.8, why: x}]", exitOK, []string{"warning: FILE:2:15: 8.8.8.8/32 is outside of home_net: its hosts are not judged"}},
		{"local_domains: [a.example.org, example.org]", exitOK, []string{"warning: FILE:1:17: a.example.org has no effect: example.org includes it"}},
		{"state: {every: 5s}", exitOK, []string{"warning: FILE:1:16: this has no effect without state.dir"}},
	} {
		name := fmt.Sprintf("%s/%d.yaml", dir, i)
		written(t, name, strings.ReplaceAll(c.text, "DIR", dir))
		code, out, said := checked(t, "check", "-c", name)
		if code != c.code || (code == exitOK) != (out == "the configuration is good ("+name+")\n") {
			t.Errorf("%s: exit code %d, want %d: %s%s", c.text, code, c.code, out, said)
		}
		if c.want == nil && said != "" {
			t.Errorf("%s: %s", c.text, said)
		}
		rest := said
		for _, want := range c.want {
			want = strings.ReplaceAll(strings.ReplaceAll(want, "FILE", name), "DIR", dir)
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("%s: %q is not in %s", c.text, want, said)
			}
			rest = after
		}
		if faults := strings.Count(said, name+":"); faults != len(c.want) {
			t.Errorf("%s: %d faults, want %d: %s", c.text, faults, len(c.want), said)
		}
	}
}

// TestUnknownKeys checks that every unknown key of a file is named with its place, and a value of a
// wrong type beside them.
func TestUnknownKeys(t *testing.T) {
	text := "home_nets: [10.0.0.0/8]\nlog: {levl: info}\nignore:\n  - {ip: 10.0.0.1, wy: x}\nsmtp_servers: [10.0.0.2, &a {ip: 10.0.0.3, nam: x}, *a]\ndetect: {alpha: much}\n"
	name := written(t, t.TempDir()+"/a.yaml", text)
	code, _, said := checked(t, "check", "-c", name)
	want := []string{`:1:1: there is no setting "home_nets" here; did you mean "home_net"?`, ">  1 | home_nets",
		`:2:7: there is no setting "levl" here; did you mean "level"?`, ">  2 | log",
		`:4:20: there is no setting "wy" here; did you mean "why"?`, ">  4 | ",
		`:5:44: there is no setting "nam" here; did you mean "name"?`, ">  5 | ",
		`:6:17: "much" is not a number`, ">  6 | "}
	rest := said
	for _, w := range want {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Errorf("%q is not in %s", w, said)
		}
		rest = after
	}
	if n := strings.Count(said, name+":"); code != exitUsage || n != 5 {
		t.Errorf("exit code %d, %d faults: %s", code, n, said)
	}
	var many strings.Builder
	for i := range maxUnknownKeys + 6 {
		fmt.Fprintf(&many, "k%d: 1\n", i)
	}
	written(t, name, many.String())
	_, _, said = checked(t, "check", "-c", name)
	if n := strings.Count(said, "there is no setting"); n != maxUnknownKeys || !strings.Contains(said, name+": 6 other keys are no settings either\n") {
		t.Errorf("%d are named: %s", n, said)
	}
}

// TestCheckPermission checks that a user who may not capture is told so. The test gives up its
// capability in a process of its own.
func TestCheckPermission(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	if os.Geteuid() != 0 || err != nil {
		t.Skip("needs root and setpriv, to give up CAP_NET_RAW")
	}
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, io.Discard, exec.Command(setpriv, "--bounding-set=-net_raw", "--inh-caps=-net_raw", name, "check", "-i", "lo"))
	if code := p.code(); code != exitUsage || !strings.Contains(p.stderr.String(),
		"-i: capture.interfaces: this user may not capture: operation not permitted (sudo, ") {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

// TestCheckJSON checks the list of faults for programs.
func TestCheckJSON(t *testing.T) {
	name := written(t, t.TempDir()+"/a.yaml", "home_net: [10.0.0.0/8, x]\nignore: [{ip: 10.0.0.1, why: x, until: 2020-01-31}]\n")
	code, out, said := checked(t, "check", "-o", "json", "-c", name)
	var got checkResult
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitUsage || said != "" {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, said)
	}
	want := fault{Severity: "error", File: name, Line: 1, Column: 24, Key: "home_net[1]", Text: `"x" is not a network (try 192.0.2.0/24)`}
	if got.Good || len(got.Faults) != 1 || *got.Faults[0] != want {
		t.Errorf("%s", out)
	}
	written(t, name, "ignore: [{ip: 10.0.0.1, why: x, until: 2020-01-31}]\n")
	code, out, _ = checked(t, "check", "-o", "json", "-c", name)
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK || !got.Good ||
		len(got.Faults) != 1 || got.Faults[0].Severity != "warning" || got.Faults[0].Line != 1 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	if code, out, _ = checked(t, "check", "-o", "json"); code != exitOK || !strings.Contains(out, `"faults": []`) {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestCheckPrint checks that the printed settings name their origin, and that, read as a
// configuration, they are the same settings.
func TestCheckPrint(t *testing.T) {
	dir := t.TempDir()
	odd := written(t, dir+"/odd.yaml", `sensor: {name: "a: b # 'c' \u001b[31m\n\t\"d\""}
home_net: 10.0.0.0/8
smtp_servers: [10.0.0.25, {ip: 10.0.0.26, role: bulk}]
ignore: [{ip: 10.0.0.9, why: "- yes: 'no' # \u202e"}]
capture: {separate_vlans: true, ports: [25, 2500-2502], fanout: 2}
output: {sessions: all, source_interval: 1h30m}
detect: {alpha: 0.00001, fast_time: 1h}
`)
	for _, c := range []struct {
		args string
		want []string // lines of the output
	}{
		{"", []string{"home_net: [] # default: the private networks, the networks of this machine, and those on the captured link",
			"  fast_time: 5m # default", "  attempts: 0 # default: derived from limits.memory"}},
		{"-c " + odd, []string{"  - 10.0.0.0/8 # " + odd + ":2", "  - ip: 10.0.0.26 # " + odd + ":3",
			"    role: bulk # " + odd + ":3", "  fast_time: 1h # " + odd + ":7", "  level: info # default"}},
		{"-c " + exampleConfig + " --set output.file=\"-\" --set state.dir=" + dir + " --set control.group=\"\" -i lo", []string{"  buffer: 64MiB # " + exampleConfig + ":" + lineOf(t, exampleConfig, "  buffer: 64MiB"), "  file: \"-\" # --set"}},
		{"-c " + odd + " --home 192.168.0.0/16,fd00::/8 --mail-server 10.0.0.27 --local-domain example.org --set detect.alpha=0.001 -i lo",
			[]string{"  - 192.168.0.0/16 # --home", "  - ip: 10.0.0.27 # --mail-server", "  - example.org # --local-domain", "  alpha: 0.001 # --set", "    - lo # -i"}},
		{"--set home_net=[10.0.0.0/8] --set home_net=[10.1.0.0/16]", []string{"  - 10.1.0.0/16 # --set"}},
	} {
		args := strings.Fields(c.args)
		code, out, said := checked(t, append([]string{"check", "--print"}, args...)...)
		if code != exitOK {
			t.Errorf("%s: exit code %d: %s", c.args, code, said)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains("\n"+out, "\n"+want+"\n") {
				t.Errorf("%s: %q is not in\n%s", c.args, want, out)
			}
		}
		name := written(t, dir+"/printed.yaml", out)
		code, again, said := checked(t, "check", "--print", "-c", name)
		if code != exitOK || withoutOrigins(again) != withoutOrigins(out) {
			t.Errorf("%s: exit code %d %s: printed again:\n%s\nand not\n%s", c.args, code, said, again, out)
		}
		first, second := resolved(t, args), resolved(t, []string{"-c", name})
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s: printed and read again it is\n%+v\nand not\n%+v", c.args, second, first)
		}
	}
}

// lineOf is the number of the first line of a file that is this one.
func lineOf(t *testing.T, name, line string) string {
	t.Helper()
	i := slices.Index(strings.Split(readText(t, name), "\n"), line)
	if i < 0 {
		t.Fatalf("%s has no line %q", name, line)
	}
	return strconv.Itoa(i + 1)
}

// withoutOrigins cuts the comments off printed settings.
func withoutOrigins(text string) string {
	return regexp.MustCompile(`(?m) # [^#]*$`).ReplaceAllString(text, "")
}

// resolved are the settings that run has with options, in one form: the defaults are written out,
// and mail servers are roles.
func resolved(t *testing.T, args []string) config {
	t.Helper()
	var a app
	cmd := a.command()
	check, _, err := cmd.Find([]string{"check"})
	if err != nil {
		t.Fatal(err)
	}
	if err := check.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(&a.opt)
	if err != nil {
		t.Fatal(err)
	}
	f := c.inForce()
	c.completeForLive()
	for _, s := range c.engine.MailServers {
		c.engine.Roles = append(c.engine.Roles, peer.Role{Addr: s, Kind: "mailserver"})
	}
	c.engine.MailServers = nil
	e := engine.Config{Home: c.engine.Home, HomeStated: c.engine.HomeStated, Roles: c.engine.Roles,
		Ports: c.engine.Ports, AllowedRelays: c.engine.AllowedRelays, NAT64: c.engine.NAT64,
		Ignore: c.engine.Ignore, LocalDomains: c.engine.LocalDomains, Detect: c.engine.Detect,
		SeparateVLANs: c.engine.SeparateVLANs, SeparateTunnels: c.engine.SeparateTunnels,
		Limits: c.engine.Limits, ShowSenders: c.engine.ShowSenders,
		AllSessions: c.engine.AllSessions, SourceInterval: c.engine.SourceInterval}
	return config{name: c.name, memory: c.memory, workers: c.workers, evidence: c.evidence, engine: e,
		file: fileConfig{Capture: f.Capture, Evidence: f.Evidence, Limits: f.Limits, Output: f.Output, State: f.State, Log: f.Log}}
}
