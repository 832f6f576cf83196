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

// The stats event comes once a minute, and is late for what ends the sensor's sight or its voice: a
// link that is down, nothing that arrives, an output that fails. So the sensor looks after these
// twice a second, and says them in an event and on standard error as well: the events may be what
// is broken.
const (
	// lookAround is how often that is.
	lookAround = 500 * time.Millisecond
	// silence is how long no frame of interest may come, deadSilence how long nothing at all may
	// arrive: a mirror port brings at least the broadcasts of its network.
	silence, deadSilence = 60 * time.Second, 30 * time.Second
	// calm is how long an output must have lost nothing before it is well again.
	calm = 2 * time.Second
	// remind is how often standard error is told of an output that still fails.
	remind = time.Minute
)

// quiet is since when nothing came, in nanoseconds of the wall.
type quiet struct {
	frames, arrived     uint64 // as of the last change
	framesAt, arrivedAt int64
}

// silence watches whether frames come.
func (h *health) silence(now int64, c *capture.Stats) {
	q := &h.quiet
	if q.framesAt == 0 || c.Frames != q.frames {
		q.frames, q.framesAt = c.Frames, now
		h.arrivedThen = c.Arrived
	}
	if q.arrivedAt == 0 || c.Arrived != q.arrived {
		q.arrived, q.arrivedAt = c.Arrived, now
	}
	since, dead := time.Duration(now-q.framesAt), time.Duration(now-max(q.framesAt, q.arrivedAt))
	arrived := c.Arrived - h.arrivedThen
	h.noPackets(now, since >= silence || dead >= deadSilence, arrived)
}

// noPackets says that nothing of interest came while so many frames arrived.
func (h *health) noPackets(now int64, bad bool, arrived uint64) {
	text, hint := "no frame arrived since the last look", "is the mirror session up? spamsensor interfaces shows the link"
	if arrived > 0 {
		text = fmt.Sprintf("%d frames arrived since the last look, and none of them is mail, a DNS message, or opens a connection", arrived)
		hint = "is this the right mirror port? In IPsec, L2TP, GTP, CAPWAP and WireGuard nobody can look for mail: mirror where it is outside of the tunnel"
	}
	h.set(now, "no_packets", bad, float64(arrived), 0, text, hint)
}

// links watches the interfaces: problems has a word for each that cannot bring frames.
func (h *health) links(now int64, names, problems []string) {
	for i, name := range names {
		h.setKey(now, "link "+name, "link", problems[i] != "", 0, 0, fmt.Sprintf("the interface %s %s", name, problems[i]),
			"nothing is seen there in the meantime; the sensor listens on as soon as it is back")
	}
}

// look does one look around and says what changed.
func (p *pipeline) look(now int64, names, problems []string) (changes []event.Health) {
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

// lookAround looks around until the context ends.
func (p *pipeline) lookAround(ctx context.Context, sources liveSources, log zerolog.Logger) {
	tick := time.NewTicker(lookAround)
	defer tick.Stop()
	say := speaker{log: log}
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
		say.all(now, p.look(now.UnixNano(), names, problems))
		if err := p.queue.Failing(); err != nil {
			_, dropped := p.queue.Totals()
			say.failing(now, err, dropped)
		}
	}
}

// speaker says on standard error what changed: at most sayAtMost lines a minute.
type speaker struct {
	log       zerolog.Logger
	since     time.Time // of the minute
	lines     int       // in it
	left      int       // out, as there were too many
	failingAt time.Time
}

const sayAtMost = 12

func (s *speaker) all(now time.Time, changes []event.Health) {
	for i := range changes {
		h := &changes[i]
		if now.Sub(s.since) >= time.Minute {
			s.since, s.lines = now, 0
		}
		if s.lines++; s.lines > sayAtMost {
			s.left++
			continue
		}
		line := s.log.Warn()
		if h.State == "cleared" {
			line = s.log.Info()
		} else if h.Check == "output" {
			line, s.failingAt = s.log.Error(), now
		}
		if s.left > 0 {
			line, s.left = line.Int("lines_left_out", s.left), 0
		}
		line.Str("check", h.Check).Str("state", h.State).Msg(h.Text)
	}
}

// failing reminds of an output that still fails.
func (s *speaker) failing(now time.Time, err error, dropped event.Dropped) {
	if now.Sub(s.failingAt) < remind {
		return
	}
	s.failingAt = now
	s.log.Error().Err(err).Str("lost", dropped.String()).Msg("events still cannot be written")
}

// replaced reports whether the named pipe that the events go to, and that nobody reads, is another
// one by now.
func (p *pipeline) replaced(name string) bool {
	former, ok := p.closer.(*os.File)
	if !ok || !errors.Is(p.queue.Failing(), syscall.EPIPE) {
		return false
	}
	was, errWas := former.Stat()
	is, errIs := os.Stat(name)
	return errWas == nil && errIs == nil && is.Mode()&fs.ModeNamedPipe != 0 && !os.SameFile(was, is)
}
