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
	RSS     uint64  `json:"peak_rss_bytes"` // 0 where it could not be found out
}

// failure says why a command gave no time.
type failure string

func (f failure) Error() string { return string(f) }

// limits are what a command may take before it is stopped. Some peers keep every flow of a flood,
// and would take all memory of the machine.
type limits struct {
	timeout time.Duration
	memory  uint64 // bytes
}

// measureCommand runs a command to its end and measures it. said is the first line on its standard
// error that tells of an error although it succeeded.
func measureCommand(args []string, dir string,
	limit limits) (s sample, errorLine string, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir
	// A file and no pipe: nobody has to read along while the time runs.
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
		reason.Store(failure(why)) // before the end that it is the reason of
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

// sampleEvery is how often watch looks.
const sampleEvery = 20 * time.Millisecond

// samplePeak looks at a process's peak memory, and tells it, until the result is called. The
// kernel's own account of a process that has ended begins with the memory of who started it, us:
// for a small tool that is all it says.
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

// selfPeak is the most memory that this process had.
func selfPeak() uint64 {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return uint64(use.Maxrss) << 10
}

// headAndTail is the beginning and the end of a file that may be long.
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

// firstErrorLine is the first line that tells of an error; none is empty.
func firstErrorLine(text string) string {
	for line := range strings.Lines(text) {
		if errorWords.MatchString(line) {
			return shortLine(line)
		}
	}
	return ""
}

// failureReason is why a command failed: its first line about an error, or else its last line.
func failureReason(text string) string {
	if c := firstErrorLine(text); c != "" {
		return c
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return shortLine(lines[len(lines)-1])
}

func shortLine(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	if len(line) > 160 {
		line = line[:160] + " ..."
	}
	return line
}

// fillPageCache reads a file, so that whoever reads it next finds it in memory.
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
