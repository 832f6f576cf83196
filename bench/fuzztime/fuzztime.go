// Package fuzztime makes fuzz targets fail on inputs that take too long.
//
// The bound is the bound of goal R4: a microsecond for each byte, and 10 ms. It is generous: the
// code under test takes nanoseconds for a byte, and the other work of the targets (references,
// files) is within the bound as well. The bound finds an input that costs much more than its size
// explains. It does not find costs that grow faster than sizes: the tests of packages smtpsniff and
// engine that double an input do. Time is the processor time of the process, or the elapsed time if
// that is less, so that other programs and other tests make little difference.
package fuzztime

import (
	"syscall"
	"testing"
	"time"
)

const (
	perByte = time.Microsecond
	fixed   = 10 * time.Millisecond
	// retries is the number of repetitions of a run that was too slow: the garbage collector may
	// have run at the same time.
	retries = 3
)

// Check runs work. If it is too slow, Check repeats it, at most three times; t fails if it was too
// slow each time. work returns the number of bytes that it has worked on, must do the same each
// time, and may fail t itself.
func Check(t testing.TB, work func() (bytes int)) {
	t.Helper()
	var took, limit time.Duration
	for range 1 + retries {
		began, cpu := time.Now(), ProcessorTime()
		n := work()
		took, limit = min(time.Since(began), ProcessorTime()-cpu),
			slack*(fixed+time.Duration(n)*perByte)
		if took <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("too slow: %v, the bound is %v", took, limit)
}

// ProcessorTime is the processor time that this process has used, in user and system mode. Unlike
// the elapsed time it does not depend on the load of the machine.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
