package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
)

// exitGone is the exit code when the stream of a run has ended: a supervisor should start both ends
// again.
const exitGone = 75

// liveSource delivers frames while they arrive: an interface (capture.Live), or a capture that
// another program writes (capture.Stream).
type liveSource interface {
	Next() (*capture.Batch, error)
	Drain(take func(*capture.Batch))
	Input(uint16) string
	Problem() string
	Method() capture.Method
	Stats() capture.Stats
	Close() error
}

// liveSources are the sources of a run: several for one interface where capture.fanout shares its
// frames among goroutines.
type liveSources [][]liveSource

// Stats adds up the counters of all interfaces.
func (l liveSources) Stats() (t capture.Stats) {
	for _, sharers := range l {
		t.Add(sharedStats(sharers))
	}
	return t
}

// sharedStats are the counters of one interface. Each of the sources that share it has its own
// frames, and counts the interface's own counters and errors as a whole.
func sharedStats(sharers []liveSource) (t capture.Stats) {
	for _, s := range sharers {
		n := s.Stats()
		before := t
		t.Add(n)
		t.InterfaceDrops = max(before.InterfaceDrops, n.InterfaceDrops)
		t.Errors = max(before.Errors, n.Errors)
		t.Arrived = max(before.Arrived, n.Arrived)
	}
	return t
}

// states are what is known of each interface at the moment.
func (l liveSources) states() []inputState {
	list := make([]inputState, len(l))
	for i, sharers := range l {
		problem := ""
		for _, s := range sharers {
			problem = cmp.Or(problem, s.Problem())
		}
		list[i] = inputState{name: l.Input(uint16(i)), problem: problem,
			stats: sharedStats(sharers)}
		if s, ok := sharers[0].(*capture.Stream); ok {
			list[i].stream, list[i].stats.Frames = true, s.Passed()
		}
	}
	return list
}

// inFlight bounds the frames on their way to the engine.
func (l liveSources) inFlight() (n int64) {
	for _, s := range slices.Concat(l...) {
		if _, ok := s.(*capture.Stream); ok {
			n += capture.StreamBatch
		} else {
			n += capture.LiveBatch
		}
	}
	return n
}

// Input returns the name of an interface by its number.
func (l liveSources) Input(from uint16) string { return l[from][0].Input(0) }

// methods says how each interface is captured, for the log.
func (l liveSources) methods() (list []string) {
	for _, sharers := range l {
		list = append(list, string(cmp.Or(sharers[0].Method(), "waiting")))
	}
	return list
}

// workers makes a worker of the engine for each source.
func (l liveSources) workers(e *engine.Engine) (list []*engine.Worker) {
	for range slices.Concat(l...) {
		list = append(list, e.Worker())
	}
	return list
}

// isStream reports whether -i names a stream and no interface: - is standard input, and a name with
// a slash is a named pipe.
func isStream(name string) bool { return name == "-" || strings.Contains(name, "/") }

// streamName returns the stream among the sources of the configuration, "" if there is none.
func (c *config) streamName() string {
	for _, name := range c.interfaces {
		if isStream(name) {
			return name
		}
	}
	return ""
}

// checkSources refuses a run without a source, and what a stream cannot have.
func (c *config) checkSources() error {
	name := c.streamName()
	switch {
	case len(c.interfaces) == 0:
		return errors.New("no interface to listen on: -i IF, or " +
			"capture.interfaces in the configuration (spamsensor interfaces lists them)")
	case name == "":
		return nil
	case len(c.interfaces) > 1:
		return fmt.Errorf("-i %s: a stream is the only source of a run, because its times are "+
			"those of another machine; start a second spamsensor for the others", printable(name))
	case c.fanout > 1:
		return fmt.Errorf("capture.fanout: a stream cannot be shared among %d sockets", c.fanout)
	case name == "-":
		return nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("-i %s: %w", printable(name), errors.Unwrap(err))
	case info.Mode().IsRegular():
		return fmt.Errorf("-i %s: this is a file; spamsensor read analyses it", printable(name))
	case info.Mode()&fs.ModeNamedPipe == 0:
		return fmt.Errorf("-i %s: this is no named pipe (mkfifo makes one)", printable(name))
	}
	return nil
}

// openSources opens the interfaces, or the stream, of a run.
func (a *app) openSources(cfg *config, w *watchdog) (liveSources, error) {
	if cfg.streamName() != "" {
		return a.openStream(cfg, w)
	}
	return openInterfaces(cfg)
}

// openStream opens the stream of a run. It does not wait for the sender. Its reader is a job of the
// watchdog while it works on what it has.
func (a *app) openStream(cfg *config, w *watchdog) (liveSources, error) {
	c := capture.StreamConfig{Name: "standard input", Reader: onlyReader{a.stdin},
		KnownLink: engine.KnownLink, Prefilter: engine.Prefilter(cfg.engine.Ports),
		Untimed: engine.Untimed}
	name := cfg.streamName()
	if name != "-" {
		// The flag keeps the call from waiting for a writer.
		f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, exit(exitUsage, fmt.Errorf("-i %s: %w", printable(name),
				errors.Unwrap(err)))
		}
		c.Name, c.Reader, c.Reopened = printable(name), f, true
	} else if isTerminal(a.stdin) {
		return nil, exit(exitUsage, errors.New("-i -: standard input is a terminal; pipe a "+
			"capture into it: tcpdump -i IF -U -s0 -w - | spamsensor run -i -"))
	}
	steps := w.add("the reading of the stream", new(atomic.Uint64), false)
	c.Working = func(on bool) {
		if on {
			steps.begin()
		} else {
			steps.end()
		}
	}
	return liveSources{{capture.OpenStream(c)}}, nil
}

// onlyReader is a reader that nobody closes.
type onlyReader struct{ io.Reader }

// endOfStream gives the end of a stream its exit code. A fault at the end of the run goes first;
// nil is a run that a signal has ended.
func endOfStream(end *capture.StreamError, fault error) error {
	var failed *exitError
	switch {
	case end == nil:
		return fault
	case errors.As(fault, &failed):
		return exit(failed.code, errors.Join(end, fault))
	case fault != nil:
		return errors.Join(end, fault)
	case end.NoCapture:
		return exit(exitUsage, end)
	}
	return exit(exitGone, end)
}
