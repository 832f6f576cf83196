package event

import "time"

const (
	// batchSize is the capacity of a batch in bytes. batchDelay bounds the time that an event waits
	// for others.
	batchSize, batchDelay = 64 << 10, 100 * time.Millisecond
	// atomicSize is the length of a write that a pipe with several writers keeps together
	// (PIPE_BUF).
	atomicSize = 4 << 10
	// maxSpare bounds the batches that are kept to be used again.
	maxSpare = 4
)

// batch is a number of lines. Their texts follow one another in text.
type batch struct {
	text  []byte
	lines []line
}

// append copies a line into the open batch, or into the next one if it has no room. The caller
// holds the lock. The writing goroutine is woken for each batch, not for each line.
func (q *Queue) append(l line) {
	if q.open != nil && len(q.open.text)+len(l.text) > cap(q.open.text) {
		q.full = append(q.full, q.open)
		q.open = nil
		q.changed.Broadcast()
	}
	if q.open == nil {
		q.open, q.due = q.newBatch(len(l.text)), false
		q.timer.Reset(batchDelay)
	}
	b := q.open
	n := len(b.text)
	b.text = append(b.text, l.text...)
	l.text = b.text[n:]
	b.lines = append(b.lines, l)
	if q.flushing > 0 {
		q.changed.Broadcast()
	}
}

// newBatch returns an empty batch that has room for n bytes at least. The caller holds the lock.
func (q *Queue) newBatch(n int) *batch {
	if i := len(q.spare) - 1; i >= 0 && n <= batchSize {
		b := q.spare[i]
		q.spare = q.spare[:i]
		return b
	}
	return &batch{text: make([]byte, 0, max(n, batchSize))}
}

// expire makes the open batch due.
func (q *Queue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = true
	q.changed.Broadcast()
}

// take returns the batches that are to be written now. The caller holds the lock.
func (q *Queue) take() []*batch {
	list := q.full
	q.full = nil
	if q.open != nil && (q.due || q.flushing > 0 || q.closed) {
		list = append(list, q.open)
		q.open = nil
	}
	return list
}

// recycle keeps a batch whose lines are written or lost. A pipe's lines may be written once more.
func (q *Queue) recycle(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pipe == nil && len(q.spare) < maxSpare && cap(b.text) == batchSize {
		clear(b.lines)
		b.text, b.lines = b.text[:0], b.lines[:0]
		q.spare = append(q.spare, b)
	}
}

// joined returns the first of the given lines, which are adjacent in a batch, and their text. A
// file takes a whole batch. Other outputs get no more than atomicSize bytes at a time, or one line:
// several processes may write to one pipe.
func (q *Queue) joined(lines []line) (first []line, text []byte) {
	most := atomicSize
	if q.disk != nil {
		most = batchSize
	}
	n, size := 1, len(lines[0].text)
	for n < len(lines) && size+len(lines[n].text) <= most {
		size += len(lines[n].text)
		n++
	}
	return lines[:n], lines[0].text[:size]
}
