package capture

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A window of a mapped file is walked in lanes:
//
//	window   [ lane 0 | lane 1 | lane 2 | ... ]
//	           ^        ^        ^
//
// Walking records is waiting: the position of the next header is known only when this record's
// header has come from memory, about 100 ns on frames of 700 bytes. With eight lanes that take
// turns eight such waits overlap: 1.5 GB of mixed traffic took 40 ms on one thread, 150 ms when
// walked from end to end, and 150 ms for cat, which copies.
//
// The start of a lane is found by resync: the first place from which a few headers in a row make
// sense. The lane before it verifies that start: it arrives exactly there, or it goes on through
// the rest of the wrong lane, whose frames are dropped. So the result is the same as of a walk from
// end to end, for any number of lanes and of goroutines.

// lane is a part of a window. Positions are in the mapped bytes.
type lane struct {
	recordBatch
	start   int // of the first record, -1 if resync found none
	pos     int // of the next record
	limit   int // records that begin here or later belong to the next lane
	stopped bool
	faulted bool // the file became shorter while it was walked
}

// lanesPerWorker is the number of lanes that a goroutine walks, minLaneSize the bytes that are
// worth a lane.
const (
	lanesPerWorker = 8
	minLaneSize    = 64 << 10
)

// appendTo appends the lane's frames and counters to the batch.
func (l *lane) appendTo(c *recordBatch, first bool) {
	if first {
		c.frames, l.frames = l.frames, c.frames // each keeps the other's memory
	} else if len(l.frames) > 0 {
		c.more = append(c.more, l.frames)
	}
	if l.count > 0 {
		if c.count == 0 || l.first < c.first {
			c.first = l.first
		}
		c.last = max(c.last, l.last)
	}
	c.count += l.count
	c.bytes += l.bytes
	c.badTimes += l.badTimes
	for j, n := range l.skipped {
		c.skipped[j] += n
	}
}

// divide makes the lanes of a window that extends from start to limit.
func (m *mappedFile) divide(c *recordBatch, start, limit int) {
	n := min(lanesPerWorker*m.workers, max(1, (limit-start)/minLaneSize))
	for len(m.lanes) < n {
		m.lanes = append(m.lanes, lane{})
	}
	m.lanes = m.lanes[:n]
	for i := range m.lanes {
		l := &m.lanes[i]
		l.prefilter, l.from = c.prefilter, c.from
		l.clear()
		at := start + (limit-start)/n*i
		*l = lane{recordBatch: l.recordBatch, start: at, pos: at,
			limit: start + (limit-start)/n*(i+1)}
	}
	m.lanes[n-1].limit = limit
}

// walkLanes walks all lanes, with as many goroutines as there are workers.
func (m *mappedFile) walkLanes() {
	var others sync.WaitGroup
	per := max(lanesPerWorker, (len(m.lanes)+m.workers-1)/m.workers)
	for i := per; i < len(m.lanes); i += per {
		lanes := m.lanes[i:min(i+per, len(m.lanes))]
		others.Go(func() { m.walkGroup(lanes, false) })
	}
	m.walkGroup(m.lanes[:min(per, len(m.lanes))], true)
	others.Wait()
}

// walkGroup walks the lanes of one goroutine. first says that the first lane begins at a record.
func (m *mappedFile) walkGroup(lanes []lane, first bool) {
	e := guard(func() { m.findStarts(lanes, first) })
	for e == completed {
		if e = guard(func() { m.interleave(lanes) }); e == completed {
			return
		}
		if e == panicked && m.dropPrefilter(lanes) {
			e = completed
		}
	}
	for i := range lanes {
		lanes[i].faulted = true
	}
}

// dropPrefilter removes the prefilter from lanes that panicked, and reports false if there is none;
// see recordBatch.walk.
func (m *mappedFile) dropPrefilter(lanes []lane) (filtered bool) {
	for i := range lanes {
		filtered = filtered || lanes[i].prefilter != nil
		lanes[i].prefilter = nil
	}
	return filtered
}

// findStarts finds the first records of the lanes.
func (m *mappedFile) findStarts(lanes []lane, first bool) {
	// All pages at once instead of one by one; before Linux 5.14 the kernel loads them one by one.
	page := os.Getpagesize() - 1
	unix.Madvise(m.data[lanes[0].start&^page:lanes[len(lanes)-1].limit], unix.MADV_POPULATE_READ)
	for i := range lanes {
		if i > 0 || !first {
			l := &lanes[i]
			l.start = m.resync(l.start, l.limit)
			l.pos, l.stopped = l.start, l.start < 0
		}
	}
}

// interleave walks lanes to their ends, one record of each lane at a time.
func (m *mappedFile) interleave(lanes []lane) {
	for open := true; open; {
		open = false
		for i := range lanes {
			l := &lanes[i]
			if l.stopped || l.pos >= l.limit {
				continue
			}
			open = true
			m.step(l)
		}
	}
}

// step reads one record of a lane.
func (m *mappedFile) step(l *lane) {
	if next := m.readRecord(m.data, l.pos, &l.recordBatch); next >= 0 {
		l.pos = next
	} else {
		l.stopped = true
	}
}

// resyncHeaders is the number of plausible headers in a row that resync needs.
const resyncHeaders = 5

// resync finds a place in [at, limit) where records may begin, -1 if there is none.
func (m *mappedFile) resync(at, limit int) int {
	for ; at < limit; at++ {
		if m.plausible(at) {
			return at
		}
	}
	return -1
}

// plausible reports whether resyncHeaders record headers in a row make sense.
func (m *mappedFile) plausible(pos int) bool {
	var before uint32
	for i := range resyncHeaders {
		if len(m.data)-pos < m.header {
			return i > 0
		}
		sec, frac, caplen, wire := m.head(m.data[pos:])
		if int64(frac)*m.unit >= 1e9 || caplen > maxCaplen || wire < caplen || wire > 1<<24 ||
			i > 0 && sec-before+3600 > 7200 {
			return false
		}
		before = sec
		pos += m.header + int(caplen)
	}
	return true
}

// stitchGuarded is stitch with a guard: it is called again without the prefilter if that panicked.
func (m *mappedFile) stitchGuarded() (last *lane, err error) {
	for {
		switch guard(func() { last = m.stitch() }) {
		case completed:
			return last, nil
		case faulted:
			return nil, errShrunk
		case panicked:
			if !m.dropPrefilter(m.lanes) {
				return nil, errFault
			}
		}
	}
}

// stitch joins the lanes and returns the last one whose start was right. A lane with a wrong start
// loses its frames.
func (m *mappedFile) stitch() *lane {
	at := &m.lanes[0]
	for i := 1; i < len(m.lanes); i++ {
		l := &m.lanes[i]
		for !at.stopped && !at.faulted && l.start >= 0 && at.pos < l.start {
			m.step(at)
		}
		if !at.stopped && !at.faulted && at.pos == l.start {
			at = l
			continue
		}
		l.clear()
		if !l.faulted {
			l.pos, l.stopped = l.start, true
		}
		at.limit = l.limit
	}
	for !at.stopped && !at.faulted && at.pos < at.limit {
		m.step(at)
	}
	return at
}
