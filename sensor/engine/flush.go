package engine

import (
	"sync"
	"sync/atomic"
)

// Flush works on all packets in the queues.
func (w *Worker) Flush() {
	for o := range w.frames {
		if n := w.frames[o]; n > 0 {
			w.outcome[o].Add(n)
			w.frames[o] = 0
		}
	}
	if w.queued == 0 {
		return
	}
	e := w.e
	if e.pool != nil && w.queued >= shareFrom {
		e.pool.share(len(w.queues), w.shard)
	} else {
		for i := range w.queues {
			w.shard(i)
		}
	}
	w.queued, w.bytes = 0, 0
	e.tickMu.Lock()
	e.flushRecords()
	e.tickMu.Unlock()
}

// shareFrom is how many packets must wait for helpers to be woken up.
const shareFrom = 256

// ahead is how many packets are prepared before they are worked on.
const ahead = 64

// shard works on the packets of one shard.
func (w *Worker) shard(i int) {
	q := &w.queues[i]
	list := q.packets
	if len(list) == 0 {
		return
	}
	s := &w.e.shards[i]
	s.t.Lock()
	for len(list) > 0 {
		n := min(ahead, len(list))
		s.touch(list[:n])
		for j := range list[:n] {
			p := &list[j]
			s.packet(p, q.bytes[p.at:p.at+p.n])
		}
		list = list[n:]
	}
	s.t.Unlock()
	q.packets, q.bytes = q.packets[:0], q.bytes[:0]
}

// touch fetches what these packets need, so that the waits for memory overlap: first the
// lines of the indexes, then what these lead to.
func (s *shard) touch(list []packet) {
	sum := uint64(0)
	for i := range list {
		p := &list[i]
		sum += s.t.Flows.Touch(p.flow)
		if p.first() {
			sum += s.t.Attempts.Touch(p.flow)
		}
	}
	for i := range list {
		p := &list[i]
		if r := s.t.Flows.Find(p.flow, &p.key); r != 0 {
			f := s.t.Flows.At(r)
			sum += uint64(f.start)
			if talk := s.sessions.at(f.session); talk != nil {
				sum += talk.Touch()
			}
		}
	}
	s.touched += sum
}

// helpers are goroutines that work on shards of a large batch.
type helpers struct {
	wake []chan struct{}
	done sync.WaitGroup
	next atomic.Int64
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
	h.n, h.work = n, work
	h.next.Store(0)
	h.done.Add(len(h.wake))
	for _, c := range h.wake {
		c <- struct{}{}
	}
	h.run()
	h.done.Wait()
}

func (h *helpers) run() {
	for {
		i := int(h.next.Add(1)) - 1
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
