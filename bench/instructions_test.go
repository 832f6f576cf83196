package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const cachegrindOutput = `desc: I1 cache:         32768 B, 64 B, 8-way associative
cmd: ./spamsensor read w2.pcap
events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw
fl=/src/sensor/wire/wire.go
fn=spamsensor/sensor/wire.(*Decoder).Decode
12 100 1 0 20 3 2 10 1 1
13 50 0 0 4
fl=/src/sensor/wire/skip.go
fn=spamsensor/sensor/wire.(*Decoder).Skip
7 30
fn=spamsensor/smtpsniff.parse[go.shape.[]uint8]
8 20 2
fl=???
fn=runtime.memmove
0 300 0 0 0 0 0 90 9 4
summary: 500 3 0 24 3 2 100 10 5
`

func TestParseCachegrind(t *testing.T) {
	got, err := parseCachegrind(strings.NewReader(cachegrindOutput))
	if err != nil {
		t.Fatal(err)
	}
	want := functions{"spamsensor/sensor/wire.(*Decoder).Decode": {150, 1, 3},
		"spamsensor/sensor/wire.(*Decoder).Skip":       {30, 0, 0},
		"spamsensor/smtpsniff.parse[go.shape.[]uint8]": {20, 2, 0},
		"runtime.memmove": {300, 0, 4}}
	for name, c := range want {
		if got[name] != c {
			t.Errorf("%s: %v, want %v", name, got[name], c)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d functions: %v", len(got), got)
	}
	for name, text := range map[string]string{
		"empty":       "",
		"cut":         cachegrindOutput[:strings.Index(cachegrindOutput, "summary")],
		"line lost":   strings.Replace(cachegrindOutput, "7 30\n", "", 1),
		"no events":   strings.Replace(cachegrindOutput, "events: ", "event: ", 1),
		"no counts":   strings.Replace(cachegrindOutput, "events: Ir", "events: Dr", 1),
		"no number":   strings.Replace(cachegrindOutput, "7 30", "7 x", 1),
		"negative":    strings.Replace(cachegrindOutput, "7 30", "7 -30", 1),
		"too many":    strings.Replace(cachegrindOutput, "7 30", "7 30 0 0 0 0 0 0 0 0 0 0", 1),
		"wrong total": strings.Replace(cachegrindOutput, "summary: 500", "summary: 501", 1),
	} {
		if f, err := parseCachegrind(strings.NewReader(text)); err == nil {
			t.Errorf("%s is accepted: %v", name, f)
		}
	}
}

func TestStages(t *testing.T) {
	for function, want := range map[string]string{
		"spamsensor/sensor/wire.(*Decoder).Skip":                                  "sensor/wire",
		"spamsensor/sensor/flowtable.(*Pool[go.shape.struct { a/b.x int }]).Find": "sensor/flowtable",
		"spamsensor/smtpsniff.(*Session).reply":                                   "smtpsniff",
		"type:.eq.spamsensor/sensor/wire.fragmentKey":                             "sensor/wire",
		"main.run":             "sensor",
		"runtime.mallocgc":     stageOthers,
		"???":                  stageOthers,
		"example.org/mod.Call": stageOthers,
	} {
		if got := stage(function); got != want {
			t.Errorf("%s is of %s, want %s", function, got, want)
		}
	}
	small := functions{"main.main": {1000, 10, 10}, "spamsensor/sensor/wire.A": {100, 0, 0}}
	large := functions{"main.main": {1000, 10, 10}, "spamsensor/sensor/wire.A": {300, 20, 0},
		"spamsensor/sensor/wire.B": {50, 0, 5}, "runtime.main": {10, 0, 0}}
	got := perPacket(small, large, 10)
	for name, want := range (stages{"sensor": {}, "sensor/wire": {25, 2, 0.5},
		stageOthers: {1, 0, 0}, stageTotal: {26, 2, 0.5}}) {
		g := got[name]
		if math.Abs(g.instructions-want.instructions) > 1e-6 ||
			math.Abs(g.codeMisses-want.codeMisses) > 1e-6 ||
			math.Abs(g.dataMisses-want.dataMisses) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, g, want)
		}
	}
}

func TestBudget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "budget")
	measured := map[string]stages{"w1": {"sensor/wire": {40, 0, 0}, "sensor/tiny": {0.4, 0, 0}},
		"w2": {"sensor/wire": {200, 0, 0}, stageOthers: {1000, 1, 1}}}
	if err := writeBudget(file, measured); err != nil {
		t.Fatal(err)
	}
	b, err := readBudget(file)
	if err != nil || len(b) != 3 || b[budgetKey{"w2", stageOthers}] != 1000 {
		t.Fatalf("%v, %v", b, err)
	}
	if over := b.exceeded(measured); over != nil {
		t.Errorf("a budget is over itself: %q", over)
	}
	for _, c := range []struct {
		load, stage string
		n           float64
		over        bool
	}{
		{"w1", "sensor/wire", 49, false}, // more than 10 %, less than 10 instructions
		{"w1", "sensor/wire", 51, true},
		{"w2", stageOthers, 1090, false}, // the other way round
		{"w2", stageOthers, 1101, true},
		{"w2", "sensor/wire", 100, false},
		{"w3", "sensor/new", 9, false},
		{"w3", "sensor/new", 11, true},
	} {
		over := b.exceeded(map[string]stages{c.load: {c.stage: {c.n, 0, 0}}})
		if (len(over) == 1) != c.over || c.over && !strings.Contains(over[0], c.stage) {
			t.Errorf("%s, %s, %.0f instructions: %q", c.load, c.stage, c.n, over)
		}
	}
	for _, text := range []string{"w1 40", "w1 many sensor/wire", "w1 -1 sensor/wire"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := readBudget(file); err == nil {
			t.Errorf("%q is accepted: %v", text, b)
		}
	}
}

func TestPrintStages(t *testing.T) {
	var out bytes.Buffer
	printStages(&out, map[string]stages{"w1": {"sensor/wire": {40, 0, 0}, "sensor/tiny": {0.4, 0, 0}},
		"w2": {"sensor/wire": {200, 0.25, 0}, stageTotal: {1000, 1, 1}}},
		budget{{"w2", "sensor/wire"}: 210})
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{"total 0 0.00 0.00 1000 1.00 1.00 0 0.00 0.00",
		"sensor/wire 40 0.00 0.00 200 210 0.25 0.00 0 0.00 0.00"} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "tiny") {
		t.Error("a stage of less than an instruction has a row")
	}
}

// TestInstructions compares the sensor with its budget.
func TestInstructions(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"instructions", "w1"}, &out, &errs); code != 2 {
		t.Errorf("an argument is accepted with exit code %d", code)
	}
	if testing.Short() {
		t.Skip("a simulated processor takes minutes")
	}
	if _, err := exec.LookPath("valgrind"); err != nil {
		errs.Reset()
		code := run([]string{"instructions"}, &out, &errs)
		if code != 1 || !strings.Contains(errs.String(), errNoValgrind.Error()) {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
		t.Skip(errNoValgrind)
	}
	errs.Reset()
	code := run([]string{"instructions", "-budget", "testdata/instructions.budget"}, &out, &errs)
	if t.Logf("%s", out.String()); code != 0 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}
