package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/event"
)

// The stats event comes once a minute, which is late for a fault that blinds or mutes the sensor:
// an interface that is down, no frames, an output that fails. So these are checked twice a second,
// and reported in an event and on standard error as well: the output of the events may be the
// fault.
const (
	// healthPollInterval is the time between two checks.
	healthPollInterval = 500 * time.Millisecond
	// silence bounds the time without a frame that the filter passes, deadSilence the time without
	// any frame: a mirror port brings at least the broadcasts of its network.
	silence, deadSilence = 60 * time.Second, 30 * time.Second
	// recoveryTime is the time without a loss after which an output has recovered.
	recoveryTime = 2 * time.Second
	// remindInterval is the time between two messages about an output that still fails.
	remindInterval = time.Minute
)

// lastArrival has the last change of two counters, and its time in nanoseconds since 1970.
type lastArrival struct {
	frames, arrived     uint64
	framesAt, arrivedAt int64
}

// silence raises no_packets when no frames come. now is the time of the machine, not of packets.
func (h *health) silence(now int64, c *capture.Stats) {
	q := &h.lastArrival
	if q.framesAt == 0 || c.Frames != q.frames {
		q.frames, q.framesAt = c.Frames, now
		h.arrivedAtLastFrame = c.Arrived
	}
	if q.arrivedAt == 0 || c.Arrived != q.arrived {
		q.arrived, q.arrivedAt = c.Arrived, now
	}
	since := time.Duration(now - q.framesAt)
	dead := time.Duration(now - max(q.framesAt, q.arrivedAt))
	arrived := c.Arrived - h.arrivedAtLastFrame
	h.noPackets(now, since >= silence || dead >= deadSilence, arrived)
}

// noPackets raises or clears the check. arrived counts the frames that the filter did not pass.
func (h *health) noPackets(now int64, bad bool, arrived uint64) {
	text := "no frame arrived since the last look"
	hint := "is the mirror session up? spamsensor interfaces shows the link"
	if arrived > 0 {
		text = fmt.Sprintf("%d frames arrived since the last look, and none of them is mail, "+
			"a DNS message, or opens a connection", arrived)
		hint = "is this the right mirror port? In IPsec, L2TP, GTP, CAPWAP and WireGuard " +
			"nobody can look for mail: mirror where it is outside of the tunnel"
	}
	h.set(now, "no_packets", bad, float64(arrived), 0, text, hint)
}

// links raises or clears the check of each interface. problems has a phrase for each interface that
// delivers no frames, and "" for the others.
func (h *health) links(now int64, names, problems []string) {
	for i, name := range names {
		h.setKey(now, "link "+name, "link", problems[i] != "", 0, 0,
			fmt.Sprintf("the interface %s %s", name, problems[i]),
			"nothing is seen there in the meantime; the sensor listens on as soon as it is back")
	}
}

// pollHealth checks interfaces, silence and output once, emits the changes and returns them.
func (p *pipeline) pollHealth(now int64, names, problems []string) (changes []event.Health) {
	p.engine.Between(func() {
		h := &p.health
		h.changes = nil
		c := p.sources()
		h.links(now, names, problems)
		h.silence(now, &c)
		h.output(now, p.queue)
		changes = h.changes
		for i := range changes {
			p.events.Health(now, &changes[i])
		}
	})
	return changes
}

// runHealthPoll checks at healthPollInterval until the context ends.
func (p *pipeline) runHealthPoll(ctx context.Context, sources liveSources, log zerolog.Logger) {
	tick := time.NewTicker(healthPollInterval)
	defer tick.Stop()
	messages := healthLog{log: log}
	names, problems := make([]string, len(sources)), make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Input(0)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i, s := range sources {
			problems[i] = s.Problem()
		}
		now := time.Now()
		messages.changes(now, p.pollHealth(now.UnixNano(), names, problems))
		if err := p.queue.Failing(); err != nil {
			_, dropped := p.queue.Totals()
			messages.outputFails(now, err, dropped)
		}
	}
}

// healthLog writes changes of health to standard error, at most maxLogLines a minute.
type healthLog struct {
	log       zerolog.Logger
	minute    time.Time // start of the minute in hand
	lines     int       // of this minute
	omitted   int       // lines beyond the limit, not yet reported
	failingAt time.Time // of the last message about the output
}

const maxLogLines = 12

func (s *healthLog) changes(now time.Time, changes []event.Health) {
	for i := range changes {
		h := &changes[i]
		if now.Sub(s.minute) >= time.Minute {
			s.minute, s.lines = now, 0
		}
		if s.lines++; s.lines > maxLogLines {
			s.omitted++
			continue
		}
		line := s.log.Warn()
		if h.State == "cleared" {
			line = s.log.Info()
		} else if h.Check == "output" {
			line, s.failingAt = s.log.Error(), now
		}
		if s.omitted > 0 {
			line, s.omitted = line.Int("lines_left_out", s.omitted), 0
		}
		line.Str("check", h.Check).Str("state", h.State).Msg(h.Text)
	}
}

// outputFails repeats the message about an output that still fails, once a minute.
func (s *healthLog) outputFails(now time.Time, err error, dropped event.Dropped) {
	if now.Sub(s.failingAt) < remindInterval {
		return
	}
	s.failingAt = now
	s.log.Error().Err(err).Str("lost", dropped.String()).Msg("events still cannot be written")
}

// pipeReplaced reports whether the output is a named pipe without a reader, and its name leads to
// another named pipe by now.
func (p *pipeline) pipeReplaced(name string) bool {
	former, ok := p.closer.(*os.File)
	if !ok || !errors.Is(p.queue.Failing(), syscall.EPIPE) {
		return false
	}
	was, errWas := former.Stat()
	is, errIs := os.Stat(name)
	return errWas == nil && errIs == nil && is.Mode()&fs.ModeNamedPipe != 0 && !os.SameFile(was, is)
}
