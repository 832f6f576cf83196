package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const botPcap = "../sensor/testdata/bot.pcap"

// fakes puts scripts with the names of tools in front of the PATH.
func fakes(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text),
			0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// TestCompare runs the sensor and other tools on a small file: the result gives the reason if a
// tool fails, prints an error or takes too long, and no file stays behind.
func TestCompare(t *testing.T) {
	fakes(t, map[string]string{
		"argus":    "echo 'argus: cannot map the file' >&2; exit 3",
		"capinfos": "echo 'reading'; echo 'Error: 2 packets were left out' >&2",
		"nfpcapd":  "test $1 = -V || exec sleep 60",
	})
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	args := []string{"compare", "-rounds", "2", "-workers", "1", "-patience", "2s", "-only",
		"cat;argus;capinfos;nfpcapd", botPcap}
	var out, errs bytes.Buffer
	if code := run(append([]string{args[0], "-json"}, args[1:]...), &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var c comparison
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	f := c.Files[0]
	if f.Packets != 979 || f.Bytes < 100_000 || c.Machine.Memory == 0 || c.Machine.Cores == 0 {
		t.Errorf("%+v, %+v", f, c.Machine)
	}
	rows := map[string]row{}
	for _, r := range f.Rows {
		rows[r.Name] = r
	}
	for _, name := range []string{"spamsensor, 1 worker", "spamsensor with events, 1 worker",
		"cat"} {
		r := rows[name]
		if len(r.Runs) != 2 || r.Runs[0] == nil || r.Runs[1] == nil || r.Runs[1].Seconds <= 0 ||
			r.Failed != "" || r.ErrorLine != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if s := rows["spamsensor, 1 worker"].Runs[0]; s.CPU <= 0 ||
		s.RSS < 1<<20 && s.Seconds >= 2*sampleEvery.Seconds() {
		t.Errorf("the sensor took %+v", s)
	}
	for name, want := range map[string]string{"argus, filter": "exit status 3: argus: cannot " +
		"map the file", "nfpcapd, filter": "stopped after 2s"} {
		if r := rows[name]; r.Failed != want || r.Runs[0] != nil {
			t.Errorf("%s: %+v, want the reason %q", name, r, want)
		}
	}
	if r := rows["capinfos"]; r.ErrorLine != "Error: 2 packets were left out" || r.Runs[1] == nil {
		t.Errorf("what a peer says is lost: %+v", r)
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("%d files stay behind", len(left))
	}
}

func TestCompareRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"-rounds", "0", botPcap}, {"-only", "nonsense", botPcap},
		{"-json", "-markdown", botPcap}, {"-only", "cat", "nowhere.pcap"}} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"compare"}, args...), &out, &errs); code == 0 ||
			errs.Len() == 0 {
			t.Errorf("%q is accepted", args)
		}
	}
}

// twoRounds is a comparison with a disturbance of all tools in the second round.
func twoRounds() *comparison {
	at := func(a, b float64) []*sample {
		s := []*sample{{Seconds: a, CPU: a, RSS: 5e6}, {Seconds: b, CPU: a, RSS: 5e6}}
		if b == 0 {
			s[1] = nil
		}
		return s
	}
	return &comparison{Rounds: 2, Baselines: 1, Filter: mailFilter,
		Files: []*fileTimes{{Name: "x.pcap", Bytes: 1e6, Packets: 7, Rows: []row{
			{Name: "spamsensor", Runs: at(1, 4)}, {Name: "faster", Runs: at(0.5, 2)},
			{Name: "slow", Runs: at(30, 0)},
			{Name: "broken", Runs: at(1, 0)[1:], Failed: "it broke | here"},
		}}}}
}

func TestComparisonTables(t *testing.T) {
	var text, md strings.Builder
	c := twoRounds()
	c.Files[0].Rows[3].Runs = []*sample{nil, nil}
	if err := c.text(&text); err != nil {
		t.Fatal(err)
	}
	if err := c.markdown(&md); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"faster      1.25     0.50 to 2.00  0.50x",
		"slow        30.0     30.0 to 30.0  30.0x", "1 run", "it broke | here"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("there is no %q in\n%s", want, text.String())
		}
	}
	for _, want := range []string{"| slow | 30.0 | 30.0 to 30.0 | 30.0x | 30.0 | 5 | 1 run |",
		"| broken |  |  |  |  |  | it broke \\| here |", "|---|---:|"} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("there is no %q in\n%s", want, md.String())
		}
	}
}

// TestMemoryLimit checks that a command with too much memory is stopped, with the reason.
func TestMemoryLimit(t *testing.T) {
	_, _, err := measureCommand([]string{"sh", "-c", "sleep 10; true"}, t.TempDir(),
		limits{time.Minute, 1000})
	if err == nil || !strings.Contains(err.Error(), "stopped at 0.0 GB of memory") {
		t.Errorf("%v", err)
	}
}

func TestRoundsOfSlowTools(t *testing.T) {
	o := compareOptions{rounds: 5, slow: 20 * time.Second}
	for seconds, want := range map[float64]int{0.1: 5, 20: 5, 21: 3, 101: 1} {
		if got := o.roundsFor(seconds); got != want {
			t.Errorf("%v s: %d rounds, want %d", seconds, got, want)
		}
	}
}

// TestVersions checks that the version of each installed tool can be read.
func TestVersions(t *testing.T) {
	for _, c := range tools {
		if _, err := exec.LookPath(c.program()); err == nil &&
			version(c.program(), c.program()) == "" {
			t.Errorf("%s has no version", c.program())
		}
	}
}
