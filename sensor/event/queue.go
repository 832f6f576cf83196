package event

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Queue holds events between the Writer and the output. Its own goroutine writes them, in order.
//
// Live, a full queue refuses events and counts them by type, so that packets never wait. When files
// are read, add waits instead, so that no event is lost.
//
// Important events (findings, health and stats) are lost last. The queue has further space for
// them; the last of a disk is kept for them (see disk); and an important event that could not be
// written is held and retried before any other event, until the queue has no space for it or is
// closed.
//
// Each line is written whole, also after failures. The part of a line that a full disk accepted is
// removed again. If the reader of a pipe goes away, the lines that it did not read are written to
// the next reader.
type Queue struct {
	out  io.Writer
	disk *disk // nil if out is no file on a disk
	pipe *pipe // nil if out is no pipe

	mu         sync.Mutex
	changed    sync.Cond
	block      bool          // add waits for space
	hurry      bool          // Close returns if the reader stalls
	stallLimit time.Duration // the constant, except in tests
	lines      []line        // not yet taken by the writing goroutine
	spare      [][]byte      // texts of written lines, to be used again
	held       []line        // failed important events; only the writing goroutine uses it
	heldCount  int
	bytes      int // of lines and of held
	blocked    int // calls of add that wait for space
	closed     bool
	next       *replacement
	broken     error     // set when Close returned because the reader stalled
	hangup     error     // set while a pipe has no reader
	retryAt    time.Time // of a pipe without a reader
	backoff    time.Duration
	failing    bool // the last write failed
	torn       bool // the last write ended within a line
	pending    [Types]uint64
	written    uint64
	progress   uint64 // writes that ended, with or without an error
	dropped    [Types]uint64
	fail       error // the last error
	done       chan struct{}
}

// replacement is another output. The queue calls then when it begins to use it.
type replacement struct {
	out  io.Writer
	then func()
}

type line struct {
	kind   Type
	text   []byte
	before func() // called once, before the first attempt to write the line; may be nil
}

const (
	// Limits of Queue.bytes: queueLimit for all events, findingsLimit for important ones,
	// blockingLimit for a queue whose add waits.
	queueLimit    = 8 << 20
	findingsLimit = 16 << 20
	blockingLimit = 1 << 20
	// maxSpare bounds the texts that are kept to be used again, of at most 8 KiB each.
	maxSpare = 256
	// stallLimit is the time that Close waits, after Hurry, for a reader that reads nothing.
	stallLimit = 5 * time.Second
	// retryInterval is the time between retries of held events while no other event is to be
	// written. firstRetry is the time before the first retry of a pipe without a reader; it doubles
	// with each retry, up to retryInterval.
	retryInterval, firstRetry = time.Second, 100 * time.Millisecond
)

// ErrStalled is the error of events that were lost because the reader of the output stalled.
var ErrStalled = errors.New("the reader of the events does not read")

// important reports whether events of this type are lost last.
func (t Type) important() bool { return t == FindingEvent || t == HealthEvent || t == StatsEvent }

// NewQueue starts a queue that writes to out. If block is set, add waits for space.
func NewQueue(out io.Writer, block bool) *Queue {
	q := &Queue{out: out, disk: newDisk(out), pipe: newPipe(out), block: block, hurry: !block,
		stallLimit: stallLimit, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// add appends a line, and copies its text. The writing goroutine calls before, if it is not nil,
// before it writes the line.
func (q *Queue) add(k Type, text []byte, before func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := queueLimit
	if k.important() {
		limit = findingsLimit
	}
	// A failing output frees no space, so that add does not wait for it.
	for q.block && q.bytes+len(text) > blockingLimit && !q.failing {
		q.blocked++
		q.changed.Wait()
		q.blocked--
	}
	if q.closed || q.broken != nil || q.bytes+len(text) > limit {
		q.dropped[k]++
		return
	}
	q.pending[k]++
	var buf []byte
	if n := len(q.spare); n > 0 {
		buf, q.spare = q.spare[n-1], q.spare[:n-1]
	}
	q.lines = append(q.lines, line{k, append(buf[:0], text...), before})
	q.bytes += len(text)
	if len(q.lines) == 1 { // the writing goroutine waits only for the first line
		q.changed.Broadcast()
	}
}

// Hurry ends all waiting: from now on add refuses events for which the queue has no space, and
// Close returns when the reader has read nothing for stallLimit.
func (q *Queue) Hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.block, q.hurry = false, true
	q.changed.Broadcast()
}

// Blocked reports whether a call of add waits for space.
func (q *Queue) Blocked() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.blocked > 0
}

// Replace directs all lines that are not yet written to out. It calls then when the queue writes no
// further line to the former output. Each line is in exactly one of the two.
func (q *Queue) Replace(out io.Writer, then func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := &replacement{out, then}
	if last := q.next; last != nil { // no line was written to it
		n.then = func() { last.then(); then() }
	}
	q.next = n
	q.changed.Broadcast()
}

// replace begins to use the next output if there is one.
func (q *Queue) replace() {
	q.mu.Lock()
	n := q.next
	if q.next = nil; n != nil {
		q.torn, q.hangup, q.failing = false, nil, false
		q.out, q.disk, q.pipe = n.out, newDisk(n.out), newPipe(n.out)
	}
	q.mu.Unlock()
	if n != nil {
		n.then()
	}
}

// run writes lines until the queue is closed.
func (q *Queue) run() {
	defer close(q.done)
	defer q.replace()
	var spare []line
	for {
		q.mu.Lock()
		for len(q.lines) == 0 && !q.closed {
			if q.next != nil {
				q.mu.Unlock()
				q.replace()
				q.mu.Lock()
				continue
			}
			if q.heldCount > 0 {
				q.mu.Unlock()
				time.Sleep(retryInterval)
				q.retry()
				q.mu.Lock()
				continue
			}
			q.changed.Wait()
		}
		lines := q.lines
		q.lines = spare[:0]
		q.mu.Unlock()
		if len(lines) == 0 {
			q.loseHeld(q.retry())
			return
		}
		for _, l := range lines {
			q.deliver(l)
		}
		clear(lines)
		spare = lines
	}
}

// retry writes the held events, in order, until a write fails.
func (q *Queue) retry() error {
	for len(q.held) > 0 {
		l := &q.held[0]
		if err := q.write(l); err != nil {
			q.failed(err)
			return err
		}
		q.held = q.held[1:]
		q.hold(-1)
		q.finish(*l, nil)
	}
	return nil
}

// deliver writes the held events and then a line. If that fails, it holds the line or loses it.
func (q *Queue) deliver(l line) {
	err := q.retry()
	if err == nil {
		err = q.write(&l)
	}
	switch {
	case err == nil:
		q.finish(l, nil)
	case l.kind.important():
		q.failed(err)
		q.held = append(q.held, l)
		q.hold(1)
	default:
		q.failed(err)
		q.finish(l, err)
	}
}

// loseHeld counts the held events as lost.
func (q *Queue) loseHeld(err error) {
	for _, l := range q.held {
		q.hold(-1)
		q.finish(l, err)
	}
	q.held = nil
}

// hold adds to the number of held events.
func (q *Queue) hold(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heldCount += n
	q.changed.Broadcast()
}

// isHangup reports whether an error means that a pipe has no reader.
func isHangup(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// write writes one line.
func (q *Queue) write(l *line) error {
	q.replace()
	q.mu.Lock()
	err, torn, failing := q.broken, q.torn, q.failing
	if err == nil && !q.closed && time.Now().Before(q.retryAt) {
		err = q.hangup
	}
	q.mu.Unlock()
	if err != nil {
		return err
	}
	if !l.kind.important() {
		if err := q.disk.nearlyFull(); err != nil {
			return err
		}
	}
	if failing { // a reader that follows the file must not see half a line come and go
		if err := q.disk.noSpace(len(l.text)); err != nil {
			return err
		}
	}
	if torn { // end the half line, so that no other line is lost
		if _, err := q.out.Write([]byte{'\n'}); err != nil {
			q.hangUp(err, 0)
			return err
		}
		q.setTorn(false)
	}
	if l.before != nil {
		l.before()
		l.before = nil
	}
	n, err := q.out.Write(l.text)
	q.disk.wrote(n)
	if err == nil && n < len(l.text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		q.pipe.wrote(*l)
		return nil
	}
	if whole := q.hangUp(err, n); n > 0 && !whole && !q.disk.takeBack(n) {
		q.setTorn(true)
	}
	return err
}

// setTorn records whether the last write ended within a line that could not be removed.
func (q *Queue) setTorn(torn bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.torn = torn
}

// hangUp handles the error of a pipe whose reader has gone: the lines that it did not read are
// held, to be written again. half is the length of the half line that was written last. It reports
// whether the pipe is now empty.
func (q *Queue) hangUp(err error, half int) (empty bool) {
	if !isHangup(err) {
		return false
	}
	var back []line
	if back, empty = q.pipe.recall(half); len(back) > 0 {
		q.held = append(back[:len(back):len(back)], q.held...)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range back {
		q.written--
		q.pending[l.kind]++
		q.bytes += len(l.text)
		q.heldCount++
	}
	if empty {
		q.torn = false
	}
	if q.hangup == nil {
		q.backoff = firstRetry
	}
	q.hangup, q.retryAt = err, time.Now().Add(q.backoff)
	q.backoff = min(2*q.backoff, retryInterval)
	return empty
}

// failed records the error of a write.
func (q *Queue) failed(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail, q.failing = err, true
	q.progress++
	q.changed.Broadcast()
}

// finish counts a line as written, or as lost if err is not nil.
func (q *Queue) finish(l line, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending[l.kind] == 0 { // Close has returned and counted it
		return
	}
	q.pending[l.kind]--
	q.bytes -= len(l.text)
	q.progress++
	if q.pipe == nil && len(q.spare) < maxSpare { // a pipe's lines may be written once more
		q.spare = append(q.spare, l.text)
	}
	if err == nil {
		q.written++
		q.failing, q.hangup = false, nil
	} else {
		q.dropped[l.kind]++
	}
	q.changed.Broadcast()
}

// Flush waits, at most for the given time, until each event was written, or lost, or is held.
// Totals is then exact.
func (q *Queue) Flush(most time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	over := false
	defer time.AfterFunc(most, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		over = true
		q.changed.Broadcast()
	}).Stop()
	for !over && q.waiting() > 0 {
		q.changed.Wait()
	}
}

// waiting is the number of events that are not written, lost or held.
func (q *Queue) waiting() (n uint64) {
	for _, m := range q.pending {
		n += m
	}
	return n - uint64(q.heldCount)
}

// Close writes the remaining events and ends the queue. It returns the error of the last lost
// event.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.changed.Broadcast()
	progress := q.progress
	q.mu.Unlock()
	tick := time.NewTicker(q.stallLimit)
	defer tick.Stop()
	for {
		select {
		case <-q.done:
			return q.fail
		case <-tick.C:
		}
		q.mu.Lock()
		if q.hurry && q.progress == progress {
			defer q.mu.Unlock()
			for k, n := range q.pending {
				q.dropped[k] += n
				q.pending[k] = 0
			}
			q.fail, q.broken = ErrStalled, ErrStalled
			return q.fail
		}
		progress = q.progress
		q.mu.Unlock()
	}
}

// Totals are the number of events that were accepted and not lost so far, and the lost ones by
// type.
func (q *Queue) Totals() (written uint64, dropped Dropped) {
	q.mu.Lock()
	defer q.mu.Unlock()
	written = q.written
	for _, n := range q.pending {
		written += n
	}
	return written, q.dropped
}

// Failing is the error of the output while writes fail, else nil. A disk that is almost full fails
// before an event meets it, and one that has room again does not fail any more: on a quiet network
// the next event may be a minute away.
func (q *Queue) Failing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch full := q.disk.full(); {
	case full != nil && !q.failing:
		return full
	case !q.failing, q.disk != nil && full == nil && isDiskFull(q.fail):
		return nil
	}
	return q.fail
}

// Dropped counts lost events by type.
type Dropped [Types]uint64

// Sum is the number of lost events.
func (d Dropped) Sum() (n uint64) {
	for _, m := range d {
		n += m
	}
	return n
}

// Since are the events that were lost after the state before.
func (d Dropped) Since(before Dropped) Dropped {
	for t := range d {
		d[t] -= before[t]
	}
	return d
}

// String lists the numbers by type: "3 session, 1 finding".
func (d Dropped) String() string {
	var list []string
	for t, n := range d {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, Type(t)))
		}
	}
	return strings.Join(list, ", ")
}
