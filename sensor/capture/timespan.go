package capture

import (
	"math"

	"spamsensor/sensor/frame"
)

// TimeSpan is a part of the time of an input. The zero value is all of it.
type TimeSpan struct {
	// Since is the first time, Until the first one behind the last, in ns since 1970 as
	// frame.ReadTime gives them; zero is no bound.
	Since, Until int64
	// Class is the class, in Batch.Skipped, of frames outside; it is below frame.Classes.
	Class uint8
}

// bounded reports whether the span is a part only.
func (s *TimeSpan) bounded() bool { return s.Since != 0 || s.Until != 0 }

// holds reports whether a frame with this time is wanted.
func (s *TimeSpan) holds(time int64) bool {
	return (s.Since == 0 || time >= s.Since) && (s.Until == 0 || time < s.Until)
}

// dropQueued drops the frames outside of the span from those that were read to find out the time
// of the first one: a stream cannot be read again. It reports whether there were any frames.
func (f *file) dropQueued() bool {
	if !f.only.bounded() || len(f.queue) == 0 {
		return false
	}
	kept := f.queue[:0]
	f.batch.first, f.batch.last = math.MaxInt64, 0
	for _, x := range f.queue {
		if !f.only.holds(x.Time) {
			f.batch.skipped[f.only.Class%frame.Classes]++
			continue
		}
		kept = append(kept, x)
		f.batch.first, f.batch.last = min(f.batch.first, x.Time), max(f.batch.last, x.Time)
	}
	if f.queue, f.batch.frames = kept, kept; len(kept) == 0 {
		f.batch.first = 0
	}
	return true
}
