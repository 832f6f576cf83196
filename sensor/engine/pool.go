package engine

import (
	"sync"
	"sync/atomic"
)

// helperPool is a set of goroutines that share the work of a large round. The caller of each works,
// too, so n helpers make n+1 goroutines. Work is handed out by a counter: a goroutine that has a
// slow shard takes fewer of them.
type helperPool struct {
	wake []chan struct{} // one channel for each helper
	done sync.WaitGroup
	next atomic.Int64 // the next number
	n    int
	work func(i int) // of the current round
	mu   sync.Mutex  // one round at a time
}

// newHelperPool starts n helpers.
func newHelperPool(n int) *helperPool {
	h := &helperPool{}
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

// each calls work for 0 to n-1, on the caller's goroutine and on the helpers, and waits for all
// calls.
func (h *helperPool) each(n int, work func(i int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n, h.work = n, work
	h.next.Store(0)
	h.done.Add(len(h.wake))
	for _, c := range h.wake {
		c <- struct{}{}
	}
	h.run()
	h.done.Wait()
}

// run calls work for the next number until none is left.
func (h *helperPool) run() {
	for { // once for each batch or shard, over all goroutines
		i := int(h.next.Add(1)) - 1
		if i >= h.n {
			return
		}
		h.work(i)
	}
}

// stop ends the helpers' goroutines. No round may run.
func (h *helperPool) stop() {
	for _, c := range h.wake {
		close(c)
	}
}
