package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/corpus"
	"spamsensor/bench/fuzztime"
)

// TestClocksJump checks captures of a machine whose clock jumps: no duration is negative, nothing
// expires because of the jump, and the jump is reported.
func TestClocksJump(t *testing.T) {
	records := recordsOf(t, testdata(t, "deliveries.pcap"))
	half := len(records) / 2
	whole, _ := without(records, 0, 0)
	events, _, _ := readCapture(t, whole)
	want := brief(events)
	sec := func(r []byte, change func(uint32) uint32) { littleEndian.PutUint32(r, change(littleEndian.Uint32(r))) }
	plus := func(d int64) func(uint32) uint32 { return func(s uint32) uint32 { return uint32(int64(s) + d) } }
	set := func(to uint32) func(uint32) uint32 { return func(uint32) uint32 { return to } }
	const year = 365 * 86400
	for _, c := range []struct {
		name   string
		from   int // index of the first changed record; to is after the last
		to     int
		change func(r []byte)
	}{
		{"an hour back, one frame", half, half + 1, func(r []byte) { sec(r, plus(-3600)) }},
		{"an hour back for good", half, len(records), func(r []byte) { sec(r, plus(-3600)) }},
		{"an hour ahead, one frame", half, half + 1, func(r []byte) { sec(r, plus(3600)) }},
		{"zero, one frame", half, half + 1, func(r []byte) { sec(r, set(0)) }},
		{"zero, the first frame", 0, 1, func(r []byte) { sec(r, set(0)) }},
		{"zero, three frames", half, half + 3, func(r []byte) { sec(r, set(0)) }},
		{"2106, one frame", half, half + 1, func(r []byte) { sec(r, set(0xffffffff)) }},
		{"2106, the first frame", 0, 1, func(r []byte) { sec(r, set(0xffffffff)) }},
		{"2106, the last frame", len(records) - 1, len(records), func(r []byte) { sec(r, set(0xffffffff)) }},
		{"ten years ahead, one frame", half, half + 1, func(r []byte) { sec(r, plus(10*year)) }},
		{"ten years ahead, four frames", half, half + 4, func(r []byte) { sec(r, plus(10*year)) }},
		{"1.5 million microseconds", half, half + 20, func(r []byte) { littleEndian.PutUint32(r[4:], 1_500_000) }},
		{"4 billion microseconds", half, half + 1, func(r []byte) { littleEndian.PutUint32(r[4:], 0xffffffff) }},
	} {
		b := pcapHeader()
		for i, r := range records {
			if i >= c.from && i < c.to {
				r = slices.Clone(r)
				c.change(r)
			}
			b = append(b, r...)
		}
		events, code, stderr := readCapture(t, b)
		if code != exitOK {
			t.Errorf("%s: %d %s", c.name, code, stderr)
		}
		for _, e := range ofType(events, "session") {
			if e.Flow.Age < 0 {
				t.Errorf("%s: a session of %v s", c.name, e.Flow.Age)
			}
		}
		if got := brief(events); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, want)
		}
		flagged := false
		for _, e := range ofType(events, "health") {
			flagged = flagged || e.Health.Check == "clock"
		}
		if !flagged {
			t.Errorf("%s: nothing is said about the clock", c.name)
		}
	}
	t.Logf("R21: 13 kinds of jumps, no negative duration, nothing expired, all flagged (goal all)")
}

// brief is the sessions without their times.
func brief(events []emitted) string {
	var list []string
	for _, e := range ofType(events, "session") {
		list = append(list, fmt.Sprintf("%s:%d>%s %s %s %d messages", e.Src, e.SrcPort, e.Dest, e.Flow.State, e.Flow.Reason, e.SMTP.Messages))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestDeterminism checks that the same file gives the same bytes, for any number of workers, in
// every run.
func TestDeterminism(t *testing.T) {
	captures := map[string][]byte{"bot": testdata(t, "bot.pcap"), "many": pcapOf(dialogues(200, 3))}
	dir := t.TempDir()
	runs := 0
	for _, name := range sorted(captures) {
		path := filepath.Join(dir, name+".pcap")
		if err := os.WriteFile(path, captures[name], 0o600); err != nil {
			t.Fatal(err)
		}
		var first []byte
		for range 20 {
			for _, workers := range []string{"1", "2", "8"} {
				var out, errs bytes.Buffer
				if code := run(context.Background(), []string{"read", "--events", "-", "-q", "--workers", workers, path}, strings.NewReader(""), &out, &errs); code != exitOK {
					t.Fatal(errs.String())
				}
				if first == nil {
					first = out.Bytes()
				}
				if runs++; !bytes.Equal(first, out.Bytes()) {
					t.Fatalf("%s: run %d with %s workers gives other events", name, runs, workers)
				}
			}
		}
	}
	t.Logf("R29: %d runs over 1, 2 and 8 workers, identical (goal 20 runs each)", runs)
}

// mutated changes each byte of the frames with a probability of 2 %, like editcap -E 0.02.
func mutated(records [][]byte, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 3))
	b := pcapHeader()
	for _, r := range records {
		r = slices.Clone(r)
		for i := 16; i < len(r); i++ {
			if rng.IntN(50) == 0 {
				r[i] = byte(rng.Uint32())
			}
		}
		b = append(b, r...)
	}
	return b
}

// TestMutations reads captures with 2 % of their bytes changed: there is no panic and no endless
// loop, and the account balances. The headers of the file and of the records stay unchanged;
// FuzzFiles changes them.
func TestMutations(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.pcap")
	seeds := 10
	if dir := corpus.Find(); dir != "" {
		for _, p := range []string{"recorded/*.pcap", "mta/*.pcap"} {
			more, _ := filepath.Glob(filepath.Join(dir, p))
			files = append(files, more...)
		}
		seeds = 2
	}
	if long() {
		seeds = 30
	}
	n, slowest := 0, time.Duration(0)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) < 24 || littleEndian.Uint32(b) != 0xa1b2c3d4 || len(b) > 1<<20 && !long() {
			continue
		}
		link := slices.Clone(b[:24])
		records := recordsOf(t, b)
		for seed := range seeds {
			began := time.Now()
			capture := mutated(records, uint64(seed))
			copy(capture, link)
			events, code, stderr := readCapture(t, capture)
			took := time.Since(began)
			if took > 2*time.Second { // repeat: another program may have used the processor
				began = time.Now()
				readCapture(t, capture)
				took = time.Since(began)
			}
			slowest = max(slowest, took)
			e := lastStats(t, events)
			balanced(t, f, e)
			if code != exitOK || e.Panics > 0 || took > 2*time.Second && figures() {
				t.Errorf("%s with seed %d: exit code %d after %v, %d panics: %s", f, seed, code, took, e.Panics, stderr)
			}
			n++
		}
	}
	t.Logf("R3: %d mutated captures, 0 crashes, slowest %.2f s (goal 2100 at a release, 0, 2 s)", n, slowest.Seconds())
}

// TestConfigThatUnfolds checks that a small configuration cannot cause hours of work.
func TestConfigThatUnfolds(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for _, text := range []string{bomb, bomb + "home_net: *i\n", "home_net: [" + strings.Repeat("10.0.0.0/8,", 200_000) + "]"} {
		path := filepath.Join(t.TempDir(), "spamsensor.yaml")
		os.WriteFile(path, []byte(text), 0o600)
		began := time.Now()
		var errs bytes.Buffer
		if code := run(context.Background(), []string{"run", "-T", "-c", path}, strings.NewReader(""), io.Discard, &errs); code != exitUsage || !strings.Contains(errs.String(), "spamsensor.yaml") {
			t.Errorf("exit code %d: %.200s", code, errs.String())
		}
		if took := time.Since(began); took > 30*time.Second { // unfolded it takes days
			t.Errorf("it took %v", took)
		}
	}
}

// FuzzConfig passes any text as a configuration file: it is refused with a reason, or accepted.
func FuzzConfig(f *testing.F) {
	f.Add("home_net: [10.0.0.0/8, 2001:db8::/32]\nsmtp_servers:\n  - ip: 10.0.0.25\n    name: mail.example.org\ncapture:\n  interfaces: [eth1]\n  buffer: 128MiB\n  ports: [25, 465, 587, 2525-2530]\n")
	f.Add("detect:\n  fast_time: 5x\n")
	f.Add("home_net: &a [*a]\n")
	f.Add("limits: {attempts: -1, flows: 99999999999999999999}\nevidence: {mail_from: full, sessions_per_finding: 5}\n")
	f.Add("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n")
	path := filepath.Join(f.TempDir(), "spamsensor.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		fuzztime.Check(t, func() int {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			began := time.Now()
			code := run(context.Background(), []string{"run", "-T", "-c", path}, strings.NewReader(""), io.Discard, &errs)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%d bytes took %v", len(text), took)
			}
			if code != exitOK && code != exitUsage || code == exitUsage && errs.Len() == 0 {
				t.Errorf("exit code %d, %q", code, errs.String())
			}
			return len(text)
		})
	})
}
