package engine

import (
	"sync"
	"sync/atomic"
)

// helperPool are goroutines that work on shards of a large batch.
type helperPool struct {
	wake []chan struct{}
	done sync.WaitGroup
	next atomic.Int64
	n    int
	work func(i int)
	mu   sync.Mutex // one batch at a time
}

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

// each has work called for 0 to n-1, by the caller and the helpers, and waits for all.
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

func (h *helperPool) run() {
	for { // once for each piece or shard, among all who run
		i := int(h.next.Add(1)) - 1
		if i >= h.n {
			return
		}
		h.work(i)
	}
}

func (h *helperPool) stop() {
	for _, c := range h.wake {
		close(c)
	}
}
