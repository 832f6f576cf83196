package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLive runs a short replay: all packets arrive, no tool drops packets at a low rate, and no
// namespace stays behind.
func TestLive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "w2.pcap")
	var out, errs bytes.Buffer
	if code := run([]string{"generate", "-mb", "1", "w2", file}, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	out.Reset()
	args := []string{"live", "-rounds", "1", "-duration", "200ms", "-rates", "20000", "-stall",
		"50ms", "-stall-at", "20000", file}
	if code := run(args, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if why := liveUnavailable(); why != "" {
		if !strings.Contains(out.String(), why) {
			t.Errorf("it does not say that %s", why)
		}
		t.Skip(why)
	}
	if n := len(regexp.MustCompile(`4000 +(spamsensor|tcpdump) +4000 +0 `).FindAllString(
		out.String(), -1)); n != 4 {
		t.Errorf("want four runs over 4000 packets without drops:\n%s", out.String())
	}
	names, _ := exec.Command("ip", "netns").Output()
	if strings.Contains(string(names), "spam-tx"+strconv.Itoa(os.Getpid())) {
		t.Error("the namespaces are still there")
	}
}

func TestLiveRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"-rates", "many", botPcap}, {"-rounds", "0", botPcap}} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"live"}, args...), &out, &errs); code == 0 {
			t.Errorf("%q is accepted", args)
		}
	}
}

// TestFirstDrops checks that drops begin at the lowest rate at which a run has drops; a stall does
// not count.
func TestFirstDrops(t *testing.T) {
	r := &liveResult{cases: []liveCase{
		{rate: 100, runs: [][]replay{{{rate: 100, captured: 9}, {rate: 100, captured: 9}}}},
		{rate: 300, runs: [][]replay{{{rate: 300, captured: 9},
			{rate: 300, captured: 5, dropped: 5}}}},
		{rate: 200, runs: [][]replay{{{rate: 200, captured: 9},
			{rate: 200, captured: 9, dropped: 1}}}},
		{rate: 50, stall: time.Second, runs: [][]replay{{{rate: 50, dropped: 7}}}},
	}}
	if rate, most := r.firstDrops(0); rate != 200 || most != 300 {
		t.Errorf("drops begin at %v of %v", rate, most)
	}
	if s := sumRuns(r.cases[1].runs[0]); s.dropShare() != 5.0/19 {
		t.Errorf("share %v", s.dropShare())
	}
}
