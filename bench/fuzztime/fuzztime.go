// Package fuzztime has fuzz targets fail on inputs that take too long.
//
// The bound is that of goal R4: a microsecond for each byte, and 10 ms. It is generous: the code
// under test takes nanoseconds for a byte, and what targets do beside it (references, files) is
// within the bound as well. What it finds is an input that costs much more than its size explains.
// Whether costs grow faster than sizes is for tests that double an input; see packages smtpsniff
// and engine. Time is what the process has of the processors, or what has gone by if that is less,
// so that other programs and other tests make little difference.
package fuzztime

import (
	"syscall"
	"testing"
	"time"
)

const (
	perByte = time.Microsecond
	apart   = 10 * time.Millisecond
	// again is how often a run that was too slow is repeated: the collector may have been at work.
	again = 3
)

// Check runs work, and again up to three times as long as it is too slow; t fails if it was too
// slow each time. work says on how many bytes it has worked, must do the same each time, and may
// fail t itself.
func Check(t testing.TB, work func() (bytes int)) {
	t.Helper()
	var took, limit time.Duration
	for range 1 + again {
		began, cpu := time.Now(), ProcessorTime()
		n := work()
		took, limit = min(time.Since(began), ProcessorTime()-cpu),
			slack*(apart+time.Duration(n)*perByte)
		if took <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("too slow: %v, the bound is %v", took, limit)
}

// ProcessorTime is what this process has had of the processors: the machine may be busy with
// others.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
