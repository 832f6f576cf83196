package capture

import "runtime/debug"

// completion is the way in which a guarded function ended.
type completion uint8

const (
	completed completion = iota
	faulted              // a page fault: the file was cut after it was mapped
	panicked             // a fault in our code; no frame may end the sensor
)

// guard calls f and reports how it ended.
func guard(f func()) (e completion) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// A fault near address zero is a nil pointer, not a page that went away.
			if fault, ok := r.(interface{ Addr() uintptr }); ok && fault.Addr() >= 4096 {
				e = faulted
			} else {
				e = panicked
			}
		}
	}()
	f()
	return completed
}

// walk calls f, which adds frames to the batch and can be called again where it stopped. After a
// panic the prefilter is off for the rest of the batch: the engine meets the same frame with a
// guard of its own, and counts it. An error means that the prefilter was not the cause.
func (c *recordBatch) walk(f func() error) (err error) {
	for {
		filtered := c.prefilter != nil
		switch guard(func() { err = f() }) {
		case completed:
			return err
		case faulted:
			return errShrunk
		}
		if !filtered {
			return errFault
		}
		c.prefilter = nil
	}
}
