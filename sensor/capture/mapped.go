package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// mapped reads a plain pcap file that lies on a disk. A stretch of the file at a time is
// mapped, so that nothing is copied, and walked in lanes:
//
//	stretch   [ lane 0 | lane 1 | lane 2 | ... ]
//	            ^        ^        ^
//
// Walking records is waiting: the header of the next one is known only when this one's has
// come from memory, about 100 ns on frames of 700 bytes. With eight lanes that take turns
// eight such waits overlap: 1.5 GB of mixed traffic took 40 ms on one thread, 150 ms when
// walked from end to end, and 150 ms for cat, which copies.
//
// Where a lane begins is guessed: the first place from which a few headers in a row make
// sense. Whether the guess was right is known when the lane before it arrives: exactly there,
// or the guess is thrown away and that lane goes on. So the result is the same as
// walking from end to end, for any number of lanes and of goroutines.
type mapped struct {
	records
	f       *os.File
	read    *uint64 // bytes consumed so far
	size    int64
	pos     int64 // of the next record
	workers int
	shrunk  bool
	window  []byte
	lanes   []lane
}

// lane is a part of a stretch. Positions are in the window.
type lane struct {
	chunk
	start int // where it begins, -1 if that could not be guessed
	pos   int // of the next record
	limit int // records that begin here or later are not its own
	stop  bool
	fault bool // the file became shorter under our eyes
}

// together is how many lanes a goroutine walks, and minLane how many bytes are worth one.
const (
	together = 8
	minLane  = 64 << 10
)

// openMapped maps a file whose header was read; workers is how many goroutines walk it.
func openMapped(f *os.File, size int64, read *uint64, r records, workers int) *mapped {
	*read = fileHeader
	return &mapped{records: r, f: f, read: read, size: size, pos: fileHeader, workers: max(1, workers)}
}

func (m *mapped) offset() int64 { return m.pos }

// next walks a stretch.
func (m *mapped) next(c *chunk) error {
	m.unmap()
	if info, err := m.f.Stat(); err == nil && info.Size() > m.size {
		m.size = info.Size() // it is still being written
	}
	for m.pos < m.size {
		if err := m.stretch(c); err != errShrunk {
			return err
		}
		info, err := m.f.Stat()
		if err != nil || info.Size() >= m.size {
			return errShrunk
		}
		m.unmap()
		m.size, m.shrunk = info.Size(), true
	}
	if m.shrunk {
		return errShrunk
	}
	return io.EOF
}

var errShrunk = errors.New("the file became shorter while it was read")

// stretch maps the next stretch and walks it. errShrunk says that it is not there.
func (m *mapped) stretch(c *chunk) error {
	// Records that begin in the stretch may end behind it.
	page := m.pos &^ int64(os.Getpagesize()-1)
	long := c.stretch()
	limit := m.pos/long*long + long
	size := min(limit+int64(m.header)+maxCaplen, m.size) - page
	window, err := unix.Mmap(int(m.f.Fd()), page, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping the file: %w", err)
	}
	m.window = window
	m.divide(c, int(m.pos-page), int(min(limit, m.size)-page))
	var last *lane
	m.walk()
	for again := true; again; {
		switch attempt(func() { last = m.settle() }) {
		case whole:
			again = false
		case faulted:
			return errShrunk
		case panicked:
			if !m.dropPrefilter(m.lanes) {
				return errFault
			}
		}
	}
	if last.fault {
		return errShrunk
	}
	for i := range m.lanes {
		m.lanes[i].giveTo(c, i == 0)
	}
	m.pos = page + int64(last.pos)
	c.end = m.pos >= limit
	*m.read = uint64(m.pos)
	if last.stop && c.count == 0 {
		return m.why(m.window[last.pos:], nil)
	}
	return nil
}

// giveTo adds what the lane found.
func (l *lane) giveTo(c *chunk, first bool) {
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

// divide makes the lanes of a stretch that reaches from start to limit.
func (m *mapped) divide(c *chunk, start, limit int) {
	n := min(together*m.workers, max(1, (limit-start)/minLane))
	for len(m.lanes) < n {
		m.lanes = append(m.lanes, lane{})
	}
	m.lanes = m.lanes[:n]
	for i := range m.lanes {
		l := &m.lanes[i]
		l.prefilter, l.from = c.prefilter, c.from
		l.clear()
		at := start + (limit-start)/n*i
		*l = lane{chunk: l.chunk, start: at, pos: at, limit: start + (limit-start)/n*(i+1)}
	}
	m.lanes[n-1].limit = limit
}

// walk walks all lanes, as many goroutines as there are workers.
func (m *mapped) walk() {
	var others sync.WaitGroup
	per := max(together, (len(m.lanes)+m.workers-1)/m.workers)
	for i := per; i < len(m.lanes); i += per {
		lanes := m.lanes[i:min(i+per, len(m.lanes))]
		others.Go(func() { m.group(lanes, false) })
	}
	m.group(m.lanes[:min(per, len(m.lanes))], true)
	others.Wait()
}

// group walks lanes in turns. first says that the first of them begins at a record.
func (m *mapped) group(lanes []lane, first bool) {
	e := attempt(func() { m.begin(lanes, first) })
	for e == whole {
		if e = attempt(func() { m.turns(lanes) }); e == whole {
			return
		}
		if e == panicked && m.dropPrefilter(lanes) {
			e = whole
		}
	}
	for i := range lanes {
		lanes[i].fault = true
	}
}

// dropPrefilter takes the prefilter away from lanes that panicked, and reports false if there is none: see
// chunk.walk.
func (m *mapped) dropPrefilter(lanes []lane) (sifted bool) {
	for i := range lanes {
		sifted = sifted || lanes[i].prefilter != nil
		lanes[i].prefilter = nil
	}
	return sifted
}

// begin finds out where the lanes begin.
func (m *mapped) begin(lanes []lane, first bool) {
	// The pages at once instead of one by one; where the kernel cannot (before 5.14), one by one.
	page := os.Getpagesize() - 1
	unix.Madvise(m.window[lanes[0].start&^page:lanes[len(lanes)-1].limit], unix.MADV_POPULATE_READ)
	for i := range lanes {
		if i > 0 || !first {
			l := &lanes[i]
			l.start = m.guess(l.start, l.limit)
			l.pos, l.stop = l.start, l.start < 0
		}
	}
}

// turns walks lanes to their ends, a record of each at a time.
func (m *mapped) turns(lanes []lane) {
	for open := true; open; {
		open = false
		for i := range lanes {
			l := &lanes[i]
			if l.stop || l.pos >= l.limit {
				continue
			}
			open = true
			m.step(l)
		}
	}
}

func (m *mapped) step(l *lane) {
	if next := m.one(m.window, l.pos, &l.chunk); next >= 0 {
		l.pos = next
	} else {
		l.stop = true
	}
}

// credible is how many headers in a row make a guess.
const credible = 5

// guess looks for a place in [at, limit) where records may begin.
func (m *mapped) guess(at, limit int) int {
	for ; at < limit; at++ {
		if m.plausible(at) {
			return at
		}
	}
	return -1
}

// plausible reports whether a few record headers in a row make sense.
func (m *mapped) plausible(pos int) bool {
	var before uint32
	for i := range credible {
		if len(m.window)-pos < m.header {
			return i > 0
		}
		sec, frac, caplen, wire := m.head(m.window[pos:])
		if int64(frac)*m.unit >= 1e9 || caplen > maxCaplen || wire < caplen || wire > 1<<24 ||
			i > 0 && sec-before+3600 > 7200 {
			return false
		}
		before = sec
		pos += m.header + int(caplen)
	}
	return true
}

// settle strings the lanes together and returns the last one that is good. Lanes that
// are not get no frames.
func (m *mapped) settle() *lane {
	at := &m.lanes[0]
	for i := 1; i < len(m.lanes); i++ {
		l := &m.lanes[i]
		for !at.stop && !at.fault && l.start >= 0 && at.pos < l.start {
			m.step(at)
		}
		if !at.stop && !at.fault && at.pos == l.start {
			at = l
			continue
		}
		l.clear()
		if !l.fault {
			l.pos, l.stop = l.start, true
		}
		at.limit = l.limit
	}
	for !at.stop && !at.fault && at.pos < at.limit {
		m.step(at)
	}
	return at
}

func (m *mapped) unmap() {
	if m.window != nil {
		unix.Munmap(m.window)
		m.window = nil
	}
}
