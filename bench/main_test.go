package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-count", "2", "-workers", "1,2", "../sensor/testdata/bot.pcap"}, &out,
		&errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if n := strings.Count(out.String(), "BenchmarkRead/bot.pcap/workers="); n != 4 ||
		!strings.Contains(out.String(), "\t979\t") {
		t.Errorf("want four runs over 979 packets:\n%s", out.String())
	}
	out.Reset()
	run([]string{"-count", "1", "-workers", "1", "-detectors", "../sensor/testdata/bot.pcap"}, &out,
		&errs)
	if !strings.Contains(out.String(), "BenchmarkUnjudged/bot.pcap/workers=1") ||
		!strings.Contains(out.String(), "(median of 1 pairs)") {
		t.Errorf("no pair with and without the detectors:\n%s", out.String())
	}
	for _, args := range [][]string{nil, {"-nonsense"}, {"nowhere.pcap"},
		{"-workers", "none", "../sensor/testdata/bot.pcap"}} {
		if code := run(args, &out, &errs); code == 0 {
			t.Errorf("%q is accepted", args)
		}
	}
}
