package event

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// Queue stands between who makes events and where they are written. Writing is done by a
// goroutine of its own, in order.
//
// Live, a full queue refuses events and counts them by type: packets go on. Findings and health
// have room beyond that of the others, so they are lost last. Reading files, putting
// waits instead: nothing is lost, and nothing is in a hurry.
type Queue struct {
	out   io.Writer
	block bool

	mu      sync.Mutex
	changed sync.Cond
	lines   []line
	bytes   int
	closed  bool
	broken  error // nobody reads any more
	failing bool
	torn    bool // the last write ended within a line
	taken   uint64
	failed  uint64 // of those
	dropped [Types]uint64
	fail    error
	done    chan struct{}
}

type line struct {
	kind Type
	text []byte
}

const (
	// room is for everything, roomFindings for findings and health; roomWaiting is enough where
	// putting waits.
	room         = 8 << 20
	roomFindings = 16 << 20
	roomWaiting  = 1 << 20
)

// NewQueue starts writing to out. block makes put wait for room.
func NewQueue(out io.Writer, block bool) *Queue {
	q := &Queue{out: out, block: block, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// put adds a line, which is copied.
func (q *Queue) put(k Type, text []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := room
	if k == FindingEvent || k == HealthEvent {
		limit = roomFindings
	}
	if q.block {
		limit = roomWaiting
	}
	for q.block && q.bytes+len(text) > limit && q.broken == nil {
		q.changed.Wait()
	}
	if q.closed || q.broken != nil || q.bytes+len(text) > limit {
		q.dropped[k]++
		return
	}
	q.taken++
	q.lines = append(q.lines, line{k, append([]byte(nil), text...)})
	q.bytes += len(text)
	q.changed.Broadcast()
}

func (q *Queue) run() {
	defer close(q.done)
	for {
		q.mu.Lock()
		for len(q.lines) == 0 && !q.closed {
			q.changed.Wait()
		}
		lines := q.lines
		q.lines = nil
		q.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, l := range lines {
			q.write(l)
		}
	}
}

// write writes one line. An error loses it; the next one is tried again, unless nobody
// reads any more.
func (q *Queue) write(l line) {
	var n int
	var err error
	q.mu.Lock()
	broken, torn := q.broken, q.torn
	q.mu.Unlock()
	if err = broken; err == nil {
		if torn { // end the half line, so that only that one is lost
			_, err = q.out.Write([]byte{'\n'})
		}
		if err == nil {
			n, err = q.out.Write(l.text)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(l.text)
	q.changed.Broadcast()
	if err == nil {
		q.failing, q.torn = false, false
		return
	}
	q.dropped[l.kind]++
	q.failed++
	q.fail, q.failing = err, true
	q.torn = q.torn || n > 0
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		q.broken = err
	}
}

// Close writes what is left and ends. The error is that of the last event that was lost.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.changed.Broadcast()
	q.mu.Unlock()
	<-q.done
	return q.fail
}

// Totals are how many events were taken and not lost so far, and how many were lost, by
// type.
func (q *Queue) Totals() (written uint64, dropped [Types]uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken - q.failed, q.dropped
}

// Failing is the error with which events are being lost now, nil if they are not.
func (q *Queue) Failing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.failing {
		return nil
	}
	return q.fail
}
