package fuzztime

import (
	"fmt"
	"testing"
	"time"
)

// recorder records failures.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Helper()                        {}
func (r *recorder) Failed() bool                   { return r.failed != "" }
func (r *recorder) Errorf(format string, a ...any) { r.failed = fmt.Sprintf(format, a...) }

// spin computes for a duration.
func spin(d time.Duration) {
	for began := ProcessorTime(); ProcessorTime()-began < d; {
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		what   string
		bytes  int
		takes  func(run int) time.Duration
		runs   int
		failed bool
	}{
		{"fast", 10, func(int) time.Duration { return 0 }, 1, false},
		{"slow once", 10, func(run int) time.Duration {
			return time.Duration(1-min(run, 1)) * slack * 30 * time.Millisecond
		}, 2, false},
		{"slow for its size", 10, func(int) time.Duration {
			return slack * 15 * time.Millisecond
		}, 4, true},
		{"large", 1_000_000, func(int) time.Duration { return slack * 15 * time.Millisecond }, 1,
			false},
	} {
		r, runs := &recorder{TB: t}, 0
		Check(r, func() int {
			spin(c.takes(runs))
			runs++
			return c.bytes
		})
		if runs != c.runs || r.Failed() != c.failed {
			t.Errorf("%s: %d runs, %q", c.what, runs, r.failed)
		}
	}
	r, runs := &recorder{TB: t}, 0
	Check(r, func() int { // a run with another failure is not repeated
		runs++
		spin(slack * 15 * time.Millisecond)
		r.Errorf("wrong")
		return 0
	})
	if runs != 1 || r.failed != "wrong" {
		t.Errorf("%d runs, %q", runs, r.failed)
	}
}
