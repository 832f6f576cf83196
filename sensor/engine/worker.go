package engine

import (
	"sync/atomic"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// Worker takes in the frames of one goroutine.
type Worker struct {
	e         *Engine
	ordered   orderedDecode
	batchPool []decodeBatch // those of used, and behind them others that keep their memory
	batches   []decodeBatch
	round     [][]frame.Frame // scratch of Take
	ticks     []tick
	frames    uint64 // so far
	seq       uint64 // packets that were ours
	outcome   [wire.Outcomes]atomic.Uint64
	quietFrom int64 // times from here for span nanoseconds need no thought
	quietSpan uint64
	first     atomic.Int64 // lowest and highest time of any frame
	last      atomic.Int64
	progress  atomic.Uint64 // see Progress
	// What helpers do, kept because making a closure is an allocation.
	decodeOne, processOne func(i int)
}

// tick says that time has come to now before the packet with this number.
type tick struct {
	order uint64
	now   int64
	jump  bool // by a clock that was set, or in a capture of several times
}

// Worker makes a worker. All must be made before the first frame.
func (e *Engine) Worker() *Worker {
	w := &Worker{e: e}
	w.decodeOne = func(i int) { w.batches[i].decode(nil); w.progress.Add(1) }
	w.processOne = func(i int) { e.shards[i].process(w.batches, w.ticks, &w.progress) }
	e.workers = append(e.workers, w)
	return w
}

// Progress is a count that grows with each 64 packets, and with each record that is given out:
// while Take or Tell runs and it stays the same for seconds, something is wrong. It may be read by
// any goroutine.
func (w *Worker) Progress() *atomic.Uint64 { return &w.progress }

// Prefilter returns what says of a frame, by its ports, that it is none of ours; the class is that
// of Worker.Skip. It may be called by several goroutines.
func Prefilter(ports []uint16) func(link frame.LinkType, data []byte, wire int) (class uint8, skip bool) {
	if ports == nil {
		ports = DefaultPorts
	}
	d := new(wire.Decoder)
	d.SetPorts(ports)
	return func(link frame.LinkType, data []byte, length int) (uint8, bool) {
		o, skip := d.Skip(link, data, max(length, len(data)))
		return uint8(o), skip
	}
}

// Untimed is the class, for Worker.Skip, of frames that were left out because of their time.
const Untimed = uint8(wire.BadTime)

// Skip counts frames that a Prefilter left out, by class. first and last are the lowest and the highest
// time of all frames, those that Take gets included; zero if there were none.
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

// Take takes in frames and gives out what they cause. The parts follow one another.
func (w *Worker) Take(parts [][]frame.Frame) {
	w.round = w.round[:0]
	total, most := 0, w.roundSize()
	for _, part := range parts {
		for len(part) >= most-total {
			w.round = append(w.round, part[:most-total])
			part = part[most-total:]
			w.takeRound(w.round, most)
			w.round, total, most = w.round[:0], 0, w.roundSize()
		}
		if len(part) > 0 {
			w.round = append(w.round, part)
			total += len(part)
		}
	}
	if total > 0 {
		w.takeRound(w.round, total)
	}
}

// maxRound is how many frames are worked on at a time: what is kept of them in between stays in the
// processor's cache, and there are enough of them for each shard. A storm of short sessions takes 9 % longer with 8192
// and 16 % with 2048; a flood of SYNs is the same with all.
const maxRound = 16384

// roundSize is less than atOnce at the beginning: that a host is a mail server, takes mail in or has another address now is known to
// the shards when the row is done in which it showed, and a short capture is to tell of it too.
func (w *Worker) roundSize() int { return int(min(maxRound, max(64, w.frames/4))) }

// takeRound takes in a row of frames, total in all.
func (w *Worker) takeRound(parts [][]frame.Frame, total int) {
	w.frames += uint64(total)
	shared := w.e.pool != nil && total >= shareFrom
	if shared {
		w.split(parts, total)
		w.e.pool.each(len(w.batches), w.decodeOne)
	}
	if !shared || w.needsOrder() {
		w.resetBatches(1)
		w.batches[0].frames = append(w.batches[0].frames, parts...)
		w.batches[0].decode(&w.ordered)
		w.progress.Add(1)
	}
	w.ticks = w.ticks[:0]
	for i := range w.batches {
		w.ordered.checksums.judge(&w.batches[i])
		w.countBatch(&w.batches[i])
	}
	w.ordered.publish()
	w.runShards(shared)
}

// needsOrder reports whether the pieces cannot be decoded side by side.
func (w *Worker) needsOrder() bool {
	for i := range w.batches {
		if w.batches[i].needsOrder {
			return true
		}
	}
	return false
}

// shareFrom is how many frames there must be for helpers to be woken up.
const shareFrom = 1024

// split makes pieces of about the same size, two for each helper.
func (w *Worker) split(parts [][]frame.Frame, total int) {
	n := 2 * w.e.cfg.Helpers
	size := (total + n - 1) / n
	w.resetBatches(n)
	i, room := 0, size
	for _, part := range parts {
		for len(part) > 0 {
			if room == 0 {
				i, room = i+1, size
			}
			k := min(room, len(part))
			w.batches[i].frames = append(w.batches[i].frames, part[:k])
			part, room = part[k:], room-k
		}
	}
}

// resetBatches makes n empty pieces.
func (w *Worker) resetBatches(n int) {
	for len(w.batchPool) < n {
		w.batchPool = append(w.batchPool, newDecodeBatch(w.e))
	}
	w.batches = w.batchPool[:n]
	for i := range w.batches {
		w.batches[i].clear()
	}
}

// countBatch takes over what a piece counted, and finds the ticks among its packets.
func (w *Worker) countBatch(p *decodeBatch) {
	for o, n := range p.outcome {
		if n > 0 {
			w.outcome[o].Add(n)
		}
	}
	p.base = w.seq
	for _, time := range p.times {
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

// runShards has all shards work on their packets, and gives out what came of it.
func (w *Worker) runShards(shared bool) {
	e := w.e
	if shared {
		e.pool.each(len(e.shards), w.processOne)
	} else {
		for i := range e.shards {
			w.processOne(i)
		}
	}
	e.tickMu.Lock()
	e.progress = &w.progress
	e.exchange()
	e.tickMu.Unlock()
}

// exchange gives out what was found in the row, and has the shards tell each other what they found
// out. The caller holds tickMu.
func (e *Engine) exchange() {
	e.gatherSides()
	e.exchangeNotes()
}

// exchangeNotes is the part of exchange that holds for the end, too, when the sides are known.
func (e *Engine) exchangeNotes() {
	var moves []addressChange
	e.guarded(func() { moves = append(e.trackAddresses(), e.trackRotations()...) })
	e.drainJournals()
	defer e.recoverPanic()
	e.deliverInbound()
	e.mergeAddresses(moves)
}

// EmitDue gives out the sources and the counters whose time has come. It is to be called between
// calls of Take, where the input itself has a mark, so that the counters are the same
// however the frames were handed over.
func (w *Worker) EmitDue() {
	w.ordered.expire(w.e.clock.Now())
	w.e.emitDue(&w.progress)
}

// Idle tells the engine that no frame came although time went by: now is the time
// of the wall. Without it nothing would expire on a silent interface.
func (w *Worker) Idle(now int64) {
	e := w.e
	if ok, jump := e.clock.advanceIdle(now); ok {
		w.ticks = append(w.ticks[:0], tick{w.seq, now, jump})
		w.resetBatches(0)
		w.runShards(false)
		w.EmitDue()
		w.quietFrom, w.quietSpan = e.clock.window()
	}
}
