package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"spamsensor/sensor/event"
)

// An endless loop or a deadlock would stop the sensor without a message: no panic is raised, and
// SIGTERM waits for a batch that never ends. So a goroutine of its own checks, once a second, and
// four times a second while there is work, whether the work in hand makes progress. If not, it ends
// the process: exit code 70, the stacks of all goroutines on standard error, waiting events
// written.
//
// Only work in hand counts. A worker without a batch, a worker that waits for room in the output,
// and a reader that waits for its input are not stalled. A process that was stopped and a machine
// that slept are not stalled either: one check adds at most maxCheckStep, however late it comes.
const (
	checkInterval = 250 * time.Millisecond
	// restInterval is the time between two checks while no job has a batch.
	restInterval = time.Second
	// maxCheckStep bounds the time that one check adds.
	maxCheckStep = 2 * checkInterval
	// stallLimit bounds the time of a batch without progress, closingStallLimit after SIGTERM.
	stallLimit, closingStallLimit = 5 * time.Second, 2 * time.Second
	// maxClosing bounds the work after SIGTERM, with progress or without. Time in which work waits
	// for the output does not count; the queue of events has a limit for that.
	maxClosing = 20 * time.Second
	// abortTime bounds the writing of the stacks and of the waiting events.
	abortTime = 1500 * time.Millisecond
)

// job is a part of the command that works on one batch after the other.
type job struct {
	name     string
	turns    atomic.Uint64  // odd while the job has a batch
	progress *atomic.Uint64 // counts steps within a batch
	// waits says that the job may wait for its input in the middle of a batch: only processor time
	// counts.
	waits bool

	// endless says that one batch follows the other, empty ones included: a job that rests is
	// stalled for the service manager.
	endless bool

	// The state of the goroutine that checks.
	seen, seenProgress uint64
	stalled            time.Duration
	// The state of progressed.
	before, beforeProgress uint64
}

// begin and end enclose the work on one batch.
func (j *job) begin() { j.turns.Add(1) }
func (j *job) end()   { j.turns.Add(1) }

// watchdog ends the process when a job of the command stalls.
type watchdog struct {
	stderr  io.Writer
	mu      sync.Mutex
	jobs    []*job
	queue   *event.Queue // nil without events
	closing time.Duration
}

// startWatchdog starts the goroutine that checks; stop ends it. The end of ctx is the signal to end
// the command: the shorter limits hold from then on.
func startWatchdog(ctx context.Context, stderr io.Writer) (w *watchdog, stop func()) {
	w = &watchdog{stderr: stderr}
	over := make(chan struct{})
	go w.run(ctx, over)
	return w, sync.OnceFunc(func() { close(over) })
}

// add makes a job. The job of a nil watchdog is never checked. progress counts steps in a batch.
func (w *watchdog) add(name string, progress *atomic.Uint64, waits bool) *job {
	j := &job{name: name, progress: progress, waits: waits}
	if w == nil {
		return j
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, j)
	return j
}

// expect says that a job is endless.
func (w *watchdog) expect(j *job) {
	if w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		j.endless = true
	}
}

// progressed reports whether each endless job, and each one with a batch, went on since the last
// call, or waits for the output.
func (w *watchdog) progressed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil && w.queue.Blocked() {
		return true
	}
	good := true
	for _, j := range w.jobs {
		turns, progress := j.turns.Load(), j.progress.Load()
		same := turns == j.before && progress == j.beforeProgress
		j.before, j.beforeProgress = turns, progress
		if same && !j.waits && (j.endless || turns%2 == 1) {
			good = false
		}
	}
	return good
}

// output sets the queue of events; jobs that wait for it are not stalled.
func (w *watchdog) output(q *event.Queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = q
}

func (w *watchdog) run(ctx context.Context, over <-chan struct{}) {
	next := time.NewTimer(checkInterval)
	defer next.Stop()
	last, lastCPU, ended := time.Now(), cpuTime(), ctx.Done()
	for {
		select {
		case <-over:
			return
		case <-ended:
			ended = nil // from now on there is work
		case <-next.C:
		}
		now, cpu := time.Now(), cpuTime()
		w.mu.Lock()
		blocked, closing := w.queue != nil && w.queue.Blocked(), ctx.Err() != nil
		what := w.check(now.Sub(last), cpu-lastCPU, blocked, closing)
		wait := checkInterval
		if !closing && !w.works() {
			wait = untilNext(restInterval)
		}
		w.mu.Unlock()
		if what != "" {
			w.abort(what)
		}
		last, lastCPU = now, cpu
		next.Reset(wait)
	}
}

// works reports whether a job had a batch at the last check. The caller holds the lock.
func (w *watchdog) works() bool {
	return slices.ContainsFunc(w.jobs, func(j *job) bool { return j.seen%2 == 1 })
}

// check judges the jobs after some time since the last check, and after the processor time of the
// process in it. The result describes a stalled job; it is empty if there is none.
func (w *watchdog) check(passed, cpu time.Duration, blocked, closing bool) string {
	passed = min(passed, maxCheckStep)
	limit := stallLimit
	if closing {
		limit = closingStallLimit
	}
	busy := false
	for _, j := range w.jobs {
		turns, progress := j.turns.Load(), j.progress.Load()
		same := turns == j.seen && progress == j.seenProgress
		if turns%2 == 0 || !same {
			j.stalled = 0
		}
		j.seen, j.seenProgress = turns, progress
		if turns%2 == 0 || blocked {
			continue
		}
		busy = busy || !j.waits
		if !same {
			continue
		}
		if j.waits {
			j.stalled += min(passed, cpu)
		} else {
			j.stalled += passed
		}
		if j.stalled >= limit {
			stalled := j.stalled.Round(100 * time.Millisecond)
			return fmt.Sprintf("%s has made no progress for %v", j.name, stalled)
		}
	}
	if closing && busy {
		if w.closing += passed; w.closing >= maxClosing {
			closing := w.closing.Round(100 * time.Millisecond)
			return fmt.Sprintf("the end was not reached %v after the signal", closing)
		}
	}
	return ""
}

// abort ends the process with exit code 70. It writes the stacks and the waiting events first, for
// at most abortTime.
func (w *watchdog) abort(what string) {
	written := make(chan struct{})
	go func() { // standard error may be a pipe that nobody reads
		defer close(written)
		fmt.Fprintf(w.stderr, "%s; this is a fault of spamsensor, "+
			"please report it with what follows\n\n%s\n", what, stacks())
		if w.queue != nil {
			w.queue.Hurry()
			w.queue.Flush(abortTime / 2)
		}
	}()
	select {
	case <-written:
	case <-time.After(abortTime):
	}
	os.Exit(exitInternal)
}

// stacks returns the stacks of all goroutines, at most 1 MiB, without the arguments of functions:
// these may be bytes from the wire.
func stacks() []byte {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	lines := bytes.Split(b, []byte{'\n'})
	for i, l := range lines {
		at := bytes.LastIndexByte(l, '(')
		if at > 0 && l[0] != '\t' && bytes.HasSuffix(l, []byte{')'}) {
			lines[i] = append(l[:at:at], "(...)"...)
		}
	}
	return bytes.Join(lines, []byte{'\n'})
}

// cpuTime returns the processor time of the process, of user and system together.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
