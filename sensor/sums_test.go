package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spamsensor/bench/corpus"
	"spamsensor/bench/golden"
)

var everyWorkers = flag.Bool("every-workers", false, "read each capture with 1, 2 and 8 workers instead of 2")

// sumsFile has the sha256 of the events and of the report of each capture, one line each, in the
// format of sha256sum. The captures of this directory are always present; the corpus and the cases
// may be missing.
const sumsFile = "testdata/captures.sums"

// captures finds the files with frames below a directory, in order.
func captures(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), ".pcap") &&
			!strings.HasSuffix(path, ".json") { // the truth about a capture
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// readSum is the sum of the events and the report of a capture.
func readSum(path string, workers int) string {
	events, report, code := readWhole(filepath.Base(path), "--workers", strconv.Itoa(workers))
	h := sha256.New()
	fmt.Fprintf(h, "%sexit code %d\n%s", events, code, report)
	return hex.EncodeToString(h.Sum(nil))
}

// TestCaptureSums compares events and reports with the recorded sums: a change of the structure
// leaves each byte as it is. With -update the sums are written anew; the sums of missing captures
// stay.
func TestCaptureSums(t *testing.T) {
	want := map[string]string{}
	text, err := os.ReadFile(sumsFile)
	if err != nil && !golden.Update() {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			want[name] = sum
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	list := captures(t, "testdata")
	if dir := corpus.Find(); dir != "" {
		list = append(list, captures(t, dir)...)
		list = append(list, captures(t, filepath.Join(filepath.Dir(dir), "cases"))...)
	} else {
		t.Logf("the corpus of captures is missing: %d captures are compared", len(list))
	}
	workers := []int{2}
	if *everyWorkers {
		workers = []int{1, 2, 8}
	}
	got := map[string]string{}
	for _, path := range list {
		name := path
		if filepath.IsAbs(path) { // the last directory: paths depend on the machine
			name = filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
		}
		dir := filepath.Dir(path)
		if !filepath.IsAbs(path) {
			dir = filepath.Join(here, dir)
		}
		t.Chdir(dir)
		for _, n := range workers {
			sum := readSum(path, n)
			if last := got[name]; last != "" && last != sum {
				t.Errorf("%s: another result with %d workers", name, n)
			}
			got[name] = sum
		}
		switch {
		case golden.Update():
			want[name] = got[name]
		case want[name] == "":
			t.Logf("%s has no sum", name)
		case want[name] != got[name]:
			t.Errorf("%s: events or report differ from what they were", name)
		}
	}
	if !golden.Update() {
		return
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&out, "%s  %s\n", want[name], name)
	}
	if err := os.WriteFile(filepath.Join(here, sumsFile), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
