package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsage checks that wrong options and settings are refused with a text that says what is wrong
// in the words of the user, and that the usual spellings are taken.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	over := filepath.Join(dir, "over.yaml")
	if err := os.WriteFile(over, []byte("ignore: [{ip: 10.0.0.1, why: test, until: 2020-01-01}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string // of standard error
	}{
		{"read -q --color bogus FILE", exitUsage, "--color bogus: want auto, always or never"},
		{"read -q --workers -3 FILE", exitUsage, "--workers -3: want 1 to 64"},
		{"read -q --workers 65 FILE", exitUsage, "--workers 65: want 1 to 64"},
		{"read -q --home 10.0.0.0/8,192.168.0.0/16 FILE", exitOK, ""},
		{"read -q --home 10.0.0.0/8,x FILE", exitUsage, `--home: "x" is not a network`},
		{"read -q --mail-server 192.0.2.1,192.0.2.2 FILE", exitOK, ""},
		{"read -q --local-domain a.example,b.example FILE", exitOK, ""},
		{"read -q --set home_net=10.0.0.0/8 FILE", exitOK, ""},
		{"read -q --set smtp_servers=[192.0.2.1] FILE", exitOK, ""},
		{"read -q --set smtp_servers=[{ip:192.0.2.3,rolle:x}] FILE", exitUsage, `did you mean "role"?`},
		{"read -q --set smtp_servers=192.0.2.1 FILE", exitUsage, "this is a list: write - before each entry"},
		{"read -q --set capture=5 FILE", exitUsage, "settings are missing here"},
		{"read -q --set detect.alpha=x FILE", exitUsage, `"x" is not a number`},
		{"read -q --set capture.workers=many FILE", exitUsage, `"many" is not a whole number`},
		{"read -q --set capture.separate_vlans=3 FILE", exitUsage, `"3" is not true or false`},
		{"read -q --set capture.workers=99999999999999999999 FILE", exitUsage, "is too large"},
		{"read -q --set limits.memory=500MB FILE", exitOK, ""},
		{"read -q --set limits.memory=0.5GiB FILE", exitOK, ""},
		{"read -q --set limits.memory=10MX FILE", exitUsage, `"10MX" is not a size (try 64MiB)`},
		{"read -q --set evidence.sessions_per_finding=-4 FILE", exitUsage, "-4 is no number of sessions"},
		{"read -q -c " + over + " FILE", exitOK, "over.yaml:1:43: the exception for 10.0.0.1 ended with 2020-01-01"},
		{"top", exitUsage, "top needs a terminal; for pipes and files there are: spamsensor sources"},
		{"top -r FILE", exitUsage, "top needs a terminal"},
		{"run -T -i lo", exitOK, ""},
		{"run -T -i lo,lo", exitUsage, "lo is named twice"},
		{"run -T -i none0", exitUsage, "there is no interface none0 (there are: "},
		{"run -T -i lo --set output.file=" + dir + "/a/events", exitUsage, "output.file: " + dir + "/a/events cannot be written"},
		{"run -T -i lo --set output.file=" + dir + "/events", exitOK, ""},
		{"run -T -i lo --set state.dir=" + dir + "/a/state", exitUsage, "state.dir: " + dir + "/a/state cannot be written"},
		{"run -T -i lo --set state.dir=" + dir, exitOK, ""},
	} {
		var out, errs bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(c.args, "FILE", "testdata/deliveries.pcap"))
		code := run(context.Background(), args, strings.NewReader(""), &out, &errs)
		said := errs.String()
		if code != c.code || !strings.Contains(said, c.want) || c.want == "" && said != "" {
			t.Errorf("%s: %d %s, want %d %s", c.args, code, said, c.code, c.want)
		}
		for _, word := range []string{"Go struct", "unmarshal", "sequence"} {
			if strings.Contains(said, word) {
				t.Errorf("%s: the words of a library: %s", c.args, said)
			}
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the check wrote something: %v %v", entries, err)
	}
}
