package engine

import "sync"

// Flush works on the packets of the batch. Their bytes are not needed any more after it.
func (w *Worker) Flush() {
	for o := range w.frames {
		if n := w.frames[o]; n > 0 {
			w.outcome[o].Add(n)
			w.frames[o] = 0
		}
	}
	if len(w.batch) == 0 {
		return
	}
	e := w.e
	if e.pool != nil && len(w.batch) >= shareFrom {
		e.pool.share(len(w.lists), w.shard)
	} else {
		for i := range w.lists {
			w.shard(i)
		}
	}
	w.batch, w.hashes = w.batch[:0], w.hashes[:0]
	e.tickMu.Lock()
	e.flushRecords(false)
	e.tickMu.Unlock()
}

// shareFrom is how many packets a batch must have for helpers to be woken up.
const shareFrom = 256

// ahead is how many packets are prepared before they are worked on.
const ahead = 64

// shard works on the packets of one shard.
func (w *Worker) shard(i int) {
	list := w.lists[i]
	if len(list) == 0 {
		return
	}
	s := &w.e.shards[i]
	s.t.Lock()
	for len(list) > 0 {
		n := min(ahead, len(list))
		// Touch what these packets need, so that the waits for memory overlap.
		sum := uint64(0)
		for _, j := range list[:n] {
			h := &w.hashes[j]
			sum += s.t.Flows.Touch(h.flow)
			if h.toServer {
				sum += s.t.Attempts.Touch(h.flow) + s.t.Sources.Touch(h.host)
			}
		}
		s.touched += sum
		for _, j := range list[:n] {
			s.packet(&w.batch[j], &w.hashes[j])
		}
		list = list[n:]
	}
	s.t.Unlock()
	w.lists[i] = w.lists[i][:0]
}

// helpers are goroutines that work on shards of a large batch.
type helpers struct {
	wake []chan struct{}
	done sync.WaitGroup
	mu   sync.Mutex
	next int
	n    int
	work func(i int)
	one  sync.Mutex // one batch at a time
}

func newHelpers(n int) *helpers {
	h := &helpers{}
	for range n {
		c := make(chan struct{}, 1)
		h.wake = append(h.wake, c)
		go func() {
			for range c {
				h.run()
				h.done.Done()
			}
		}()
	}
	return h
}

// share has work called for 0 to n-1, by the caller and the helpers, and waits for all.
func (h *helpers) share(n int, work func(i int)) {
	h.one.Lock()
	defer h.one.Unlock()
	h.next, h.n, h.work = 0, n, work
	h.done.Add(len(h.wake))
	for _, c := range h.wake {
		c <- struct{}{}
	}
	h.run()
	h.done.Wait()
}

func (h *helpers) run() {
	for {
		h.mu.Lock()
		i := h.next
		h.next++
		h.mu.Unlock()
		if i >= h.n {
			return
		}
		h.work(i)
	}
}

func (h *helpers) stop() {
	for _, c := range h.wake {
		close(c)
	}
}
