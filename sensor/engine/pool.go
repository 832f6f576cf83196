package engine

import (
	"sync"
	"sync/atomic"
)

// helperPool is a set of goroutines that share the work of a large round. The caller of each works,
// too, so n helpers make n+1 goroutines. Each goroutine begins with the same numbers in each round,
// so that a shard's data mostly stays in the cache of one processor, and then takes what the others
// have left: one that has a slow shard takes fewer of them.
type helperPool struct {
	wake  []chan struct{} // one channel for each helper
	done  sync.WaitGroup
	taken []atomic.Bool // of each number of the round
	n     int
	work  func(i int) // of the current round
	mu    sync.Mutex  // one round at a time
}

// newHelperPool starts n helpers.
func newHelperPool(n int) *helperPool {
	h := &helperPool{}
	for range n {
		c := make(chan struct{}, 1)
		h.wake = append(h.wake, c)
		first := len(h.wake)
		go func() {
			for range c {
				h.run(first)
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
	if len(h.taken) < n {
		h.taken = make([]atomic.Bool, n)
	}
	for i := range h.taken {
		h.taken[i].Store(false)
	}
	h.done.Add(len(h.wake))
	for _, c := range h.wake {
		c <- struct{}{}
	}
	h.run(0)
	h.done.Wait()
}

// run calls work for the numbers of goroutine first, and then for those that the others have left.
func (h *helperPool) run(first int) {
	k := len(h.wake) + 1
	for pass := range k {
		for i := (first + pass) % k; i < h.n; i += k {
			if !h.taken[i].Swap(true) {
				h.work(i)
			}
		}
	}
}

// stop ends the helpers' goroutines. No round may run.
func (h *helperPool) stop() {
	for _, c := range h.wake {
		close(c)
	}
}
