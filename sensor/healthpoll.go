package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/event"
	"spamsensor/sensor/report"
)

// The stats event comes once a minute, which is late for a fault that blinds or mutes the sensor:
// an interface that is down, no frames, an output that fails. So these are checked once a second,
// for each interface.
const (
	// healthPollInterval is the time between two checks.
	healthPollInterval = time.Second
	// silence bounds the time without a frame that the filter passes, deadSilence the time without
	// any frame: a mirror port brings at least the broadcasts of its network. An interface that was
	// reported as dead several times within alarmMemory, and was not, may be silent for longer,
	// at most for maxDeadSilence.
	silence, deadSilence = 60 * time.Second, 10 * time.Second
	maxDeadSilence       = 5 * time.Minute
	alarmMemory          = time.Hour
	// recoveryTime is the time without a loss after which an output has recovered.
	recoveryTime = 2 * time.Second
	// clockStep is the least jump of the machine's clock that is reported: a smaller one changes no
	// verdict. clockRecovery is the time without a jump after which the clock is good again.
	clockStep, clockRecovery = 10 * time.Second, 5 * time.Second
	// remindInterval is the time between two messages about an output that still fails.
	remindInterval = time.Minute
)

// wallTime is the clock of the machine, in nanoseconds since 1970. It may jump, so durations are
// measured with steadyTime. Tests whose clock jumps replace it.
var wallTime = func() int64 { return time.Now().UnixNano() }

var processStart = time.Now()

// steadyTime is the time since the start of the process, in nanoseconds. It goes on evenly when the
// clock of the machine is set.
func steadyTime() int64 { return int64(time.Since(processStart)) }

// untilNext is the time to the next multiple of an interval since the start of the process. What is
// done at the same time needs one wake-up of the process, which costs more than the work.
func untilNext(interval time.Duration) time.Duration {
	return interval - time.Duration(steadyTime())%interval
}

// inputState is what is known of an interface at a check.
type inputState struct {
	name    string
	problem string // a phrase if it delivers no frames, else empty; see capture.Live.Problem
	stats   capture.Stats
	stream  bool // no interface: nothing comes but the frames that the sender's filter passes
}

// arrivals has the last changes of the counters of an interface. Its times are steady ones.
type arrivals struct {
	frames, arrived     uint64
	framesAt, arrivedAt int64
	arrivedAtLastFrame  uint64 // counter of all frames when the filter last passed one
	alarms              uint   // how often no frame at all arrived, lately
	alarmAt             int64  // the latest of them
}

// inputs checks the interfaces: their links, and whether frames come. now is the time of the
// change, steady the steadyTime.
func (h *health) inputs(now, steady int64, list []inputState) {
	for len(h.arrivals) < len(list) {
		h.arrivals = append(h.arrivals, arrivals{framesAt: steady, arrivedAt: steady})
	}
	for i := range list {
		in := &list[i]
		h.setInput(now, in.name, "link", in.problem != "", 0,
			fmt.Sprintf("the interface %s %s", in.name, in.problem),
			"nothing is seen there in the meantime; the sensor listens on as soon as it is back")
		h.silence(now, steady, in, &h.arrivals[i])
	}
}

// silence raises no_packets when no frames come from an interface whose link is up.
func (h *health) silence(now, steady int64, in *inputState, q *arrivals) {
	c := &in.stats
	if c.Frames != q.frames {
		q.frames, q.framesAt, q.arrivedAtLastFrame = c.Frames, steady, c.Arrived
	}
	if c.Arrived != q.arrived || c.Frames > 0 && q.framesAt == steady {
		q.arrived, q.arrivedAt = c.Arrived, steady
	}
	_, raised := h.raised["no_packets "+in.name]
	if in.problem != "" { // the check of the link says it
		if !raised {
			q.framesAt, q.arrivedAt = steady, steady
		}
		return
	}
	if steady-q.alarmAt > int64(alarmMemory) {
		q.alarms = 0
	}
	wait := deadSilence
	if in.stream {
		wait = silence
	}
	if q.alarms > 2 {
		wait = min(wait<<min(q.alarms-2, 8), maxDeadSilence)
	}
	quiet := time.Duration(steady-q.framesAt) >= silence &&
		(!in.stream || c.Arrived != q.arrivedAtLastFrame) // of a filter, nothing at all is dead
	dead := time.Duration(steady-q.arrivedAt) >= wait
	if h.final { // a short run
		quiet = c.Frames == 0
	}
	if dead && !raised {
		q.alarms++
		q.alarmAt = steady
	}
	arrived := c.Arrived - q.arrivedAtLastFrame
	if dead { // what came before it stopped says nothing
		arrived = 0
	}
	h.noPackets(now, in, quiet || dead, arrived)
}

// noPackets raises or clears the check. arrived counts the frames that the filter did not pass.
func (h *health) noPackets(now int64, in *inputState, bad bool, arrived uint64) {
	name := in.name
	text := fmt.Sprintf("no frame arrives on %s", name)
	hint := "is the mirror session up? spamsensor interfaces shows the link"
	if in.stream {
		hint = "does the sender still capture, on the right interface and with the right filter? " +
			"ssh -o ServerAliveInterval=15 ends a connection that hangs"
	}
	if arrived > 0 {
		text = fmt.Sprintf("%d frames arrived on %s since the last look, and none of them is "+
			"mail, a DNS message, or opens a connection", arrived, name)
		hint = "is this the right mirror port? In IPsec, L2TP, GTP, CAPWAP and WireGuard " +
			"nobody can look for mail: mirror where it is outside of the tunnel"
	}
	h.setInput(now, name, "no_packets", bad, float64(arrived), text, hint)
}

// setInput is set for a check of one interface.
func (h *health) setInput(now int64, name, check string, bad bool, value float64,
	text, hint string) {
	h.setKey(now, check+" "+name, event.Health{Check: check, Interface: name, Value: value,
		Text: text, Hint: hint}, bad)
}

// clockState is what the check of the clock knows.
type clockState struct {
	known  bool   // offset is set
	offset int64  // of the machine's clock to the steadyTime
	odd    uint64 // wrong times of frames so far
	oddAt  int64  // steady time of the last jump or wrong time
}

// oddTimesText is the text of the check of the clock about frames.
const oddTimesText = "%d frames have an impossible time, or follow a jump of the clock"

// checkClock checks whether the clock of the machine was set, and the times of frames. odd counts
// the frames with a wrong time, and the jumps, so far. A stream has the clock of another machine.
func (h *health) checkClock(now, steady int64, odd uint64, stream bool) {
	c := &h.clock
	step := time.Duration(now - steady - c.offset)
	if !c.known || stream {
		step = 0
	}
	more := odd - c.odd
	c.known, c.offset, c.odd = true, now-steady, odd
	is := event.Health{Check: "clock", State: "raised", Since: now, Value: float64(more),
		Text: fmt.Sprintf(oddTimesText, more),
		Hint: "the clock of the capturing machine was set; nothing expires because of a jump"}
	if step.Abs() >= clockStep {
		direction := "ahead, or it slept for that time"
		if step < 0 {
			direction = "back"
		}
		is.Value = step.Seconds()
		is.Text = fmt.Sprintf("the clock of this machine was set %v %s",
			step.Abs().Round(time.Second), direction)
		is.Hint = "nothing expires because of a jump; times in events from before and after it " +
			"do not match. A service such as chrony keeps the clock right"
	}
	bad := more > 0 || step.Abs() >= clockStep
	if bad {
		c.oddAt = steady
	}
	switch _, raised := h.raised["clock"]; {
	case bad && !raised:
		h.raise("clock", is)
	case !bad && raised && steady-c.oddAt >= int64(clockRecovery):
		h.clear("clock", 0, "the clock goes on evenly")
	}
}

// pollHealth checks interfaces, output and clock once, and reports the changes.
func (p *pipeline) pollHealth(now, steady int64) {
	inputs := p.inputs()
	p.engine.Between(func() {
		h := &p.health
		h.changes = nil
		p.checkTimes(now, steady, inputs)
		h.inputs(now, steady, inputs)
		h.output(now, steady, p.queue)
		p.reportHealth(now, h.changes)
	})
}

// checkTimes checks the clock of the machine, and the times of the frames of all inputs.
func (p *pipeline) checkTimes(now, steady int64, inputs []inputState) {
	odd := p.engine.OddTimes()
	for i := range inputs {
		odd += inputs[i].stats.BadTimes + inputs[i].stats.Untimed
	}
	p.health.checkClock(now, steady, odd, len(inputs) > 0 && inputs[0].stream)
}

// reportHealth emits changes of health as events, and on standard error: the output of the events
// may be the fault, and a service's journal is read before its events are. The caller may use what
// the engine's Output uses.
func (p *pipeline) reportHealth(now int64, changes []event.Health) {
	for i := range changes {
		if p.events != nil {
			p.events.Health(now, &changes[i])
		}
		c := &changes[i]
		if p.health.live {
			continue // questions have what is raised
		}
		p.report.Health(report.Health{Check: c.Check, Text: c.Text, Hint: c.Hint,
			Since: report.Time(c.Since)})
	}
	if p.messages != nil {
		p.messages.changes(time.Now(), changes)
	}
}

// runHealthPoll checks at healthPollInterval until the context ends. It sends on noReader when the
// output is a pipe without a reader, which another one may have replaced.
func (p *pipeline) runHealthPoll(ctx context.Context, noReader chan<- struct{}) {
	next := time.NewTimer(untilNext(healthPollInterval))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		p.pollHealth(wallTime(), steadyTime())
		err := p.queue.Failing()
		if err != nil {
			_, dropped := p.queue.Totals()
			p.messages.outputFails(time.Now(), err, dropped)
		}
		if errors.Is(err, syscall.EPIPE) {
			select {
			case noReader <- struct{}{}:
			default: // it was told
			}
		}
		next.Reset(untilNext(healthPollInterval))
	}
}

// healthLog writes changes of health to standard error, at most maxLogLines a minute.
type healthLog struct {
	log       zerolog.Logger
	mu        sync.Mutex
	minute    time.Time // start of the minute in hand
	lines     int       // of this minute
	omitted   int       // lines beyond the limit, not yet reported
	failingAt time.Time // of the last message about the output
}

const maxLogLines = 12

func (s *healthLog) changes(now time.Time, changes []event.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
		line.Str("check", h.Check).Str("state", h.State)
		if h.Interface != "" {
			line.Str("interface", h.Interface)
		}
		if h.Hint != "" {
			line.Str("hint", h.Hint)
		}
		line.Msg(h.Text)
	}
}

// outputFails repeats the message about an output that still fails, once a minute.
func (s *healthLog) outputFails(now time.Time, err error, dropped event.Dropped) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
