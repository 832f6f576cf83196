package event

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Queue holds events between the Writer and the output. Its own goroutine writes them, in order, in
// batches: a write for each event took 5 % of the time of a run over a storm of mail. A batch is
// written when it is full or batchDelay old, so that events on a quiet network do not wait for
// others.
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
	full       []*batch      // not yet taken by the writing goroutine
	open       *batch        // behind full; add appends to it; nil if it would be empty
	due        bool          // the open batch is to be written as it is
	timer      *time.Timer   // sets due
	flushing   int           // calls of Flush, during which each batch is due at once
	spare      []*batch      // written ones, to be used again
	held       []line        // failed important events; only the writing goroutine uses it
	heldCount  int
	bytes      int // of full, open and held
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
	progress   uint64    // writes that ended, with or without an error
	writing    time.Time // begin of the write in hand; zero if there is none
	dropped    [Types]uint64
	fail       error // the last error
	done       chan struct{}
}

// replacement is another output. The queue calls then when it begins to use it.
type replacement struct {
	out  io.Writer
	then func()
}

// line is an event. The text of a held line is its own; other texts are part of a batch.
type line struct {
	kind   Type
	text   []byte
	before func() // called once, before the first attempt to write the line; may be nil
	held   bool   // counted by Queue.heldCount
}

const (
	// Limits of Queue.bytes: queueLimit for all events, findingsLimit for important ones,
	// blockingLimit for a queue whose add waits.
	queueLimit    = 8 << 20
	findingsLimit = 16 << 20
	blockingLimit = 1 << 20
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
	q.timer = time.AfterFunc(batchDelay, q.expire)
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
	q.bytes += len(text)
	q.append(line{kind: k, text: text, before: before})
}

// Wait has add wait for space from now on, most at the longest: the end of a run emits more than
// the queue may have space for, and no packet waits any more.
func (q *Queue) Wait(most time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.block = true
	time.AfterFunc(most, q.Hurry)
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

// run writes batches until the queue is closed.
func (q *Queue) run() {
	defer close(q.done)
	defer q.replace()
	for {
		q.mu.Lock()
		list := q.take()
		for len(list) == 0 && !q.closed {
			if q.next != nil {
				q.mu.Unlock()
				q.replace()
				q.mu.Lock()
			} else if q.heldCount > 0 {
				q.mu.Unlock()
				time.Sleep(retryInterval)
				q.retry()
				q.mu.Lock()
			} else {
				q.changed.Wait()
			}
			list = q.take()
		}
		q.mu.Unlock()
		if len(list) == 0 {
			q.loseHeld(q.retry())
			return
		}
		for _, b := range list {
			q.deliver(b.lines)
			q.recycle(b)
		}
	}
}

// retry writes the held events, in order, until a write fails.
func (q *Queue) retry() error {
	for len(q.held) > 0 {
		if _, err := q.write(q.held[:1]); err != nil {
			q.failed(err)
			return err
		}
		q.held = q.held[1:]
	}
	return nil
}

// deliver writes the held events and then the lines of a batch. It holds or loses a line that
// cannot be written.
func (q *Queue) deliver(lines []line) {
	for len(lines) > 0 {
		err := q.retry()
		if err == nil {
			var n int
			n, err = q.write(lines)
			lines = lines[n:]
		}
		if err == nil {
			continue
		}
		q.failed(err)
		if l := lines[0]; l.kind.important() {
			q.mu.Lock()
			q.hold(&l)
			q.mu.Unlock()
			q.held = append(q.held, l)
		} else {
			q.finish(lines[:1], err)
		}
		lines = lines[1:]
	}
}

// loseHeld counts the held events as lost.
func (q *Queue) loseHeld(err error) {
	q.finish(q.held, err)
	q.held = nil
}

// hold makes a line a held one, with a text of its own: batches are used again. The caller holds
// the lock.
func (q *Queue) hold(l *line) {
	q.heldCount++
	l.text, l.held = slices.Clone(l.text), true
	q.changed.Broadcast()
}

// isHangup reports whether an error means that a pipe has no reader.
func isHangup(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// write writes the first of the given lines: with one call as many as the output takes at a time,
// and one while it fails. It counts n lines as written. If there is an error, the line behind them
// was not written.
func (q *Queue) write(lines []line) (n int, err error) {
	q.replace()
	q.mu.Lock()
	err, torn, failing := q.broken, q.torn, q.failing
	if err == nil && !q.closed && time.Now().Before(q.retryAt) {
		err = q.hangup
	}
	q.mu.Unlock()
	if err != nil {
		return 0, err
	}
	full := q.disk.nearlyFull()
	if full != nil && !lines[0].kind.important() {
		return 0, full
	}
	if failing { // a reader that follows the file must not see half a line come and go
		if err := q.disk.noSpace(len(lines[0].text)); err != nil {
			return 0, err
		}
	}
	if torn { // end the half line, so that no other line is lost
		if _, err := q.out.Write([]byte{'\n'}); err != nil {
			q.hangUp(err, 0)
			return 0, err
		}
		q.setTorn(false)
	}
	first, text := q.joined(lines)
	if len(first) > 1 && (failing || full != nil || !q.disk.hasRoom(len(text))) {
		first, text = q.joined(lines[:1])
	}
	lines = first
	for i := range lines {
		if before := lines[i].before; before != nil {
			before()
			lines[i].before = nil
		}
	}
	q.setWriting(time.Now())
	size, err := q.out.Write(text)
	q.setWriting(time.Time{})
	q.disk.wrote(size)
	if err == nil && size < len(text) {
		err = io.ErrShortWrite
	}
	for n < len(lines) && size >= len(lines[n].text) {
		size -= len(lines[n].text)
		n++
	}
	q.pipe.wrote(lines[:n])
	q.finish(lines[:n], nil)
	if err == nil {
		return n, nil
	}
	if whole := q.hangUp(err, size); size > 0 && !whole && !q.disk.takeBack(size) {
		q.setTorn(true)
	}
	return n, err
}

// setWriting records when a write began, and with the zero time that it has ended.
func (q *Queue) setWriting(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = at
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
func (q *Queue) hangUp(err error, half int) (emptied bool) {
	if !isHangup(err) {
		return false
	}
	back, empty := q.pipe.recall(half)
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range back {
		l := &back[i]
		q.written--
		q.pending[l.kind]++
		q.bytes += len(l.text)
		q.hold(l)
	}
	q.held = append(back[:len(back):len(back)], q.held...)
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

// finish counts lines as written, or as lost if err is not nil.
func (q *Queue) finish(lines []line, err error) {
	if len(lines) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range lines {
		if l.held {
			q.heldCount--
		}
		if q.pending[l.kind] == 0 { // Close has returned and counted it
			continue
		}
		q.pending[l.kind]--
		q.bytes -= len(l.text)
		if err == nil {
			q.written++
		} else {
			q.dropped[l.kind]++
		}
	}
	q.progress++
	if err == nil {
		q.failing, q.hangup = false, nil
	}
	q.changed.Broadcast()
}

// Flush waits, at most for the given time, until each event was written, or lost, or is held.
// Totals is then exact.
func (q *Queue) Flush(most time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	over := false
	q.flushing++
	defer func() { q.flushing-- }()
	q.changed.Broadcast()
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
	q.timer.Stop()
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
// the next event may be a minute away. A write that takes longer than stallLimit fails as well: the
// reader stalls, and events are lost only when the queue is full, which may be hours later.
func (q *Queue) Failing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.writing.IsZero() && time.Since(q.writing) > q.stallLimit {
		return ErrStalled
	}
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
