package capture

import "runtime/debug"

// ending is how a function came to its end.
type ending uint8

const (
	whole    ending = iota
	faulted         // memory that it read is not there: the file was cut after it was mapped
	panicked        // by a fault in our code, for which no frame may end the sensor
)

// attempt calls f and says how it ended.
func attempt(f func()) (e ending) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// Reading near address zero is no page that went away but a nil pointer.
			if fault, ok := r.(interface{ Addr() uintptr }); ok && fault.Addr() >= 4096 {
				e = faulted
			} else {
				e = panicked
			}
		}
	}()
	f()
	return whole
}

// walk calls f, which adds frames to the chunk and can be called again where it stopped. A prefilter that
// panics is taken away for the rest of the chunk: who takes the frames meets the same frame, with
// a guard of his own, and counts it. An error says that it was not the prefilter.
func (c *chunk) walk(f func() error) (err error) {
	for {
		sifted := c.prefilter != nil
		switch attempt(func() { err = f() }) {
		case whole:
			return err
		case faulted:
			return errShrunk
		}
		if !sifted {
			return errFault
		}
		c.prefilter = nil
	}
}
