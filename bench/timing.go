package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// sample is one run of a command.
type sample struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`    // user and system
	RSS     uint64  `json:"peak_rss_bytes"` // 0 if unknown
}

// failure is the reason why a command gave no time.
type failure string

func (f failure) Error() string { return string(f) }

// limits bound what a command may take before it is stopped. Some tools keep every flow of a flood,
// and would take all memory of the machine.
type limits struct {
	timeout time.Duration
	memory  uint64 // bytes
}

// measureCommand runs a command to its end and measures it. errorLine is the first line on its
// standard error that mentions an error although the command succeeded.
func measureCommand(args []string, dir string,
	limit limits) (s sample, errorLine string, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir
	// A file and not a pipe, which this process would have to read while the time runs.
	errs, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return s, "", err
	}
	defer errs.Close()
	c.Stderr = errs
	began := time.Now()
	if err := c.Start(); err != nil {
		return s, "", failure(err.Error())
	}
	stop := func(reason *atomic.Value, why string) {
		reason.Store(failure(why)) // before the command ends
		c.Process.Kill()
	}
	var timedOut, tooLarge atomic.Value
	timer := time.AfterFunc(limit.timeout,
		func() { stop(&timedOut, "stopped after "+limit.timeout.String()) })
	peak := samplePeak(c.Process.Pid, func(rss uint64) {
		if rss > limit.memory {
			stop(&tooLarge, fmt.Sprintf("stopped at %.1f GB of memory", float64(limit.memory)/1e9))
		}
	})
	err = c.Wait()
	s.Seconds = time.Since(began).Seconds()
	timer.Stop()
	s.RSS = peak()
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	s.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	switch rss := uint64(usage.Maxrss) << 10; {
	case rss > selfPeak():
		s.RSS = rss
	case s.Seconds < 2*sampleEvery.Seconds():
		s.RSS = 0
	}
	text := headAndTail(errs)
	switch exit := new(exec.ExitError); {
	case err != nil && tooLarge.Load() != nil:
		return s, "", tooLarge.Load().(failure)
	case err != nil && timedOut.Load() != nil:
		return s, "", timedOut.Load().(failure)
	case errors.As(err, &exit):
		return s, "", failure(fmt.Sprintf("%v: %s", exit, failureReason(text)))
	case err != nil:
		return s, "", err
	}
	return s, firstErrorLine(text), nil
}

// sampleEvery is the time between two samples of samplePeak.
const sampleEvery = 20 * time.Millisecond

// samplePeak samples a process's peak memory, and passes each sample to observe, until peak is
// called. The kernel's own account of a process that has ended begins with the memory of the
// process that started it, this one: for a small tool it is nothing else.
func samplePeak(pid int, observe func(rss uint64)) (peak func() uint64) {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var high uint64
		for {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if _, after, ok := strings.Cut(string(b), "VmHWM:"); ok {
				n, _ := strconv.ParseUint(strings.Fields(after)[0], 10, 64)
				high = max(high, n<<10)
				observe(high)
			}
			select {
			case <-stop:
				done <- high
				return
			case <-time.After(sampleEvery):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-done
	}
}

// selfPeak is the peak memory of this process in bytes, 0 if unknown.
func selfPeak() uint64 {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return uint64(use.Maxrss) << 10
}

// headAndTail is the beginning and the end of a file that may be long, 32 KiB of each.
func headAndTail(f *os.File) string {
	const part = 32 << 10
	head := make([]byte, part)
	n, _ := f.ReadAt(head, 0)
	text := string(head[:n])
	if info, err := f.Stat(); err == nil && info.Size() > part {
		tail := make([]byte, min(part, info.Size()-part))
		n, _ = f.ReadAt(tail, info.Size()-int64(len(tail)))
		text += "\n" + string(tail[:n])
	}
	return text
}

var errorWords = regexp.MustCompile(`(?i)\b(errors?|fatal|failed|failure|cannot|can't|could not|` +
	`couldn't|unable|denied|invalid|not found|no such|truncated|aborted)\b`)

// firstErrorLine is the first line of a text that mentions an error, "" if there is none.
func firstErrorLine(text string) string {
	for line := range strings.Lines(text) {
		if errorWords.MatchString(line) {
			return shortLine(line)
		}
	}
	return ""
}

// failureReason is the reason why a command failed: its first line about an error, or else its last
// line.
func failureReason(text string) string {
	if c := firstErrorLine(text); c != "" {
		return c
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return shortLine(lines[len(lines)-1])
}

// shortLine is a line with single spaces, cut after 160 bytes.
func shortLine(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	if len(line) > 160 {
		line = line[:160] + " ..."
	}
	return line
}

// fillPageCache reads a file, so that the next process that reads it finds it in the page cache.
func fillPageCache(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f},
		make([]byte, 256<<10))
	return err
}
