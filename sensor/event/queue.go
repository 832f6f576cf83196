package event

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Queue stands between who makes events and where they are written. Writing is done by a
// goroutine of its own, in order.
//
// Live, a full queue refuses events and counts them by type: packets go on. Reading files, putting
// waits instead: nothing is lost, and nothing is in a hurry.
//
// Findings, health and stats are lost last. They have room beyond that of the others; the
// last of a disk is kept for them (see disk); and one that could not be written is
// held and tried again, before anything else, until there is no room for it or the end has come.
//
// Whatever fails, each line is whole. What a full disk took of a line is taken off again, and a
// reader of a pipe that went away is waited for: what it did not take is written to the next one.
type Queue struct {
	out  io.Writer
	disk *disk // nil where out is no file on a disk
	pipe *pipe // nil where out is no pipe

	mu      sync.Mutex
	changed sync.Cond
	block   bool
	hurry   bool
	patient time.Duration // see patience
	lines   []line
	free    [][]byte // texts of lines that were written, for lines to come
	held    []line   // that could not be written and are tried again; of the writing goroutine alone
	nheld   int
	bytes   int // of lines and of held
	stalled int // calls of putAfter that wait for room
	closed  bool
	next    *replacement
	broken  error // Close gave up
	hangup  error // nobody reads at the moment
	retryAt time.Time
	backoff time.Duration
	failing bool
	torn    bool // the last write ended within a line
	pending [Types]uint64
	written uint64
	moved   uint64 // writes that ended, well or not
	dropped [Types]uint64
	fail    error
	done    chan struct{}
}

// replacement is another place to write to.
type replacement struct {
	out  io.Writer
	then func()
}

type line struct {
	kind   Type
	text   []byte
	before func() // called once, before it is written for the first time; may be nil
}

const (
	// room is for everything, roomFindings for findings, health and stats; roomWaiting is
	// enough where putting waits.
	room         = 8 << 20
	roomFindings = 16 << 20
	roomWaiting  = 1 << 20
	// maxFree bounds the texts that are kept for lines to come: of at most 8 KiB each.
	maxFree = 256
	// patience is how long Close waits for a reader that takes nothing, when in a hurry.
	patience = 5 * time.Second
	// again is how often what is held is tried again while nothing else is to be written, and
	// firstAgain how soon a pipe without a reader is tried again at first: twice as late each time,
	// up to again.
	again, firstAgain = time.Second, 100 * time.Millisecond
)

// ErrStalled is the error with which events are lost that nobody took.
var ErrStalled = errors.New("the reader of the events takes nothing")

// late reports whether events of this type are lost last.
func (t Type) late() bool { return t == FindingEvent || t == HealthEvent || t == StatsEvent }

// NewQueue starts writing to out. block makes put wait for room.
func NewQueue(out io.Writer, block bool) *Queue {
	q := &Queue{out: out, disk: newDisk(out), pipe: newPipe(out), block: block, hurry: !block, patient: patience, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// putAfter adds a line, which is copied, and has before called by the writing goroutine before it
// is written, if it is not nil.
func (q *Queue) putAfter(k Type, text []byte, before func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := room
	if k.late() {
		limit = roomFindings
	}
	for q.block && q.bytes+len(text) > roomWaiting && !q.failing { // what fails makes no room by waiting
		q.stalled++
		q.changed.Wait()
		q.stalled--
	}
	if q.closed || q.broken != nil || q.bytes+len(text) > limit {
		q.dropped[k]++
		return
	}
	q.pending[k]++
	var buf []byte
	if n := len(q.free); n > 0 {
		buf, q.free = q.free[n-1], q.free[:n-1]
	}
	q.lines = append(q.lines, line{k, append(buf[:0], text...), before})
	q.bytes += len(text)
	if len(q.lines) == 1 { // the writing goroutine waits for nothing else
		q.changed.Broadcast()
	}
}

// Hurry says that nobody may be kept waiting any more: put refuses what there is no room
// for, and Close gives up when nothing is taken for 5 s.
func (q *Queue) Hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.block, q.hurry = false, true
	q.changed.Broadcast()
}

// Blocked reports whether the making of events waits for room.
func (q *Queue) Blocked() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stalled > 0
}

// Replace has all lines that are not written yet go to out. When that begins, then is called: nothing is written to
// the former output any more, and no line is in both or in neither.
func (q *Queue) Replace(out io.Writer, then func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := &replacement{out, then}
	if last := q.next; last != nil { // nothing was written to that one
		n.then = func() { last.then(); then() }
	}
	q.next = n
	q.changed.Broadcast()
}

// replace goes over to another output if there is one.
func (q *Queue) replace() {
	q.mu.Lock()
	n := q.next
	if q.next = nil; n != nil {
		q.torn, q.hangup, q.failing = false, nil, false
	}
	q.mu.Unlock()
	if n != nil {
		q.out, q.disk, q.pipe = n.out, newDisk(n.out), newPipe(n.out)
		n.then()
	}
}

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
			if q.nheld > 0 {
				q.mu.Unlock()
				time.Sleep(again)
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
			q.forget(q.retry())
			return
		}
		for _, l := range lines {
			q.deliver(l)
		}
		clear(lines)
		spare = lines
	}
}

// retry tries what is held, in order, until something fails again.
func (q *Queue) retry() error {
	for len(q.held) > 0 {
		l := &q.held[0]
		if err := q.write(l); err != nil {
			q.failed(err)
			return err
		}
		q.held = q.held[1:]
		q.hold(-1)
		q.gone(*l, nil)
	}
	return nil
}

// deliver writes a line behind those that are held, or holds or loses it.
func (q *Queue) deliver(l line) {
	err := q.retry()
	if err == nil {
		err = q.write(&l)
	}
	switch {
	case err == nil:
		q.gone(l, nil)
	case l.kind.late():
		q.failed(err)
		q.held = append(q.held, l)
		q.hold(1)
	default:
		q.failed(err)
		q.gone(l, err)
	}
}

// forget loses what is held at the end.
func (q *Queue) forget(err error) {
	for _, l := range q.held {
		q.hold(-1)
		q.gone(l, err)
	}
	q.held = nil
}

// hold counts what is held.
func (q *Queue) hold(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nheld += n
	q.changed.Broadcast()
}

// hungUp reports whether an error means that nobody reads.
func hungUp(err error) bool { return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) }

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
	if !l.kind.late() {
		if err := q.disk.scarce(); err != nil {
			return err
		}
	}
	if failing { // who follows the file is not to see half lines come and go
		if err := q.disk.full(len(l.text)); err != nil {
			return err
		}
	}
	if torn { // end the half line, so that only that one is lost
		if _, err := q.out.Write([]byte{'\n'}); err != nil {
			q.hungUp(err, 0)
			return err
		}
		q.tear(false)
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
	if whole := q.hungUp(err, n); n > 0 && !whole && !q.disk.takeBack(n) {
		q.tear(true)
	}
	return err
}

// tear says whether the last write ended within a line that could not be taken back.
func (q *Queue) tear(torn bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.torn = torn
}

// hungUp takes in, if an error says so, that the reader of a pipe has gone: what it did not take is
// to be written again. half is how much of a line was written last. It reports whether the pipe is
// empty.
func (q *Queue) hungUp(err error, half int) (empty bool) {
	if !hungUp(err) {
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
		q.nheld++
	}
	if empty {
		q.torn = false
	}
	if q.hangup == nil {
		q.backoff = firstAgain
	}
	q.hangup, q.retryAt = err, time.Now().Add(q.backoff)
	q.backoff = min(2*q.backoff, again)
	return empty
}

// failed notes an error.
func (q *Queue) failed(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail, q.failing = err, true
	q.moved++
	q.changed.Broadcast()
}

// gone takes a line that was written, or lost with an error, out of the account.
func (q *Queue) gone(l line, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending[l.kind] == 0 { // Close gave up and has counted it
		return
	}
	q.pending[l.kind]--
	q.bytes -= len(l.text)
	q.moved++
	if q.pipe == nil && len(q.free) < maxFree { // a pipe's lines may be written once more
		q.free = append(q.free, l.text)
	}
	if err == nil {
		q.written++
		q.failing, q.hangup = false, nil
	} else {
		q.dropped[l.kind]++
	}
	q.changed.Broadcast()
}

// Settle waits, at most for so long, until each event was written, or lost, or is held: what
// Totals then says is known and not hoped for.
func (q *Queue) Settle(most time.Duration) {
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

// waiting is how many events were neither written, nor lost, nor held.
func (q *Queue) waiting() (n uint64) {
	for _, m := range q.pending {
		n += m
	}
	return n - uint64(q.nheld)
}

// Close writes what is left and ends. The error is that of the last event that was lost.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.changed.Broadcast()
	moved := q.moved
	q.mu.Unlock()
	tick := time.NewTicker(q.patient)
	defer tick.Stop()
	for {
		select {
		case <-q.done:
			return q.fail
		case <-tick.C:
		}
		q.mu.Lock()
		if q.hurry && q.moved == moved {
			defer q.mu.Unlock()
			for k, n := range q.pending {
				q.dropped[k] += n
				q.pending[k] = 0
			}
			q.fail, q.broken = ErrStalled, ErrStalled
			return q.fail
		}
		moved = q.moved
		q.mu.Unlock()
	}
}

// Totals are how many events were taken and not lost so far, and how many were lost, by
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

// Failing is the error with which events are being lost now, nil if they are not.
func (q *Queue) Failing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.failing {
		return nil
	}
	return q.fail
}

// Dropped are events that were lost, by type.
type Dropped [Types]uint64

// Sum is how many there are.
func (d Dropped) Sum() (n uint64) {
	for _, m := range d {
		n += m
	}
	return n
}

// Since are those that were lost after before.
func (d Dropped) Since(before Dropped) Dropped {
	for t := range d {
		d[t] -= before[t]
	}
	return d
}

// String counts by type: "3 session, 1 finding".
func (d Dropped) String() string {
	var list []string
	for t, n := range d {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, Type(t)))
		}
	}
	return strings.Join(list, ", ")
}

// disk watches the space that is left where a file is written: the last of it is kept for
// findings, health and stats.
type disk struct {
	f     *os.File
	since int   // bytes written since the last look
	err   error // what that look said
}

const (
	// look is how many bytes are written between two looks at the disk.
	look = 16 << 10
	// reserve is what is kept of a disk; of one below 16 times as much, a sixteenth.
	reserve = 16 << 20
)

var errScarce = errors.New("the disk is almost full: what is left is kept for findings")

// newDisk is nil for what is no regular file.
func newDisk(out io.Writer) *disk {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &disk{f: f, since: look}
}

func (d *disk) wrote(n int) {
	if d != nil {
		d.since += n
	}
}

// full says, without trying, that n bytes have no room on the disk.
func (d *disk) full(n int) error {
	if d == nil {
		return nil
	}
	var st syscall.Statfs_t
	if syscall.Fstatfs(int(d.f.Fd()), &st) == nil && st.Blocks > 0 && st.Bfree*uint64(st.Bsize) < uint64(n) {
		return syscall.ENOSPC
	}
	return nil
}

// takeBack takes the last n bytes, which were written last, off the file again. It reports false if
// that cannot be done; a file that somebody else has written to since is left as it is.
func (d *disk) takeBack(n int) bool {
	if d == nil {
		return false
	}
	info, err := d.f.Stat()
	if err != nil {
		return false
	}
	at, err := d.f.Seek(0, io.SeekCurrent)
	if err != nil || at != info.Size() || d.f.Truncate(at-int64(n)) != nil {
		return false
	}
	_, err = d.f.Seek(at-int64(n), io.SeekStart)
	return err == nil
}

// scarce says that the disk has no room for what is not important.
func (d *disk) scarce() error {
	if d == nil || d.since < look && d.err == nil {
		return nil
	}
	d.since, d.err = 0, nil
	var st syscall.Statfs_t
	if syscall.Fstatfs(int(d.f.Fd()), &st) != nil {
		return nil
	}
	size, left := st.Blocks*uint64(st.Bsize), st.Bavail*uint64(st.Bsize)
	if size > 0 && left < min(reserve, size/16) {
		d.err = errScarce
	}
	return d.err
}
