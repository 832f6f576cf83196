// Package doctor examines a mirror port: it looks at a short sample of all frames, and says what
// keeps the sensor from seeing mail, how that was measured, and what to do.
//
// # Words
//
// A check is one question, such as whether both directions of connections are mirrored. Its answer
// is a [Line] with a [Level]. The worst line makes the [Verdict]. A remedy is a kind of change on
// the switch; for the switches in the table of switches.go the report has the lines to type.
//
// # How it works
//
//	frames  >  outer headers (sight.go)   ethertypes, VLANs, tunnels, addresses of stations
//	        >  wire.Decoder, all ports    connections, duplicates, checksums, home hosts
//	        >  counts  >  checks (judge*.go)  >  lines  >  verdict
//
// The decoder is the sensor's own, so that a tunnel counts as open if and only if the sensor opens
// it. All ports are its mail ports: what is true of connections to port 443 is true of those to 25.
//
// # What it does not do
//
// It does not read dialogues, does not judge hosts, and changes nothing. Frames come from any
// source; the package opens none. Memory is bounded: see the limits in flows.go.
package doctor

import (
	"context"
	"io"
	"net/netip"
	"time"

	"spamsensor/sensor/frame"
)

// Kind is the kind of the input.
type Kind string

// The kinds of inputs.
const (
	Interface Kind = "interface" // live, on this machine
	Stream    Kind = "stream"    // live, captured elsewhere
	File      Kind = "file"
)

// Config configures Examine.
type Config struct {
	Input string // name of the input, for people
	Kind  Kind   // required
	// For bounds the time of the examination. Zero means no bound.
	For time.Duration
	// Frames bounds the number of frames. Zero means no bound. Live, frames beyond it are taken
	// until AtLeast has passed: 5,000 frames of a fast link are there within 10 ms, in which hardly
	// a connection has two segments.
	Frames  int
	AtLeast time.Duration
	// Home are the networks of ours; HomeStated reports that somebody named them.
	Home       []netip.Prefix
	HomeStated bool
	// Ports are the mail ports.
	Ports []uint16
	// Link reads the state of the interface. It is called at the beginning and at the end. Nil
	// means that there is none.
	Link func() Link
	// Drops are the frames that the kernel and the interface dropped since the capture began. Nil
	// means that they are not known.
	Drops func() (kernel, iface uint64)
	// Machine is the state of this machine. Nil means that it does not matter.
	Machine *Machine
	// Switch names the system of the switch, a key of Systems. Empty means that it is found by
	// what the switch says about itself.
	Switch string
	// Now is the time in nanoseconds since 1970. Nil means that of the machine.
	Now func() int64
}

// Next returns frames, which are borrowed until the next call, and io.EOF at the end. Of live
// sources it returns at least every 100 ms; a stream may block.
type Next func() ([]frame.Frame, error)

// grace is how long Examine waits for a call of Next beyond the end of its time. A live source
// returns within 100 ms.
const grace = 300 * time.Millisecond

// Examine looks at frames until one of the bounds is reached, the source ends or ctx ends, and
// judges them. An error of the source is a line of the report. Next may still be running when
// Examine returns, if the source blocks.
func Examine(ctx context.Context, cfg Config, next Next) *Report {
	if cfg.Now == nil {
		cfg.Now = func() int64 { return time.Now().UnixNano() }
	}
	e := newExam(cfg)
	if cfg.Link != nil {
		e.linkBefore = cfg.Link()
	}
	began := time.Now()
	e.read(ctx, next)
	e.listened = time.Since(began)
	if cfg.Link != nil {
		e.link = cfg.Link()
	}
	if cfg.Drops != nil {
		e.kernelDrops, e.interfaceDrops = cfg.Drops()
	}
	return e.report()
}

// maxFast bounds the frames that are taken because of Config.AtLeast.
const maxFast = 200_000

// enough reports whether no more frames are to be taken. passed is the time since the beginning.
func (e *exam) enough(passed time.Duration) bool {
	most := uint64(e.cfg.Frames)
	if most == 0 || e.frames < most {
		return false
	}
	return passed >= e.cfg.AtLeast || e.frames >= maxFast
}

// taken is what one call of Next returned.
type taken struct {
	frames []frame.Frame
	err    error
}

// read gives the frames of the source to the exam. The source is called from another goroutine,
// because a stream may block for ever.
func (e *exam) read(ctx context.Context, next Next) {
	ask, answers := make(chan struct{}), make(chan taken, 1)
	defer close(ask)
	go func() {
		for range ask {
			frames, err := next()
			answers <- taken{frames, err}
		}
	}()
	if e.cfg.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.cfg.For)
		defer cancel()
	}
	for began := time.Now(); ctx.Err() == nil; {
		ask <- struct{}{}
		var a taken
		select {
		case a = <-answers:
		case <-ctx.Done():
			select {
			case a = <-answers:
			case <-time.After(grace):
				return
			}
		}
		for i := range a.frames {
			if e.enough(time.Since(began)) {
				return
			}
			e.add(&a.frames[i])
		}
		if a.err != nil {
			if a.err != io.EOF {
				e.readError = a.err
			}
			return
		}
	}
}
