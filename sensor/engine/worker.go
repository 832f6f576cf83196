package engine

import (
	"sync/atomic"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// A Worker takes in the frames of one goroutine. It works in rounds of at most maxRound frames: it
// decodes a round into the queues of the shards, has each shard process its queue, and exchanges
// what the shards found for one another.
type Worker struct {
	e       *Engine
	ordered orderedDecode
	current decodeBatch   // the round so far
	ahead   []aheadWindow // of DecodeAhead
	batch   *decodeBatch  // what the shards process; nil is a round without frames
	ticks   []tick
	frames  uint64 // so far, without the current round
	latest  int    // frames of the latest round
	seq     uint64 // packets so far that passed the filter
	outcome [wire.Outcomes]atomic.Uint64
	// Packets with a time in the next quietSpan nanoseconds from quietFrom leave the clock as it
	// is.
	quietFrom int64
	quietSpan uint64
	first     atomic.Int64 // lowest and highest time of any frame, ns since 1970
	last      atomic.Int64
	progress  atomic.Uint64
	// The work of the helper pool. The closure is made once, because making one allocates.
	processOne func(i int)
}

// tick says that the clock reaches now before the packet with number order.
type tick struct {
	order uint64
	now   int64
	jump  bool // the clock was set, or the capture holds several times
}

// Worker makes a worker. All workers must be made before the first frame.
func (e *Engine) Worker() *Worker {
	w := &Worker{e: e, current: newDecodeBatch(e)}
	w.processOne = func(i int) { e.shards[i].process(w.batch, w.ticks, &w.progress) }
	e.workers = append(e.workers, w)
	return w
}

// Progress returns a counter that grows with each 64 packets and with each event that is emitted.
// If it stays the same for seconds while Take or EmitDue runs, the engine hangs. Any goroutine may
// read it.
func (w *Worker) Progress() *atomic.Uint64 { return &w.progress }

// Prefilter returns a prefilter that skips, by their ports, frames for which the engine has no use;
// its classes are the indexes for Worker.Skip. Nil ports mean DefaultPorts.
func Prefilter(ports []uint16) *frame.Prefilter {
	if ports == nil {
		ports = DefaultPorts
	}
	d := new(wire.Decoder)
	d.SetPorts(ports)
	return &frame.Prefilter{
		Skip: func(link frame.LinkType, data []byte, length int) (uint8, bool) {
			o, skip := d.Skip(link, data, length)
			return uint8(o), skip
		},
		Usual: wire.UsualFrames(ports),
	}
}

// Untimed is the class, for Worker.Skip, of frames that were left out because of their time.
const Untimed = uint8(wire.BadTime)

// OutsidePeriod is the class, for Worker.Skip, of frames that are not of the wanted time.
const OutsidePeriod = uint8(wire.OutsidePeriod)

// Skip counts frames that a Prefilter left out, by class. first and last are the lowest and the
// highest time of all frames, in ns since 1970, including the frames that Take gets; zero means
// that there were none.
func (w *Worker) Skip(skipped []uint64, first, last int64) {
	for o := range w.outcome {
		if n := skipped[o]; n > 0 {
			w.outcome[o].Add(n)
		}
	}
	if first != 0 && (w.first.Load() == 0 || first < w.first.Load()) {
		w.first.Store(first)
	}
	w.last.Store(max(w.last.Load(), last))
}

// Take is Add, and then Flush.
func (w *Worker) Take(frames []frame.Frame) {
	w.e.rounds.RLock() // see Engine.Reconfigure
	defer w.e.rounds.RUnlock()
	w.Add(frames)
	w.Flush()
}

// Add takes in frames, and emits the events of the rounds that become full. It borrows the frames'
// bytes until it returns. A panic inside is recovered and counted; see Engine.Fault.
func (w *Worker) Add(frames []frame.Frame) {
	b := &w.current
	for len(frames) > 0 { // once for each round
		size := w.roundSize()
		n := min(len(frames), size-b.decoded)
		b.decode(frames[:n], &w.ordered)
		if frames = frames[n:]; b.decoded == size {
			w.Flush()
		}
	}
}

// Flush ends the round and emits its events. The caller calls it at marks of the input itself, so
// that events do not depend on how frames are split over calls.
func (w *Worker) Flush() {
	w.latest = 0
	if w.current.decoded > 0 {
		w.takeRound(&w.current)
		w.current.clear()
	}
}

// maxRound is the most frames of a round. A round's packets stay in the processor's cache, and each
// shard has enough of them to prefetch. A storm of short sessions takes 9 % longer with rounds of
// 8192 frames and 16 % longer with 2048; a flood of SYNs takes the same time with all three.
const maxRound = 16384

// roundSize returns the size of the next round. The first rounds are short: shards learn only at
// the end of a round that a host is a mail server, accepts mail or has a new address, and the
// findings of a short capture must profit from it too.
func (w *Worker) roundSize() int { return int(min(maxRound, max(64, w.frames/4))) }

// takeRound takes in a round that was decoded:
//
//	judge SYNs  with wrong checksums, in packet order
//	ticks       are found among the packets' times
//	process     each shard, side by side
//	exchange    the shards' observations, and emit the events
func (w *Worker) takeRound(b *decodeBatch) {
	w.batch, w.latest = b, b.decoded
	w.frames += uint64(b.decoded)
	w.progress.Add(1)
	w.ticks = w.ticks[:0]
	w.ordered.checksums.judge(b)
	w.countBatch(b)
	w.ordered.publish()
	w.runShards(w.e.pool != nil && b.decoded >= shareFrom)
}

// shareFrom is the smallest round for which the helper pool is woken.
const shareFrom = 1024

// countBatch adds a batch's counters to the worker's, and finds the ticks among its packets. Most
// packets are within the quiet span, and cost a subtraction.
func (w *Worker) countBatch(b *decodeBatch) {
	for o, n := range b.outcome {
		if n > 0 {
			w.outcome[o].Add(n)
		}
	}
	b.base = w.seq
	for _, time := range b.times {
		w.seq++
		if uint64(time-w.quietFrom) >= w.quietSpan {
			w.advanceClock(time)
		}
	}
}

// advanceClock moves the clock to the time of packet number w.seq.
func (w *Worker) advanceClock(time int64) {
	if t, ok := w.e.clock.advance(time, w.seq); ok {
		w.ticks = append(w.ticks, t)
	}
	w.quietFrom, w.quietSpan = w.e.clock.window()
}

// EmitDue emits the sources and the counters that are due. The caller calls it between calls of
// Take, at marks of the input itself, so that the counters do not depend on how frames are split
// over calls.
func (w *Worker) EmitDue() {
	w.e.rounds.RLock()
	defer w.e.rounds.RUnlock()
	w.emitDue()
}

func (w *Worker) emitDue() {
	w.ordered.expire(w.e.clock.Now())
	w.e.emitDue(&w.progress)
}

// Idle advances the clock when no frame came for a while: now is the wall clock, in ns since 1970.
// Without it nothing would expire on a silent interface. It is a round without frames.
func (w *Worker) Idle(now int64) {
	e := w.e
	e.rounds.RLock()
	defer e.rounds.RUnlock()
	if ok, jump := e.clock.advanceIdle(now); ok {
		w.ticks = append(w.ticks[:0], tick{w.seq, now, jump})
		w.batch = nil
		w.runShards(false)
		w.emitDue()
		w.quietFrom, w.quietSpan = e.clock.window()
	}
}
