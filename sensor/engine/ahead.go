package engine

import "spamsensor/sensor/frame"

// Windows of a file are decoded side by side, each by one goroutine into batches of its own, and
// then taken in one after the other. A window is decoded before its turn: what only the packets
// before it decide, it cannot know. Then TakeAhead rejects it, and the caller reads it again and
// uses Add:
//
//   - a packet needs order, see orderedDecode
//   - its rounds do not end where they must, because the first rounds of a run are short
//   - a home network was learned meanwhile

// aheadWindow holds the rounds of a window that was decoded ahead, a batch for each.
type aheadWindow struct {
	batches []decodeBatch // and further ones that keep their memory
	rounds  int
	learned int // home networks that were learned before
}

// Bounds of the windows that are decoded at a time. Each takes the memory of its packets, which may
// be as many as a window of 4 MiB can hold.
const (
	maxAhead      = 8
	maxAheadSmall = 32 // of windows with less than shareFrom frames
)

// Ahead returns the number of windows that DecodeAhead should get. It is zero while that does not
// pay: without helpers, and while rounds are so short that a window does not fit.
func (w *Worker) Ahead() int {
	size := w.roundSize()
	switch {
	case w.e.pool == nil || size < maxRound && w.latest+w.latest/4 > size:
		return 0
	case w.latest < shareFrom:
		return min(4*w.e.cfg.Helpers, maxAheadSmall)
	}
	return min(w.e.cfg.Helpers, maxAhead)
}

// DecodeAhead decodes windows. next returns the next frames of window i, which are borrowed until
// the next call, and nil at its end. Several goroutines call it, one for each window. The caller
// has called Flush before.
func (w *Worker) DecodeAhead(windows int, next func(i int) []frame.Frame) {
	for len(w.ahead) < windows {
		w.ahead = append(w.ahead, aheadWindow{})
	}
	w.e.pool.each(windows, func(i int) { w.decodeWindow(&w.ahead[i], i, next) })
}

// decodeWindow decodes a window up to its end, or up to a packet that needs order.
func (w *Worker) decodeWindow(x *aheadWindow, i int, next func(i int) []frame.Frame) {
	x.rounds, x.learned = 0, w.e.peers.Home.CountLearned()
	var b *decodeBatch
	for frames := next(i); len(frames) > 0; {
		if b == nil || b.decoded == maxRound {
			b = x.addRound(w.e)
		}
		n := min(len(frames), maxRound-b.decoded)
		if b.decode(frames[:n], nil); b.needsOrder {
			return
		}
		if frames = frames[n:]; len(frames) == 0 {
			w.progress.Add(1)
			frames = next(i)
		}
	}
}

// addRound adds a round to the window. Rounds that were added before may move.
func (x *aheadWindow) addRound(e *Engine) *decodeBatch {
	if x.rounds++; len(x.batches) < x.rounds {
		x.batches = append(x.batches, newDecodeBatch(e))
	}
	b := &x.batches[x.rounds-1]
	b.clear()
	return b
}

// TakeAhead takes in window i of DecodeAhead as Add and Flush do, or reports false.
func (w *Worker) TakeAhead(i int) bool {
	x := &w.ahead[i]
	w.latest = 0
	rounds := x.batches[:x.rounds]
	if len(rounds) > 0 && (rounds[len(rounds)-1].needsOrder ||
		rounds[0].decoded > w.roundSize() || x.learned != w.e.peers.Home.CountLearned()) {
		return false
	}
	for k := range rounds {
		w.takeRound(&rounds[k])
	}
	return true
}
