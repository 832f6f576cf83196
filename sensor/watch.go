package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"spamsensor/sensor/event"
)

// A loop without an end, or locks that wait for each other, would stop the sensor without a word:
// no panic is raised, and SIGTERM waits for a batch that never ends. So a goroutine of its own
// looks, four times a second, whether what is being worked on makes progress, and ends the process
// where it does not: exit code 70, the stacks of all goroutines on standard error, the events that
// wait written.
//
// What counts is work in hand. A worker without a batch, one that waits for room in the output, and
// a reader that waits for its input are not stuck. A process that was stopped or a machine that
// slept is not either: what a look adds is bounded, however late it comes.
const (
	lookEvery = 250 * time.Millisecond
	// maxLook bounds what one look adds.
	maxLook = 2 * lookEvery
	// stuckAfter is how long a batch may be without progress, stuckClosing the same after SIGTERM.
	stuckAfter, stuckClosing = 5 * time.Second, 2 * time.Second
	// maxClosing bounds the work after SIGTERM, with progress or without. What waits for
	// the output does not count; the queue of events has a limit for that.
	maxClosing = 20 * time.Second
	// lastWords bounds the writing of the stacks and of the events that wait.
	lastWords = 1500 * time.Millisecond
)

// job is something that works on one batch after the other.
type job struct {
	name  string
	turns atomic.Uint64  // odd while it has a batch
	moved *atomic.Uint64 // progress within a batch
	// waits says that the job may wait for its input in the middle of a batch: only time in
	// which the process computes counts.
	waits bool

	// Of the goroutine that looks.
	seen, seenMoved uint64
	stuck           time.Duration
}

// begin and end enclose the work on a batch.
func (j *job) begin() { j.turns.Add(1) }
func (j *job) end()   { j.turns.Add(1) }

// watch looks after the jobs of a command.
type watch struct {
	stderr  io.Writer
	mu      sync.Mutex
	jobs    []*job
	queue   *event.Queue // nil without events
	closing time.Duration
}

// watchOver starts to look until the command ends; stop is to be called then. ctx ends with
// SIGTERM.
func watchOver(ctx context.Context, stderr io.Writer) (w *watch, stop func()) {
	w = &watch{stderr: stderr}
	over := make(chan struct{})
	go w.run(ctx, over)
	return w, sync.OnceFunc(func() { close(over) })
}

// add makes a job; a nil watch makes one that nobody looks after.
func (w *watch) add(name string, moved *atomic.Uint64, waits bool) *job {
	j := &job{name: name, moved: moved, waits: waits}
	if w == nil {
		return j
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, j)
	return j
}

// output names the queue for which jobs may wait.
func (w *watch) output(q *event.Queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = q
}

func (w *watch) run(ctx context.Context, over <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last, lastCPU := time.Now(), cpuTime()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now, cpu := time.Now(), cpuTime()
		w.mu.Lock()
		what := w.look(now.Sub(last), cpu-lastCPU, w.queue != nil && w.queue.Blocked(), ctx.Err() != nil)
		w.mu.Unlock()
		if what != "" {
			w.giveUp(what)
		}
		last, lastCPU = now, cpu
	}
}

// look takes in that some time has passed since the last look, and how much of the processor the
// process had in it. The result says what is stuck; it is empty if nothing is.
func (w *watch) look(passed, cpu time.Duration, blocked, closing bool) string {
	passed = min(passed, maxLook)
	limit := stuckAfter
	if closing {
		limit = stuckClosing
	}
	busy := false
	for _, j := range w.jobs {
		turns, moved := j.turns.Load(), j.moved.Load()
		same := turns == j.seen && moved == j.seenMoved
		if turns%2 == 0 || !same {
			j.stuck = 0
		}
		j.seen, j.seenMoved = turns, moved
		if turns%2 == 0 || blocked {
			continue
		}
		busy = busy || !j.waits
		if !same {
			continue
		}
		if j.waits {
			j.stuck += min(passed, cpu)
		} else {
			j.stuck += passed
		}
		if j.stuck >= limit {
			return fmt.Sprintf("%s has made no progress for %v", j.name, j.stuck.Round(100*time.Millisecond))
		}
	}
	if closing && busy {
		if w.closing += passed; w.closing >= maxClosing {
			return fmt.Sprintf("the end was not reached %v after the signal", w.closing.Round(100*time.Millisecond))
		}
	}
	return ""
}

// giveUp ends the process.
func (w *watch) giveUp(what string) {
	said := make(chan struct{})
	go func() { // standard error may be a pipe that nobody reads
		defer close(said)
		fmt.Fprintf(w.stderr, "%s; this is a fault of spamsensor, please report it with what follows\n\n%s\n", what, stacks())
		if w.queue != nil {
			w.queue.Hurry()
			w.queue.Settle(lastWords / 2)
		}
	}()
	select {
	case <-said:
	case <-time.After(lastWords):
	}
	os.Exit(exitInternal)
}

// stacks are those of all goroutines, at most 1 MiB, without the arguments of functions: these may
// be bytes from the wire.
func stacks() []byte {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	lines := bytes.Split(b, []byte{'\n'})
	for i, l := range lines {
		if at := bytes.LastIndexByte(l, '('); at > 0 && l[0] != '\t' && bytes.HasSuffix(l, []byte{')'}) {
			lines[i] = append(l[:at:at], "(...)"...)
		}
	}
	return bytes.Join(lines, []byte{'\n'})
}

// cpuTime is how much of the processors the process has had.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
