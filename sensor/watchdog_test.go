//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// loopInstead is the environment variable with which the test binary is the command with an endless
// worker that locks a shard; see TestMain. Its value is a file in which the worker writes first.
const loopInstead = "SPAMSENSOR_TEST_LOOP"

// looping starts the command with an endless worker. stuck waits until the worker has begun, at most
// for a time.
func looping(t *testing.T, stdout io.Writer, command ...string) (p *process, stuck func(time.Duration) bool) {
	t.Helper()
	marker := written(t, filepath.Join(t.TempDir(), "marker"), "")
	c := exec.Command(command[0], command[1:]...)
	c.Env = append(os.Environ(), loopInstead+"="+marker)
	return launch(t, stdout, c), func(most time.Duration) bool {
		for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if b, _ := os.ReadFile(marker); len(b) > 0 {
				return true
			}
		}
		return false
	}
}

// gaveUp checks the end of a process that was stuck.
func gaveUp(t *testing.T, p *process, since time.Time, most time.Duration) {
	t.Helper()
	code := p.code()
	if took := time.Since(since); code != exitInternal || took > most {
		t.Errorf("exit code %d after %v (want %d within %v): %s", code, took, exitInternal, most, p.stderr.String())
	}
	said := p.stderr.String()
	for _, want := range []string{"the work on a batch has made no progress for ", "please report it", "goroutine ", "process(...)", "process.go:"} {
		if !strings.Contains(said, want) {
			t.Errorf("standard error lacks %q:\n%.3000s", want, said)
		}
	}
}

// TestStuckWorker checks that an endless batch does not stop the sensor for ever: the process exits
// with the stacks of its goroutines, and SIGTERM ends it sooner.
func TestStuckWorker(t *testing.T) {
	file := testdata(t, "bot.pcap")
	path := filepath.Join(t.TempDir(), "bot.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []string{"1", "2"} {
		t.Run("read, workers="+workers, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			p, _ := looping(t, io.Discard, os.Args[0], "read", "-q", "--workers", workers, path)
			gaveUp(t, p, began, 10*time.Second)
			t.Logf("R17: read: a worker that loops ends the process after %.1f s (goal 10 s)", time.Since(began).Seconds())
		})
	}
	t.Run("read, SIGTERM", func(t *testing.T) {
		t.Parallel()
		p, stuck := looping(t, io.Discard, os.Args[0], "read", "-q", path)
		if !stuck(20 * time.Second) {
			t.Fatal("the worker did not begin")
		}
		began := time.Now()
		p.Process.Signal(syscall.SIGTERM)
		gaveUp(t, p, began, 5*time.Second)
	})
	t.Run("read, two signals", func(t *testing.T) {
		t.Parallel()
		p, stuck := looping(t, io.Discard, os.Args[0], "read", "-q", path)
		if !stuck(20 * time.Second) {
			t.Fatal("the worker did not begin")
		}
		began := time.Now()
		p.Process.Signal(syscall.SIGTERM)
		go func() { // one that comes before the first was obeyed is the first
			for range 9 {
				time.Sleep(100 * time.Millisecond)
				p.Process.Signal(syscall.SIGTERM)
			}
		}()
		p.Wait()
		if s := p.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || time.Since(began) > time.Second {
			t.Errorf("the second signal did not end it at once: %v after %v", p.ProcessState, time.Since(began))
		}
	})
	for _, signal := range []bool{false, true} {
		name, most := "live", 10*time.Second
		if signal {
			name, most = "live, SIGTERM", 5*time.Second
		}
		t.Run(name, func(t *testing.T) {
			ns := veth(t)
			var out bytes.Buffer
			p, stuck := looping(t, &out, "ip", "netns", "exec", ns, os.Args[0], "run", "-i", "v1", "-v")
			for tries := 0; !stuck(500 * time.Millisecond); tries++ { // until it listens
				if said, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-t", "-i", "v0", path).CombinedOutput(); err != nil || tries == 40 {
					t.Fatalf("the worker did not begin after %d captures: %v: %s", tries, err, said)
				}
			}
			began := time.Now()
			if signal {
				p.Process.Signal(syscall.SIGTERM)
			}
			gaveUp(t, p, began, most)
			t.Logf("R17: %s: a worker that loops ends the process after %.1f s (goal %v)", name, time.Since(began).Seconds(), most)
		})
	}
}

// A job that makes progress, or waits, is not stalled.
func TestWatch(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name                        string
		waits, moves, idle, blocked bool
		passed, cpu                 time.Duration // of one check
		looks                       int           // checks until it is stuck, 0 for never
		closing                     bool
		want                        string
	}{
		{name: "a batch without progress", passed: s / 4, cpu: s / 4, looks: 21, want: "no progress for 5s"},
		{name: "the same, where locks wait for each other", passed: s / 4, looks: 21, want: "no progress"},
		{name: "the same after SIGTERM", passed: s / 4, closing: true, looks: 9, want: "no progress for 2s"},
		{name: "progress", moves: true, passed: s / 4, cpu: s / 4},
		{name: "progress without an end after SIGTERM", moves: true, passed: s / 4, closing: true, looks: 80, want: "the end was not reached 20s after"},
		{name: "no batch", idle: true, passed: s / 4, cpu: s / 4},
		{name: "the output takes nothing", blocked: true, passed: s / 4},
		{name: "the output takes nothing after SIGTERM", blocked: true, closing: true, passed: s / 4},
		{name: "a reader that waits", waits: true, passed: s / 4},
		{name: "a reader that waits after SIGTERM", waits: true, closing: true, passed: s / 4},
		{name: "a reader that computes", waits: true, passed: s / 4, cpu: s / 4, looks: 21, want: "no progress for 5s"},
		{name: "a machine that slept for hours", passed: 3600 * s, looks: 11, want: "no progress for 5s"},
	} {
		w := new(watchdog)
		var moved atomic.Uint64
		j := w.add("it", &moved, c.waits)
		if !c.idle {
			j.begin()
		}
		n, what := 0, ""
		for n < 200 && what == "" {
			n++
			if c.moves {
				moved.Add(1)
			}
			what = w.check(c.passed, c.cpu, c.blocked, c.closing)
		}
		if c.looks == 0 && what != "" || c.looks != 0 && (n != c.looks || !strings.Contains(what, c.want)) {
			t.Errorf("%s: %q after %d looks, want %d", c.name, what, n, c.looks)
		}
	}
	w := new(watchdog)
	j := w.add("it", new(atomic.Uint64), false)
	for range 100 { // one batch after the other, each in progress at a check
		j.begin()
		if what := w.check(s/4, s/4, false, false); what != "" {
			t.Fatal(what)
		}
		j.end()
	}
}

// TestWatchdogRests checks that the watchdog looks seldom while no job has a batch, often from the
// look on that finds one, and at once when the command is to end.
func TestWatchdogRests(t *testing.T) {
	looks := func(began bool, closing bool) int {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, stop := startWatchdog(ctx, io.Discard)
		defer stop()
		progress := new(atomic.Uint64)
		j := w.add("a job", progress, false)
		if began {
			j.begin()
		}
		if closing {
			cancel()
		}
		n, last := 0, uint64(0)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			w.mu.Lock()
			if j.seenProgress != last {
				n, last = n+1, j.seenProgress
			}
			w.mu.Unlock()
			progress.Add(1)
		}
		return n
	}
	rest, work, end := looks(false, false), looks(true, false), looks(false, true)
	if rest < 2 || rest > 5 || work < 6 || end < 6 {
		t.Errorf("in 3 s it looked %d times without work, %d times with work, and %d times at the end", rest, work, end)
	}
}
